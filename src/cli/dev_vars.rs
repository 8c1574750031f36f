//! `.dev.vars`: the secrets of `wrangler dev`, in the form that wrangler reads (npm's `dotenv`).

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use keygate_delivery::sibling_file;

use crate::error::{Error, Outcome};

/// The variables of one file.
// Absent on purpose: Debug; the values are secrets.
pub(crate) struct DevVars {
    name: String,
    path: PathBuf,
    text: Zeroizing<String>,
    values: BTreeMap<String, Zeroizing<String>>,
}

impl DevVars {
    /// Reads `.dev.vars.<environment>` if there is one, else `.dev.vars`, as wrangler does.
    /// `None` when there is neither.
    ///
    /// # Errors
    /// A file is there and cannot be read.
    pub(crate) fn read(folder: &Path, environment: Option<&str>) -> Outcome<Option<Self>> {
        let own = environment.map(|environment| format!(".dev.vars.{environment}"));
        for name in own.into_iter().chain([".dev.vars".to_owned()]) {
            let path = folder.join(&name);
            match fs::read_to_string(&path) {
                Ok(text) => {
                    let text = Zeroizing::new(text);
                    let values = parse(&text);
                    return Ok(Some(Self { name, path, text, values }));
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => {
                    return Err(Error::failed(
                        format!("cannot read {name} beside wrangler.toml: {e}"),
                        "make the file readable, and UTF-8",
                    ));
                }
            }
        }
        Ok(None)
    }

    /// The file's name, without its folder.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The value; an empty one is none, as it is to the gate.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|value| value.as_str()).filter(|value| !value.is_empty())
    }
}

impl DevVars {
    /// Writes the file anew with these values, or without them; everything else stays as it was written.
    ///
    /// # Errors
    /// A value cannot stand in such a file, or the file cannot be written.
    pub(crate) fn write_with(&self, changes: &[(&str, Option<&str>)]) -> Outcome<()> {
        let text = changed(&self.text, changes).ok_or_else(|| {
            Error::failed(
                format!("a value has quotes or backslashes that {} cannot be relied on to keep", self.name),
                "edit the file by hand",
            )
        })?;
        let write = || -> io::Result<()> {
            // What a link leads to, not the link. In one step: `wrangler dev` watches the file.
            let path = self.path.canonicalize()?;
            let mut fresh = sibling_file(&path)?;
            fresh.write_all(text.as_bytes())?;
            fresh.as_file().sync_all()?;
            fresh.persist(&path).map_err(|e| e.error)?;
            Ok(())
        };
        write().map_err(|e| {
            Error::failed(
                format!("cannot write {} beside wrangler.toml: {e}", self.name),
                "make the file and its folder writable",
            )
        })
    }
}

/// `text` without its assignments to the names in `changes`, and with new ones at its end.
/// `None` when a value cannot be written so that every reader reads it.
fn changed(text: &str, changes: &[(&str, Option<&str>)]) -> Option<Zeroizing<String>> {
    let mut new = Zeroizing::new(String::with_capacity(2 * text.len() + 4096));
    let mut rest = text;
    while !rest.is_empty() {
        let body = rest.trim_start();
        let (name, tail) = match assignment(body) {
            Some((name, _, tail)) => (Some(name), tail),
            None => (None, body),
        };
        let next = tail.split_once('\n').map_or("", |(_, below)| below);
        if !changes.iter().any(|(changed, _)| Some(*changed) == name) {
            new.push_str(rest.get(..rest.len() - next.len())?);
        }
        rest = next;
    }
    if !new.is_empty() && !new.ends_with('\n') {
        new.push('\n');
    }
    for (name, value) in changes {
        let Some(value) = value else { continue };
        if value.contains(['\\', '\n', '\r']) {
            return None;
        }
        let quote = ['"', '\'', '`'].into_iter().find(|quote| !value.contains(*quote))?;
        for part in [name, "=", quote.encode_utf8(&mut [0; 4]), value, quote.encode_utf8(&mut [0; 4]), "\n"] {
            new.push_str(part);
        }
    }
    Some(new)
}

/// Reads `NAME=value` lines: `export `, comments, three kinds of quotes that may span lines; the last of two wins.
/// What is not of that form is passed over, as `dotenv` does.
fn parse(text: &str) -> BTreeMap<String, Zeroizing<String>> {
    let mut values = BTreeMap::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let tail = match assignment(rest) {
            Some((name, value, tail)) => {
                values.insert(name.to_owned(), value);
                tail
            }
            None => rest,
        };
        rest = tail.split_once('\n').map_or("", |(_, below)| below).trim_start();
    }
    values
}

/// The assignment that `text` begins with: its name, its value, and what stands behind it.
fn assignment(text: &str) -> Option<(&str, Zeroizing<String>, &str)> {
    const BLANKS: [char; 2] = [' ', '\t'];
    let text = text
        .strip_prefix("export")
        .filter(|rest| rest.starts_with(BLANKS))
        .map_or(text, |rest| rest.trim_start_matches(BLANKS));
    let in_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let rest = text.trim_start_matches(in_name);
    let name = text.strip_suffix(rest).filter(|name| !name.is_empty())?;
    let rest = match rest.trim_start_matches(BLANKS).strip_prefix('=') {
        Some(rest) => rest,
        // YAML's way, which dotenv takes as well; the blank is needed.
        None => rest.strip_prefix(':').filter(|rest| rest.starts_with(BLANKS))?,
    }
    .trim_start_matches(BLANKS);
    if let Some((body, tail)) = quoted(rest) {
        return Some((name, body, tail));
    }
    let line = rest.split('\n').next().unwrap_or_default();
    let value = line.split('#').next().unwrap_or_default().trim();
    Some((name, Zeroizing::new(value.to_owned()), rest))
}

/// The text in quotes that `text` begins with, and what stands behind it.
fn quoted(text: &str) -> Option<(Zeroizing<String>, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'))?;
    let open = text.strip_prefix(quote)?;
    let mut escaped = false;
    let end = open.find(|c| {
        let ends = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })?;
    let (body, tail) = open.split_at_checked(end)?;
    let body = Zeroizing::new(body.to_owned());
    Some((
        // The only escapes that dotenv knows.
        if quote == '"' {
            let lines = Zeroizing::new(body.replace("\\n", "\n"));
            Zeroizing::new(lines.replace("\\r", "\r"))
        } else {
            body
        },
        tail.strip_prefix(quote)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::{changed, parse};
    use proptest::prelude::{prop_assert_eq, proptest};

    #[test]
    fn values_are_read_as_dotenv_reads_them() {
        for (text, value) in [
            ("PEPPER=abc", Some("abc")),
            ("\u{20}PEPPER = abc # the local one\n", Some("abc")),
            ("export PEPPER=abc\r\n", Some("abc")),
            ("PEPPER: abc", Some("abc")),
            ("PEPPER:abc", None),
            ("PEPPER=\"a#b\\nc\" # x", Some("a#b\nc")),
            ("PEPPER='a\\nb'", Some("a\\nb")),
            ("PEPPER=`a'b\"c`", Some("a'b\"c")),
            ("PEPPER=\"[\n {\n]\"\nOTHER=1", Some("[\n {\n]")),
            ("PEPPER='open", Some("'open")),
            ("PEPPER=", Some("")),
            ("PEPPER=a\nPEPPER=b", Some("b")),
            ("# PEPPER=abc", None),
            ("OTHER=1\n\nPEPPER=abc", Some("abc")),
            ("OTHER='x\nPEPPER=abc\n'", None),
            ("=abc\nPEPPER", None),
            ("XPEPPER=abc", None),
            ("exportPEPPER=abc", None),
        ] {
            let values = parse(text);
            assert_eq!(values.get("PEPPER").map(|v| v.as_str()), value, "{text:?}");
        }
    }

    #[test]
    fn a_change_leaves_the_rest_as_it_was_written() {
        let changes = [("PEPPER", Some("new")), ("PEPPER_PREVIOUS", Some("old"))];
        for (text, rest) in [
            ("", ""),
            ("PEPPER=old", ""),
            (
                "# mine\nexport PEPPER='old' # here\nOTHER=`x\nPEPPER=1`\n\nPEPPER=\"a\nb\"\n",
                "# mine\nOTHER=`x\nPEPPER=1`\n",
            ),
            ("A=1\nPEPPER_PREVIOUS=x", "A=1\n"),
        ] {
            let text = changed(text, &changes).unwrap();
            assert_eq!(text.as_str(), format!("{rest}PEPPER=\"new\"\nPEPPER_PREVIOUS=\"old\"\n"));
        }
        assert_eq!(changed("A=1\nPEPPER=x\n", &[("PEPPER", None)]).unwrap().as_str(), "A=1\n");
        assert!(changed("", &[("PEPPER", Some("a\"b'c`d"))]).is_none());
        assert!(changed("", &[("PEPPER", Some("a\\"))]).is_none());
    }

    proptest! {
        #[test]
        fn a_changed_file_reads_as_before_but_for_the_change(
            text in "([A-C]{1,2}(=|: )('[a-z#\n]{0,4}'|\"[a-z]{0,4}\"|[a-z ]{0,4})( #x)?\n|# [a-z]{3}\n|\n){0,8}",
            value in "[!-~&&[^\\\\\"]]{1,20}",
        ) {
            let mut expected = parse(&text);
            expected.insert("A".to_owned(), value.clone().into());
            expected.remove("B");
            let new = changed(&text, &[("A", Some(&value)), ("B", None)]).unwrap();
            prop_assert_eq!(parse(&new), expected);
        }

        #[test]
        fn what_was_written_is_read(name in "[A-Z_]{1,12}", value in "[!-~&&[^'\"`#]]{1,60}") {
            let values = parse(&format!("A_FIRST='x'\n{name}={value}\n# end\n"));
            prop_assert_eq!(values.get(&name).map(|v| v.as_str()), Some(value.as_str()));
        }

        #[test]
        fn no_file_makes_the_parser_panic_or_loop(text in "([A-Z]{1,2}[ =:'\"`#\\\\\n]{1,3}|.){0,40}") {
            parse(&text);
        }
    }
}
