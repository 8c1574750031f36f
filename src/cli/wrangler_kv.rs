//! The store behind wrangler's own `kv` commands: the local KV of `wrangler dev`.
//!
//! Values go in and out through files that only this user can read, and names of keys with them: arguments
//! have a limit, and stand in process lists. Nothing that wrangler says reaches standard output.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tempfile::NamedTempFile;

use crate::cloudflare::TOKEN_VARIABLE;
use crate::entry::Entry;
use crate::fault::{Fault, Outcome};
use crate::secrets;
use crate::store::{Listed, Store, Stored};
use crate::wrangler_toml::{KEYS_BINDING, WranglerToml};

/// The namespace bound as `KEYS`.
#[derive(Debug)]
pub(crate) struct WranglerKv {
    /// The arguments that every call ends with.
    target: Vec<OsString>,
    folder: PathBuf,
    place: String,
}

impl WranglerKv {
    /// The store of the gate that `config` describes, in its own folder or in that of `wrangler dev --persist-to`.
    ///
    /// # Errors
    /// wrangler.toml does not bind `KEYS`, or the folder cannot be named.
    pub(crate) fn new(config: &WranglerToml, persist_to: Option<&Path>) -> Outcome<Self> {
        let Some(namespace) = config.keys_namespace() else {
            return Err(config.no_namespace());
        };
        let mut target: Vec<OsString> = vec!["--binding".into(), KEYS_BINDING.into()];
        target.extend(["--config".into(), config.path().into()]);
        // Said even when it is the top, because wrangler would else look at CLOUDFLARE_ENV.
        target.push(format!("--env={}", config.environment().unwrap_or_default()).into());
        // `wrangler dev` prefers the preview namespace, where there is one.
        let preview = namespace.get("preview_id").is_some();
        target.extend(["--local".into(), format!("--preview={preview}").into()]);
        if let Some(folder) = persist_to {
            let folder = std::path::absolute(folder).map_err(|e| {
                Fault::usage(
                    format!("cannot use `--persist-to {}`: {e}", folder.display()),
                    "name the folder that `wrangler dev --persist-to` was given",
                )
            })?;
            target.extend(["--persist-to".into(), folder.into()]);
        }
        let place = "the local KV of `wrangler dev`";
        Ok(Self {
            target,
            folder: config.folder().to_owned(),
            place: match config.environment() {
                Some(name) => format!("{place} (environment {name})"),
                None => place.to_owned(),
            },
        })
    }

    /// Runs `wrangler kv …` and returns its standard output.
    fn wrangler(&self, arguments: &[&str], file: Option<&Path>) -> Outcome<Vec<u8>> {
        let path = search_path(&self.folder)?;
        let program = find_wrangler(&path)?;
        let output = secrets::withhold(&mut Command::new(program))
            .arg("kv")
            .args(arguments)
            .args(file)
            .args(&self.target)
            .current_dir(&self.folder)
            .env("PATH", &path)
            .env("NO_COLOR", "1")
            .env("FORCE_COLOR", "0")
            // A quieter level in the caller's environment would silence the JSON that is read here.
            .env("WRANGLER_LOG", "log")
            // The banner asks the npm registry for a newer version: a wait, and none of a reader's business here.
            .env("WRANGLER_HIDE_BANNER", "true")
            .env("WRANGLER_SEND_METRICS", "false")
            .env_remove(TOKEN_VARIABLE)
            // Closed, so that wrangler fails instead of asking whether to log in.
            .stdin(Stdio::null())
            .output()
            .map_err(|e| {
                Fault::failed(
                    format!("wrangler cannot be started: {e}"),
                    "install the gate's npm packages: `npm ci` beside wrangler.toml",
                )
            })?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(self.failure(&String::from_utf8_lossy(&output.stderr), &arguments.join(" ")))
    }

    fn failure(&self, said: &str, command: &str) -> Fault {
        let reason = reason(said);
        let remedy = if reason.contains("Node.js") {
            "wrangler needs Node.js 22 or later: `npm ci` beside wrangler.toml installs it"
        } else {
            "check wrangler.toml and the folder of the local store (`--persist-to`)"
        };
        Fault::failed(format!("`wrangler kv {command}` failed for {}: {reason}", self.place), remedy)
    }
}

impl Store for WranglerKv {
    fn entries(&self, names: &[String]) -> Outcome<Vec<Option<Stored>>> {
        // Not `kv key get`: for a missing local key it prints "Value not found" where the value goes, and succeeds.
        let file = temporary_json(names)?;
        let said = self.wrangler(&["bulk", "get"], Some(file.path()))?;
        let mut found: BTreeMap<String, Found> = json(&said, "kv bulk get")?;
        let stored = |name| Some(Stored { value: found.remove(name)?.value?, metadata: None });
        Ok(names.iter().map(stored).collect())
    }

    fn write(&self, entries: &[Entry]) -> Outcome<()> {
        let file = temporary_json(entries)?;
        // It may have failed at its end.
        self.wrangler(&["bulk", "put"], Some(file.path())).map(drop).map_err(Fault::unanswered)
    }

    fn list(&self, prefix: &str, page: &mut dyn FnMut(Vec<Listed>) -> Outcome<()>) -> Outcome<()> {
        /// What `kv key list` prints of each entry, all pages together.
        #[derive(Deserialize)]
        struct Row {
            name: String,
            #[serde(default)]
            metadata: Value,
        }
        let said = self.wrangler(&["key", "list", "--prefix", prefix], None)?;
        let rows: Vec<Row> = json(&said, "kv key list")?;
        let listed =
            |row: Row| Listed { name: row.name, metadata: serde_json::from_value(row.metadata).ok() };
        page(rows.into_iter().map(listed).collect())
    }

    fn place(&self) -> &str {
        &self.place
    }

    fn is_remote(&self) -> bool {
        false
    }
}

/// A value as `kv bulk get` prints it.
#[derive(Deserialize)]
struct Found {
    value: Option<String>,
}

fn json<T: for<'de> Deserialize<'de>>(said: &[u8], command: &str) -> Outcome<T> {
    serde_json::from_slice(said).map_err(|e| {
        Fault::failed(
            format!("`wrangler {command}` printed something else than the expected JSON: {e}"),
            "use the version of wrangler that package.json names: `npm ci` beside wrangler.toml",
        )
    })
}

/// A file that only this user can read, gone when it is dropped.
fn temporary_json<T: Serialize>(list: &[T]) -> Outcome<NamedTempFile> {
    let write = || -> io::Result<NamedTempFile> {
        let mut file = tempfile::Builder::new().prefix("keygate-").suffix(".json").tempfile()?;
        serde_json::to_writer(&mut file, list)?;
        file.flush()?;
        Ok(file)
    };
    write().map_err(|e| {
        Fault::failed(
            format!("cannot write a temporary file for wrangler: {e}"),
            "make room in the folder for temporary files, or name another with TMPDIR",
        )
    })
}

/// The search path with the gate's own npm packages first: wrangler, and the Node.js that it needs.
fn search_path(folder: &Path) -> Outcome<OsString> {
    let own = folder.join("node_modules").join(".bin");
    let inherited = env::var_os("PATH").unwrap_or_default();
    env::join_paths([own].into_iter().chain(env::split_paths(&inherited))).map_err(|_| {
        Fault::failed(
            format!("the folder {} cannot stand in PATH", folder.display()),
            "use a folder whose name holds no separator of PATH",
        )
    })
}

fn find_wrangler(path: &OsString) -> Outcome<PathBuf> {
    let name = if cfg!(windows) { "wrangler.cmd" } else { "wrangler" };
    env::split_paths(path).map(|folder| folder.join(name)).find(|program| program.is_file()).ok_or_else(
        || {
            Fault::failed(
                "wrangler was found neither in node_modules beside wrangler.toml nor on PATH",
                "install the gate's npm packages: `npm ci` beside wrangler.toml (or `cargo xtask setup`)",
            )
        },
    )
}

/// What wrangler adds to its messages, and is of no help here.
const AFTERWORDS: [&str; 3] = ["🪵", "If you think this is a bug", "To continue without logging in"];

/// The message in what wrangler wrote to standard error, without its decoration, on one line.
fn reason(said: &str) -> String {
    let plain = without_colours(said);
    let from = plain.find("[ERROR]").map_or(0, |at| at + "[ERROR]".len());
    let words: Vec<&str> = plain
        .get(from..)
        .unwrap_or_default()
        .lines()
        .map(str::trim)
        .take_while(|line| !AFTERWORDS.iter().any(|afterword| line.starts_with(afterword)))
        .filter(|line| !line.is_empty())
        .take(6)
        .collect();
    if words.is_empty() {
        return "it gave no reason".to_owned();
    }
    words.join(" ")
}

/// `text` without ANSI escape sequences: wrangler colours some words whatever it is told.
fn without_colours(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            // `ESC [ … letter`
            for c in chars.by_ref() {
                if c.is_ascii_alphabetic() {
                    break;
                }
            }
        } else {
            plain.push(c);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::{Found, json, reason};
    use std::collections::BTreeMap;

    #[test]
    fn a_missing_value_is_none() {
        for (said, value) in [
            (r#"{"key/a":{"value":"x"}}"#, Some("x")),
            (r#"{"key/a":{"value":null}}"#, None),
            (r#"{"key/a":{"value":"x","metadata":{"state":"active"}}}"#, Some("x")),
            ("{}", None),
        ] {
            let mut found: BTreeMap<String, Found> = json(said.as_bytes(), "kv bulk get").unwrap();
            assert_eq!(found.remove("key/a").and_then(|found| found.value).as_deref(), value, "{said}");
        }
        for other in ["", "Value not found", "[]", r#"{"key/a":7}"#] {
            assert!(json::<BTreeMap<String, Found>>(other.as_bytes(), "kv bulk get").is_err(), "{other}");
        }
    }

    #[test]
    fn the_reason_is_the_message_without_its_decoration() {
        let said = "\u{1b}[31m✘ \u{1b}[41;31m[\u{1b}[41;97mERROR\u{1b}[41;31m]\u{1b}[0m \u{1b}[1mNo KV namespace\u{1b}[0m\n\n  was found.\n\n🪵  Logs were written to \"/home/x/wrangler.log\"\n";
        assert_eq!(reason(said), "No KV namespace was found.");
        assert_eq!(reason(""), "it gave no reason");
    }
}
