//! Lines for the operator's shell that take a pepper from where it was found.

use keygate_delivery::StoreUri;

use crate::output::quoted;
use crate::secrets::Source;

/// `command`, with the pepper as its standard input.
pub(super) fn into(source: &Source, command: &str) -> String {
    match source {
        Source::File(path) | Source::Store { uri: StoreUri::File { path }, .. } => {
            format!("{command} < {}", quoted(&path.display().to_string()))
        }
        Source::Variable(_) | Source::Store { .. } | Source::DevVars(_) => {
            format!("{} | {command}", printing(source))
        }
    }
}

/// The pepper as a variable's value.
pub(super) fn value(source: &Source) -> String {
    match source {
        Source::Variable(name) => format!("\"${name}\""),
        Source::Store { uri: StoreUri::Env { name }, .. } => format!("\"${name}\""),
        Source::File(_) | Source::Store { .. } | Source::DevVars(_) => format!("\"$({})\"", printing(source)),
    }
}

/// The option that names the source, if one did; it leads the next command to the same pepper.
pub(super) fn option(source: &Source) -> String {
    match source {
        Source::File(path) => format!(" --pepper-file {}", quoted(&path.display().to_string())),
        Source::Store { uri, named_by: option @ "--pepper-from" } => {
            format!(" {option} {}", quoted(&uri.to_string()))
        }
        Source::Variable(_) | Source::Store { .. } | Source::DevVars(_) => String::new(),
    }
}

/// What prints the pepper: `keygate` never does, each manager's own command line can.
fn printing(source: &Source) -> String {
    let uri = match source {
        Source::File(path) => return format!("cat {}", quoted(&path.display().to_string())),
        Source::Variable(name) => return format!("printf %s \"${name}\""),
        // Of the local gate, for which no such line is said.
        Source::DevVars(name) => return format!("…   # the pepper in {name}"),
        Source::Store { uri, .. } => uri,
    };
    match uri {
        StoreUri::Vault { mount, path, field } => {
            format!("vault kv get -field={} {}", quoted(field), quoted(&format!("{mount}/{path}")))
        }
        StoreUri::Aws { secret } => format!(
            "aws secretsmanager get-secret-value --secret-id {} --query SecretString --output text",
            quoted(secret)
        ),
        StoreUri::Azure { vault, name } => {
            let vault = if vault.contains('.') {
                format!("--id {}", quoted(&format!("https://{vault}/secrets/{name}")))
            } else {
                format!("--vault-name {} --name {}", quoted(vault), quoted(name))
            };
            format!("az keyvault secret show {vault} --query value --output tsv")
        }
        StoreUri::Exec { command } => {
            // Not `(…)`, because `$((` begins an arithmetic expression.
            format!("{{ {command}; }}")
        }
        StoreUri::File { path } => format!("cat {}", quoted(&path.display().to_string())),
        StoreUri::Env { name } => format!("printf %s \"${name}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::{into, option, value};
    use crate::secrets::Source;
    use keygate_delivery::StoreUri;

    #[test]
    fn a_pepper_is_taken_from_where_it_was_found() {
        let store =
            |uri: &str| Source::Store { uri: StoreUri::parse(uri).unwrap(), named_by: "--pepper-from" };
        for (source, piped, valued, named) in [
            (
                Source::File("it's".into()),
                r"x < 'it'\''s'",
                r#""$(cat 'it'\''s')""#,
                r" --pepper-file 'it'\''s'",
            ),
            (Source::Variable("P"), r#"printf %s "$P" | x"#, r#""$P""#, ""),
            (store("file:/p"), "x < '/p'", r#""$(cat '/p')""#, " --pepper-from 'file:/p'"),
            (store("env:P"), r#"printf %s "$P" | x"#, r#""$P""#, " --pepper-from 'env:P'"),
            (
                store("exec:op read a"),
                "{ op read a; } | x",
                r#""$({ op read a; })""#,
                " --pepper-from 'exec:op read a'",
            ),
            (
                store("vault:kv/a/b#f"),
                "vault kv get -field='f' 'kv/a/b' | x",
                r#""$(vault kv get -field='f' 'kv/a/b')""#,
                " --pepper-from 'vault:kv/a/b#f'",
            ),
            (
                store("aws:a/b"),
                "aws secretsmanager get-secret-value --secret-id 'a/b' --query SecretString --output text | x",
                r#""$(aws secretsmanager get-secret-value --secret-id 'a/b' --query SecretString --output text)""#,
                " --pepper-from 'aws:a/b'",
            ),
            (
                store("azure:v/n"),
                "az keyvault secret show --vault-name 'v' --name 'n' --query value --output tsv | x",
                r#""$(az keyvault secret show --vault-name 'v' --name 'n' --query value --output tsv)""#,
                " --pepper-from 'azure:v/n'",
            ),
            (
                store("azure:v.example/n"),
                "az keyvault secret show --id 'https://v.example/secrets/n' --query value --output tsv | x",
                r#""$(az keyvault secret show --id 'https://v.example/secrets/n' --query value --output tsv)""#,
                " --pepper-from 'azure:v.example/n'",
            ),
        ] {
            assert_eq!(into(&source, "x"), piped);
            assert_eq!(value(&source), valued);
            assert_eq!(option(&source), named);
        }
    }
}
