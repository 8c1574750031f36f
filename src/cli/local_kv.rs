//! The store of `wrangler dev`: the local KV, by one Node.js process that runs as long as the command does.

use std::cell::RefCell;
use std::env;
use std::ffi::OsStr;
use std::io::{self, BufRead as _};
use std::path::{Path, PathBuf};

use keygate_core::policy::bindings::KEYS;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::entry::Entry;
use crate::error::{Error, Outcome};
use crate::node::{self, Script};
use crate::store::{Listed, Store, Stored};
use crate::wrangler_config::WranglerConfig;

/// Asks Miniflare, which keeps the store for wrangler too. Standard input and output, because arguments stand in process lists.
const SCRIPT: &str = include_str!("local_kv.cjs");
/// Entries that are read or written at once: Miniflare takes up to 13 ms for each, and a request to it may last five minutes.
const AT_ONCE: usize = 500;

/// The namespace bound as `KEYS`.
#[derive(Debug)]
pub(crate) struct LocalKv {
    /// The folder of the configuration.
    project: PathBuf,
    /// Where Miniflare keeps the store.
    folder: PathBuf,
    namespace: String,
    place: String,
    process: RefCell<Option<Script>>,
}

/// What is asked, a line each.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Question<'q> {
    Get(&'q [String]),
    Put(&'q [Entry]),
    List(&'q str),
}

/// What is said to it.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Reply<T> {
    Answer(T),
    Error(String),
}

impl LocalKv {
    /// The store of the gate that `config` describes, in its own folder or in that of `wrangler dev --persist-to`.
    ///
    /// # Errors
    /// The configuration does not bind `KEYS`, or the folder cannot be named.
    pub(crate) fn new(config: &WranglerConfig, persist_to: Option<&Path>) -> Outcome<Self> {
        let namespace = config.keys_namespace().ok_or_else(|| config.no_namespace())?;
        // As `wrangler dev` does.
        let id = ["preview_id", "id"].iter().find_map(|name| namespace.get(name)?.as_str());
        Ok(Self {
            project: config.folder().to_owned(),
            folder: state_folder(config, persist_to)?,
            namespace: id.unwrap_or(KEYS).to_owned(),
            place: config.with_environment("the local KV of `wrangler dev`"),
            process: RefCell::default(),
        })
    }

    fn ask<T: DeserializeOwned>(&self, question: &Question<'_>) -> Outcome<T> {
        let mut process = self.process.borrow_mut();
        let process = match &mut *process {
            Some(process) => process,
            none => none.insert(self.start()?),
        };
        let line = exchange(process, question).unwrap_or_default();
        if line.is_empty() {
            return Err(self.failed(&process.last_words()));
        }
        match serde_json::from_slice(&line) {
            Ok(Reply::Answer(answer)) => Ok(answer),
            Ok(Reply::Error(reason)) => Err(self.failed(&reason)),
            // Not repeated: it may hold values.
            Err(_) => Err(self.failed("Miniflare answered something else than was expected")),
        }
    }

    fn start(&self) -> Outcome<Script> {
        let path = node::search_path(&self.project)?;
        let find =
            |name: &str| env::split_paths(&path).map(|folder| folder.join(name)).find(|it| it.is_file());
        // Its own place, not that of a link to it: Miniflare lies beside it.
        let wrangler = find("wrangler").and_then(|program| program.canonicalize().ok()).ok_or_else(|| {
            let problem = "wrangler was found neither in node_modules in the gate's folder nor on PATH";
            Error::failed(problem, node::INSTALL)
        })?;
        let arguments = [wrangler.as_os_str(), self.folder.as_os_str(), OsStr::new(&self.namespace)];
        Script::start(&self.project, SCRIPT, &arguments)
    }

    fn failed(&self, reason: &str) -> Error {
        let remedy = if reason.contains("Node.js") {
            "wrangler needs Node.js 22 or later; install it, or run `npm install` in the gate's folder if its package.json names one"
        } else if reason.contains("iniflare") {
            "use the version of wrangler that package.json names: `npm install` in the gate's folder"
        } else {
            "check the folder of the local store (`--persist-to`)"
        };
        Error::failed(format!("cannot use {}: {reason}", self.place), remedy)
    }
}

impl Store for LocalKv {
    fn entries(&self, names: &[String]) -> Outcome<Vec<Option<Stored>>> {
        let mut found = Vec::with_capacity(names.len());
        for names in names.chunks(AT_ONCE) {
            found.append(&mut self.ask(&Question::Get(names))?);
        }
        Ok(found)
    }

    fn write(&self, entries: &[Entry]) -> Outcome<()> {
        // It may have failed at its end.
        let put = |entries| self.ask::<Value>(&Question::Put(entries)).map_err(Error::unanswered);
        entries.chunks(AT_ONCE).try_for_each(|entries| put(entries).map(drop))
    }

    fn list(&self, prefix: &str, page: &mut dyn FnMut(Vec<Listed>) -> Outcome<()>) -> Outcome<()> {
        // All pages together.
        page(self.ask(&Question::List(prefix))?)
    }

    fn place(&self) -> &str {
        &self.place
    }
}

/// Asks the question, and reads the line of the answer; an empty one where the process has ended.
fn exchange(process: &mut Script, question: &Question<'_>) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(question)?;
    line.push(b'\n');
    process.write(&line)?;
    line.clear();
    process.output()?.read_until(b'\n', &mut line)?;
    Ok(line)
}

/// Where Miniflare keeps what `wrangler dev` stores: in the gate's folder, or in that of `wrangler dev --persist-to`.
///
/// # Errors
/// The folder cannot be named.
pub(crate) fn state_folder(config: &WranglerConfig, persist_to: Option<&Path>) -> Outcome<PathBuf> {
    let own = config.folder().join(".wrangler").join("state");
    let folder = std::path::absolute(persist_to.unwrap_or(&own)).map_err(|e| {
        Error::usage(
            format!("cannot use the folder of the local KV: {e}"),
            "name the folder that `wrangler dev --persist-to` was given",
        )
    })?;
    Ok(folder.join("v3"))
}
