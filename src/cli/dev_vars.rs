//! The secrets of `wrangler dev`: `.dev.vars` or the `.env` files, as wrangler chooses, reads and filters them.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::dotenv::{self, Values};
use crate::error::{Error, Outcome};
use crate::files::rewrite;
use crate::wrangler_config::WranglerConfig;

/// Whether `.env` is read where there is no `.dev.vars`; true unless it says false.
const LOAD_DOT_ENV: &str = "CLOUDFLARE_LOAD_DEV_VARS_FROM_DOT_ENV";
/// Whether the environment's variables are secrets too; false unless it says true.
const INCLUDE_ENVIRONMENT: &str = "CLOUDFLARE_INCLUDE_PROCESS_ENV";

type Variables = BTreeMap<String, Zeroizing<String>>;

/// The values that the local gate is given, and the files that they come from.
// Absent on purpose: Debug; the values are secrets.
pub(crate) struct DevVars {
    files: Vec<File>,
    /// What references in `.env` files may name, and overrides them; none for `.dev.vars`, which has no references.
    environment: Option<Variables>,
    values: Variables,
    /// Names in the files that wrangler does not take.
    dropped: Vec<String>,
}

struct File {
    name: String,
    path: PathBuf,
    text: Zeroizing<String>,
}

impl DevVars {
    /// Reads `.dev.vars.<environment>` if there is one, else `.dev.vars`, else the `.env` files. `None` when there is none of them,
    /// and nothing in the environment either.
    ///
    /// # Errors
    /// A file is there and cannot be read.
    pub(crate) fn of(config: &WranglerConfig) -> Outcome<Option<Self>> {
        let own = config.environment_of_secrets().map(|environment| format!(".dev.vars.{environment}"));
        for name in own.into_iter().chain([".dev.vars".to_owned()]) {
            let path = config.folder().join(&name);
            match read(&path) {
                Ok(text) => {
                    return Ok(Some(Self::new(config, vec![File { name, path, text }], None)));
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => {
                    return Err(Error::failed(
                        format!("cannot read {name} beside {}: {e}", config.name()),
                        "make the file readable",
                    ));
                }
            }
        }
        let at_start = environment_of_wrangler(config.environment_of_secrets());
        if !flag(&at_start, LOAD_DOT_ENV, true)? {
            return Ok(None);
        }
        let is_included = config.setting("secrets").is_some() || flag(&at_start, INCLUDE_ENVIRONMENT, false)?;
        let environment = if is_included { at_start } else { Variables::new() };
        let found =
            Self::new(config, dot_env(config.folder(), config.environment_of_secrets()), Some(environment));
        Ok((!found.files.is_empty() || !found.values.is_empty()).then_some(found))
    }

    fn new(config: &WranglerConfig, files: Vec<File>, environment: Option<Variables>) -> Self {
        let mut values = values_of(files.iter().map(|file| file.text.as_str()), environment.as_ref());
        let in_files = |name: &String| files.iter().any(|file| dotenv::parse(&file.text).get(name).is_some());
        let is_dropped = |name: &&String| !config.takes_local_value(name) && in_files(name);
        let dropped = values.keys().filter(is_dropped).cloned().collect();
        values.retain(|name, _| config.takes_local_value(name));
        Self { files, environment, values, dropped }
    }

    /// All names with their values.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Names in the files that wrangler does not take.
    pub(crate) fn dropped(&self) -> impl Iterator<Item = &str> {
        self.dropped.iter().map(String::as_str)
    }

    /// Whether any of the files is there.
    pub(crate) fn has_files(&self) -> bool {
        !self.files.is_empty()
    }

    /// Whether the other's values come from one of the same files.
    pub(crate) fn shares_a_file(&self, other: &Self) -> bool {
        self.files.iter().any(|file| other.files.iter().any(|others| file.path == others.path))
    }

    /// The value; an empty one is none, as it is to the gate.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.text(name).filter(|value| !value.is_empty())
    }

    /// The value, even if it is empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|value| value.as_str())
    }

    /// Where the value stands: a file without its folder, or the environment. For a name without a value, where one would.
    pub(crate) fn place(&self, name: &str) -> String {
        let environment = self.environment.as_ref().and_then(|environment| environment.get(name));
        if environment.is_some_and(|value| !value.is_empty()) {
            return "the environment".to_owned();
        }
        let has_it = |file: &&File| dotenv::parse(&file.text).get(name).is_some();
        let file = self.files.iter().rfind(has_it).or_else(|| self.files.first());
        file.map_or_else(|| ".dev.vars".to_owned(), |file| file.name.clone())
    }

    /// Writes the file anew with these values, or without them; everything else stays as it was written. Wrangler reads from it
    /// exactly these values.
    ///
    /// # Errors
    /// There are several files, a value cannot stand in such a file, or the file cannot be written.
    pub(crate) fn write_with(&self, changes: &[(&str, Option<&str>)]) -> Outcome<()> {
        let [file] = self.files.as_slice() else {
            return Err(Error::failed(
                "the local gate's secrets come from several .env files, or from the environment alone",
                "put PEPPER into .dev.vars, then run the command again",
            ));
        };
        if fs::read(&file.path).is_ok_and(|bytes| str::from_utf8(&Zeroizing::new(bytes)).is_err()) {
            return Err(Error::failed(
                format!("{} holds bytes that are not UTF-8, and would lose them", file.name),
                "write the file in UTF-8, then run the command again",
            ));
        }
        let text = changed(&file.text, changes, self.environment.as_ref()).ok_or_else(|| {
            Error::failed(
                format!(
                    "{} cannot be changed so that wrangler reads the new values and no others",
                    file.name
                ),
                "edit the file by hand",
            )
        })?;
        // In one step: `wrangler dev` watches the file.
        rewrite(&file.path, text.as_bytes()).map_err(|e| {
            Error::failed(
                format!("cannot write {}: {e}", file.name),
                "make the file your own, and it and its folder writable",
            )
        })
    }
}

/// As Node.js reads it: what is not UTF-8 is replaced.
fn read(path: &Path) -> io::Result<Zeroizing<String>> {
    let bytes = Zeroizing::new(fs::read(path)?);
    Ok(Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned()))
}

/// The `.env` files of a folder; later ones override earlier ones, and those that cannot be read are passed over.
fn dot_env(folder: &Path, environment: Option<&str>) -> Vec<File> {
    let own = environment.into_iter().flat_map(|name| [format!(".env.{name}"), format!(".env.{name}.local")]);
    let names = [".env", ".env.local"].map(str::to_owned).into_iter().chain(own);
    let read = |name: String| {
        let path = folder.join(&name);
        Some(File { text: read(&path).ok()?, name, path })
    };
    names.filter_map(read).collect()
}

/// What wrangler takes for the environment: its own, and the `.env` files of the folder that it is run in.
fn environment_of_wrangler(environment: Option<&str>) -> Variables {
    let own = env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?.into())));
    let files = dot_env(Path::new(""), environment);
    values_of(files.iter().map(|file| file.text.as_str()), Some(&own.collect()))
}

/// # Errors
/// As wrangler: it says neither true nor false.
fn flag(environment: &Variables, name: &str, default: bool) -> Outcome<bool> {
    match environment.get(name).map(|value| value.to_ascii_lowercase()).as_deref() {
        None => Ok(default),
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(_) => Err(Error::usage(format!("{name} is neither true nor false"), "set it to one of them")),
    }
}

fn values_of<'t>(texts: impl Iterator<Item = &'t str>, environment: Option<&Variables>) -> Variables {
    let mut all = Values::default();
    for text in texts {
        let values = dotenv::parse(text);
        for name in values.names() {
            all.set(name, Zeroizing::new(values.get(name).unwrap_or_default().to_owned()));
        }
    }
    match environment {
        Some(environment) => dotenv::expanded(&all, environment),
        None => all.into_map(),
    }
}

/// `text` without its assignments to the names in `changes`, and with new ones at its end, which keep their comments. `None` when the result would not be read
/// as `text` with these changes.
fn changed(
    text: &str,
    changes: &[(&str, Option<&str>)],
    environment: Option<&Variables>,
) -> Option<Zeroizing<String>> {
    let mut expected = values_of([text].into_iter(), environment);
    for (name, value) in changes {
        match value {
            Some(value) => expected.insert((*name).to_owned(), Zeroizing::new((*value).to_owned())),
            None => expected.remove(*name),
        };
    }
    let line_end =
        if text.split_once('\n').is_some_and(|(first, _)| first.ends_with('\r')) { "\r\n" } else { "\n" };
    let normalized = dotenv::normalized(text);
    // Where the assignments are without the `\r` that are dropped, and where with them.
    let dropped: Vec<usize> = text.match_indices("\r\n").enumerate().map(|(n, (at, _))| at - n).collect();
    let written_at = |at: usize| at + dropped.iter().filter(|before| **before < at).count();
    let mut rest = Zeroizing::new(String::with_capacity(2 * text.len() + 4096));
    let mut kept_until = 0;
    let mut comments: BTreeMap<&str, &str> = BTreeMap::new();
    for assignment in dotenv::assignments(&normalized) {
        if changes.iter().any(|(name, _)| *name == assignment.name) {
            rest.push_str(text.get(kept_until..written_at(assignment.range.start))?);
            let tail = normalized.get(assignment.range.end..)?;
            let (behind, below) = tail.split_once('\n').unwrap_or((tail, ""));
            if let Some(at) = behind.find('#') {
                comments.insert(assignment.name, behind.get(at..)?.trim_end());
            }
            kept_until = written_at(normalized.len() - below.len());
        }
    }
    rest.push_str(text.get(kept_until..)?);
    if !rest.is_empty() && !rest.ends_with(['\n', '\r']) {
        rest.push_str(line_end);
    }
    let with = |(quote, comments): (&str, &BTreeMap<&str, &str>)| {
        let mut new = rest.clone();
        for (name, value) in changes {
            let Some(value) = value else { continue };
            let value = match environment {
                Some(_) => Zeroizing::new(value.replace('$', "\\$")),
                None => Zeroizing::new((*value).to_owned()),
            };
            let comment = comments.get(name).map(|comment| format!(" {comment}")).unwrap_or_default();
            for part in [name, "=", quote, &value, quote, &comment, line_end] {
                new.push_str(part);
            }
        }
        (values_of([new.as_str()].into_iter(), environment) == expected).then_some(new)
    };
    // A comment with quotes may change how the line is read.
    let comments = [comments, BTreeMap::new()];
    comments.iter().flat_map(|comments| ["\"", "'", "`"].map(|quote| (quote, comments))).find_map(with)
}

#[cfg(test)]
mod tests {
    use super::{Variables, changed, values_of};
    use proptest::prelude::{prop_assert_eq, proptest};

    fn parse(text: &str) -> Variables {
        values_of([text].into_iter(), None)
    }

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
                "# mine\nexport PEPPER='old'\nOTHER=`x\nPEPPER=1`\n\nPEPPER=\"a\nb\"\n",
                "# mine\nOTHER=`x\nPEPPER=1`\n\n",
            ),
            ("PEPPER=old\n# the next comment\nexport\nPEPPER=\n'old'\nA=1\n", "# the next comment\nA=1\n"),
            ("A=1\nPEPPER_PREVIOUS=x", "A=1\n"),
        ] {
            let text = changed(text, &changes, None).unwrap();
            assert_eq!(text.as_str(), format!("{rest}PEPPER=\"new\"\nPEPPER_PREVIOUS=\"old\"\n"));
        }
        for (text, comment) in [
            ("A=1\nPEPPER='old' # of 2026\n", " # of 2026"),
            ("A=1\nPEPPER=old#x \n", " #x"),
            ("PEPPER=a # first\nA=1\nPEPPER=\"a\nb\" # it's \"mine\"", " # it's \"mine\""),
            ("A=1\nexport PEPPER= # none\n", " # none"),
        ] {
            let text = changed(text, &changes, None).unwrap();
            assert_eq!(text.as_str(), format!("A=1\nPEPPER=\"new\"{comment}\nPEPPER_PREVIOUS=\"old\"\n"));
        }
        assert_eq!(changed("A=1\nPEPPER=x\n", &[("PEPPER", None)], None).unwrap().as_str(), "A=1\n");
        let windows = changed("A=1\r\nPEPPER=x\r\n", &[("PEPPER", Some("y"))], None).unwrap();
        assert_eq!(windows.as_str(), "A=1\r\nPEPPER=\"y\"\r\n");
        let mixed = changed("A=1\nPEPPER=x\r\nB=2\rC=3\r\n", &[("PEPPER", Some("y"))], None).unwrap();
        assert_eq!(mixed.as_str(), "A=1\nB=2\rC=3\r\nPEPPER=\"y\"\n");
        let referring = changed("A=1\n", &[("B", Some("x$A\\$"))], Some(&Variables::new())).unwrap();
        let read = values_of([referring.as_str()].into_iter(), Some(&Variables::new()));
        assert_eq!(read.get("B").map(|value| value.as_str()), Some("x$A\\$"));
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
            let new = changed(&text, &[("A", Some(&value)), ("B", None)], None).unwrap();
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
