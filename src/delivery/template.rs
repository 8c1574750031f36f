//! `--to` for many keys at once: a URI in which `{subject}` and `{name}` stand for each key's own.

use std::path::{Path, PathBuf};

use keygate_core::record::Record;

use crate::error::{Error, Result};
use crate::store_uri::StoreUri;

const SUBJECT: &str = "{subject}";
const NAME: &str = "{name}";

/// Whose key is delivered.
#[derive(Clone, Copy, Debug)]
pub struct Holder<'h> {
    /// Who holds the key.
    pub subject: &'h str,
    /// What the key is called.
    pub name: &'h str,
}

impl<'h> Holder<'h> {
    /// The holder that a record names.
    #[must_use]
    pub fn of(record: &'h Record) -> Self {
        Self { subject: record.subject.as_str(), name: record.name.as_str() }
    }
}

/// A store for each key, or one store.
#[derive(Clone, Debug)]
pub struct Template(String);

impl Template {
    /// Reads a URI that may have placeholders.
    ///
    /// # Errors
    /// It is no URI, or a command with a placeholder in it.
    pub fn parse(text: &str) -> Result<Self> {
        let uri = StoreUri::parse(text)?;
        if matches!(uri, StoreUri::Exec { .. }) && [SUBJECT, NAME].iter().any(|part| text.contains(part)) {
            // A subject or a name in a shell's line would be read by the shell.
            return Err(Error::usage(
                "exec: takes no {subject} and {name}",
                "write \"$KEYGATE_SUBJECT\" and \"$KEYGATE_NAME\", with the quotes; the command has them in its environment",
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// The store of one key.
    ///
    /// # Errors
    /// What stands for a placeholder could lead elsewhere.
    pub fn of(&self, holder: &Holder<'_>) -> Result<StoreUri> {
        let mut text = self.0.clone();
        for (placeholder, value) in [(SUBJECT, holder.subject), (NAME, holder.name)] {
            // Commands have none; and a value is not looked at unless it is used.
            if self.0.contains(placeholder) {
                text = text.replace(placeholder, plain(placeholder, value)?);
            }
        }
        match StoreUri::parse(&text)? {
            // Absolute: a resumption may be started elsewhere.
            StoreUri::File { path } => Ok(StoreUri::File { path: absolute(&path)? }),
            uri => Ok(uri),
        }
    }
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|e| {
        Error::usage(format!("cannot find {}: {e}", path.display()), "name the file from the root on")
    })
}

/// A value that is one part of a path, whatever the store makes of paths.
fn plain<'v>(placeholder: &str, value: &'v str) -> Result<&'v str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@' | '+');
    if !value.is_empty() && value.chars().all(allowed) && !value.starts_with('.') {
        return Ok(value);
    }
    Err(Error::usage(
        format!("`{value}` cannot stand for {placeholder} in a secret store's URI"),
        "only letters, digits, `-`, `_`, `@`, `+` and `.` (not first) can; rotate this key by itself, with its store written out",
    ))
}

#[cfg(test)]
mod tests {
    use super::{Holder, Template};

    fn of(template: &str, subject: &str, name: &str) -> Result<String, String> {
        let template = Template::parse(template).map_err(|error| format!("{error:?}"))?;
        let holder = Holder { subject, name };
        template.of(&holder).map(|uri| uri.to_string()).map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn each_key_has_the_place_of_its_holder() {
        for (template, uri) in [
            ("file:/keys/{subject}", "file:/keys/acme"),
            ("vault:kv/{subject}/{name}#key", "vault:kv/acme/prod#key"),
            ("aws:{subject}-{subject}", "aws:acme-acme"),
            ("file:/keys/one", "file:/keys/one"),
        ] {
            assert_eq!(of(template, "acme", "prod").as_deref(), Ok(uri));
        }
        // What is not used may be anything.
        assert_eq!(of("file:/keys/{subject}", "acme", "../x").as_deref(), Ok("file:/keys/acme"));
    }

    #[test]
    fn no_subject_leads_out_of_its_place() {
        for value in ["", "..", ".hidden", "a b", "a#b", "a:b", "$(id)", "é", "{name}"] {
            let said = of("file:/keys/{subject}", value, "x").unwrap_err();
            assert!(said.contains("cannot stand for {subject}"), "{value}: {said}");
        }
        assert!(of("exec:put {subject}", "a", "b").unwrap_err().contains("KEYGATE_SUBJECT"));
    }
}
