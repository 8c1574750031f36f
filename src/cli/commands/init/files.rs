//! The files of a new folder.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use crate::commands::init::answers::Answers;

/// Wrangler's file of the gate.
pub(super) const CONFIG: &str = "wrangler.jsonc";
/// What npm installs.
pub(crate) const PACKAGE_JSON: &str = "package.json";

/// A file, by its path in the folder.
pub(super) struct NewFile {
    pub(super) path: &'static str,
    pub(super) text: String,
    /// Whether it is for its owner alone.
    pub(super) is_private: bool,
}

/// The files, but for the pepper in `.dev.vars`.
pub(super) fn all(answers: &Answers) -> Vec<NewFile> {
    let json = |text: &str| json!(text).to_string();
    let (name, control, origin) = (json(&answers.name), json(&answers.control()), json(&answers.origin));
    let address = match &answers.domain {
        Some(domain) => filled(include_str!("template/address_domain.jsonc"), &[("domain", &json(domain))]),
        None => filled(include_str!("template/address_workers_dev.jsonc"), &[("name", &answers.name)]),
    };
    let sources: Vec<String> =
        answers.credentials.iter().map(|source| format!("\t\t\t{}", json(source))).collect();
    let credentials = format!("[\n{}\n\t\t]", sources.join(",\n"));
    let gate = [
        ("name", &name),
        ("control", &control),
        ("origin", &origin),
        ("prefix", &json(&answers.prefix)),
        ("credentials", &credentials),
        ("address", &address.trim_end().to_owned()),
    ];
    let file = |path, text| NewFile { path, text, is_private: false };
    vec![
        // First, so that git takes none of the others where the run is killed.
        file(".gitignore", include_str!("template/gitignore").to_owned()),
        file(CONFIG, filled(include_str!("template/wrangler.jsonc"), &gate)),
        file(
            "control/wrangler.jsonc",
            filled(include_str!("template/control/wrangler.jsonc"), &[("control", &control)]),
        ),
        file(PACKAGE_JSON, package_json(&name)),
        NewFile { is_private: true, ..file(".dev.vars", include_str!("template/dev.vars").to_owned()) },
        file("README.md", readme(answers)),
    ]
}

/// The packages of a new folder, with their versions.
pub(crate) fn packages() -> BTreeMap<String, String> {
    #[derive(Default, Deserialize)]
    struct Package {
        dependencies: BTreeMap<String, String>,
    }
    // INVARIANT: a test reads the template.
    serde_json::from_str::<Package>(&package_json("\"\"")).unwrap_or_default().dependencies
}

fn package_json(name: &str) -> String {
    let version = json!(env!("CARGO_PKG_VERSION")).to_string();
    let values = [("name", &name.to_owned()), ("version", &version)];
    filled(include_str!("template/package.json"), &values)
}

fn readme(answers: &Answers) -> String {
    let wrong = format!("{}_wrong", answers.prefix);
    filled(
        include_str!("template/README.md.in"),
        &[
            ("name", &answers.name),
            ("origin", &answers.origin),
            ("try_without", &curl(answers, None)),
            ("try_with", &curl(answers, Some("$(cat key.txt)"))),
            ("try_wrong", &curl(answers, Some(&wrong))),
        ],
    )
}

/// A request to the gate of `npm run dev`, with a key, which the shell may expand.
pub(super) fn curl(answers: &Answers, key: Option<&str>) -> String {
    const URL: &str = "http://127.0.0.1:8787/";
    let source = answers.credentials.first().map(String::as_str).unwrap_or_default();
    match (key, source.split_once(':')) {
        (None, _) => format!("curl -i {URL}"),
        (Some(key), Some(("header", name))) => format!("curl -i {URL} -H \"{name}: {key}\""),
        (Some(key), Some(("query", name))) => format!("curl -i \"{URL}?{name}={key}\""),
        (Some(key), _) if source == "basic" => format!("curl -i {URL} -u \"{key}:\""),
        (Some(key), _) if source == "authorization" => format!("curl -i {URL} -H \"Authorization: {key}\""),
        (Some(key), _) => format!("curl -i {URL} -H \"Authorization: Bearer {key}\""),
    }
}

/// The template with a text for each `{{name}}`.
fn filled(template: &str, values: &[(&str, &String)]) -> String {
    let mut pieces = template.split("{{");
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (name, rest) = piece.split_once("}}").unwrap_or((piece, ""));
        let value = values.iter().find(|(known, _)| *known == name);
        text.push_str(value.map_or("", |(_, value)| value));
        text.push_str(rest);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{all, curl};
    use crate::commands::init::answers::Answers;
    use crate::wrangler_file::parse;
    use keygate_core::policy::Policy;
    use serde_json::{Map, Value, json};
    use std::path::Path;

    fn answers(credential: &str) -> Answers {
        Answers {
            name: "my-gate".to_owned(),
            origin: "https://api.example.com".to_owned(),
            prefix: "acme_live".to_owned(),
            credentials: vec![credential.to_owned()],
            domain: None,
        }
    }

    fn text(path: &str) -> String {
        all(&answers("bearer")).into_iter().find(|file| file.path == path).unwrap().text
    }

    #[test]
    fn versions_are_those_of_this_repository() {
        let package: Value = serde_json::from_str(&text("package.json")).unwrap();
        let own: Value = serde_json::from_str(include_str!("../../../../package.json")).unwrap();
        let wrangler = own.pointer("/devDependencies/wrangler").cloned().unwrap();
        let version = json!(env!("CARGO_PKG_VERSION"));
        let expected = json!({"keygate": version, "keygate-workers": version, "wrangler": wrangler});
        assert_eq!(package.get("dependencies"), Some(&expected));
    }

    #[test]
    fn settings_of_both_workers_are_those_of_this_repository() {
        for (made, own) in [
            ("wrangler.jsonc", include_str!("../../../../wrangler.toml")),
            ("control/wrangler.jsonc", include_str!("../../../control/wrangler.toml")),
        ] {
            let made_settings = parse(Path::new(made), &text(made)).unwrap();
            let own = parse(Path::new("wrangler.toml"), own).unwrap();
            for name in [
                "compatibility_date",
                "minify",
                "keep_names",
                "preview_urls",
                "observability",
                "secrets",
                "exports",
                "send_metrics",
                "dev",
            ] {
                assert_eq!(made_settings.get(name), own.get(name), "{made}: {name}");
            }
            let classes = |settings: &Map<String, Value>| -> Vec<[Option<Value>; 2]> {
                let bindings = settings.get("durable_objects").and_then(|objects| objects.get("bindings"));
                let of = |binding: &Value| ["name", "class_name"].map(|field| binding.get(field).cloned());
                bindings.and_then(Value::as_array).unwrap().iter().map(of).collect()
            };
            assert_eq!(classes(&made_settings), classes(&own), "{made}");
        }
    }

    #[test]
    fn examples_in_comments_can_be_used_as_they_stand() {
        for (path, examples) in [("wrangler.jsonc", 3), ("control/wrangler.jsonc", 3)] {
            let text = text(path);
            let is_example =
                |line: &&str| ["// {", "// \""].iter().any(|start| line.trim().starts_with(start));
            assert_eq!(text.lines().filter(is_example).count(), examples, "{path}");
            let used: Vec<String> = text
                .lines()
                .map(|line| if is_example(&line) { line.replacen("// ", "", 1) } else { line.to_owned() })
                .collect();
            let settings = parse(Path::new(path), &used.join("\n")).unwrap();
            if path == "wrangler.jsonc" {
                Policy::from_json(&json!(settings.get("vars")).to_string()).unwrap();
                assert!(settings.contains_key("routes"));
            }
        }
    }

    #[test]
    fn a_request_carries_the_key_where_the_first_source_is() {
        for (source, expected) in [
            ("bearer", "-H \"Authorization: Bearer KEY\""),
            ("authorization", "-H \"Authorization: KEY\""),
            ("basic", "-u \"KEY:\""),
            ("header:x-api-key", "-H \"x-api-key: KEY\""),
            ("query:token", "\"http://127.0.0.1:8787/?token=KEY\""),
        ] {
            assert!(curl(&answers(source), Some("KEY")).ends_with(expected), "{source}");
        }
        assert_eq!(curl(&answers("bearer"), None), "curl -i http://127.0.0.1:8787/");
    }
}
