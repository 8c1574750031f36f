//! `--to` for many keys at once: a URI in which `{subject}` and `{name}` stand for each key's own.

use std::path::{Path, PathBuf};

use keygate_core::record::Record;

use crate::fault::{Fault, Outcome};
use crate::places::PlaceUri;

const SUBJECT: &str = "{subject}";
const NAME: &str = "{name}";

/// Whose key is delivered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holder<'h> {
    pub(crate) subject: &'h str,
    pub(crate) name: &'h str,
}

impl<'h> Holder<'h> {
    pub(crate) fn of(record: &'h Record) -> Self {
        Self { subject: record.subject.as_str(), name: record.name.as_str() }
    }

    /// What a command finds in its environment.
    pub(super) fn variables(&self) -> Vec<(&'static str, String)> {
        vec![("KEYGATE_SUBJECT", self.subject.to_owned()), ("KEYGATE_NAME", self.name.to_owned())]
    }
}

/// A place for each key, or one place.
#[derive(Clone, Debug)]
pub(crate) struct Template(String);

impl Template {
    /// # Errors
    /// It is no URI, or a command with a placeholder in it.
    pub(crate) fn parse(text: &str) -> Outcome<Self> {
        let uri = PlaceUri::parse(text)?;
        if matches!(uri, PlaceUri::Exec { .. }) && [SUBJECT, NAME].iter().any(|part| text.contains(part)) {
            // A subject or a name in a shell's line would be read by the shell.
            return Err(Fault::usage(
                "exec: takes no {subject} and {name}",
                "write \"$KEYGATE_SUBJECT\" and \"$KEYGATE_NAME\", with the quotes; the command has them in its environment",
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// The place of one key.
    ///
    /// # Errors
    /// What stands for a placeholder could lead elsewhere.
    pub(crate) fn of(&self, holder: &Holder<'_>) -> Outcome<PlaceUri> {
        let mut text = self.0.clone();
        for (placeholder, value) in [(SUBJECT, holder.subject), (NAME, holder.name)] {
            // Commands have none; and a value is not looked at unless it is used.
            if self.0.contains(placeholder) {
                text = text.replace(placeholder, plain(placeholder, value)?);
            }
        }
        match PlaceUri::parse(&text)? {
            // Absolute: a resumption may be started elsewhere.
            PlaceUri::File { path } => Ok(PlaceUri::File { path: absolute(&path)? }),
            uri => Ok(uri),
        }
    }
}

fn absolute(path: &Path) -> Outcome<PathBuf> {
    std::path::absolute(path).map_err(|e| {
        Fault::usage(format!("cannot find {}: {e}", path.display()), "name the file from the root on")
    })
}

/// A value that is one part of a path, whatever the place makes of paths.
fn plain<'v>(placeholder: &str, value: &'v str) -> Outcome<&'v str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@' | '+');
    if !value.is_empty() && value.chars().all(allowed) && !value.starts_with('.') {
        return Ok(value);
    }
    Err(Fault::usage(
        format!("`{value}` cannot stand for {placeholder} in a place"),
        "only letters, digits, `-`, `_`, `@`, `+` and `.` (not first) can; rotate this key by itself, with its place written out",
    ))
}

#[cfg(test)]
mod tests {
    use super::{Holder, Template};

    fn of(template: &str, subject: &str, name: &str) -> Result<String, String> {
        let template = Template::parse(template).map_err(|fault| fault.to_string())?;
        let holder = Holder { subject, name };
        template.of(&holder).map(|uri| uri.to_string()).map_err(|fault| fault.to_string())
    }

    #[test]
    fn each_key_has_the_place_of_its_holder() {
        for (template, place) in [
            ("file:/keys/{subject}", "file:/keys/acme"),
            ("vault:kv/{subject}/{name}#key", "vault:kv/acme/prod#key"),
            ("aws:{subject}-{subject}", "aws:acme-acme"),
            ("file:/keys/one", "file:/keys/one"),
        ] {
            assert_eq!(of(template, "acme", "prod").as_deref(), Ok(place));
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
