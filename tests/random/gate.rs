//! The gate under test: the project's own bundle on the runtime itself, and a watch on every line that it logs.

use std::env;
use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};
use keygate_testbed::checkout::Checkout;
use keygate_testbed::http::listen;
use keygate_testbed::workerd;
use serde_json::{Value, json};

use crate::keys::{PEPPER, PREFIX, Ring};
use crate::oracle::{LISTED_PAGE, ORIGIN_AUTHORIZATION, SIGNING_KEY};
use crate::origin::Ledger;

/// Ends with the value.
pub(crate) struct Gate {
    pub(crate) address: SocketAddr,
    runtime: Child,
    /// Each counts the lines of one stream that it has looked at.
    watches: Vec<JoinHandle<u64>>,
    place: PathBuf,
}

impl Gate {
    /// Starts it in front of these two servers; a secret in its log is noted in the ledger.
    pub(crate) fn start(
        checkout: &Checkout,
        ring: &Arc<Ring>,
        ledger: &Arc<Ledger>,
        [kv, origin]: [SocketAddr; 2],
    ) -> Result<Self> {
        let place = env::temp_dir().join(format!("keygate-random-{}", process::id()));
        let modules = copy_modules(&checkout.gate_modules(), &place)?;
        let config = place.join("config.capnp");
        let date = workerd::compatibility_date(checkout)?;
        fs_err::write(&config, self::config(&modules, &date, ring, kv, origin))?;
        let (listener, address) = listen()?;
        let mut command = workerd::serve(&workerd::program(checkout)?, &config, listener);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut runtime = command.spawn().context("workerd does not start")?;
        let mut watches = Vec::new();
        watches.extend(runtime.stdout.take().map(|stream| watch(stream, ring, ledger)));
        watches.extend(runtime.stderr.take().map(|stream| watch(stream, ring, ledger)));
        Ok(Self { address, runtime, watches, place })
    }

    /// Whether the runtime runs still.
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.runtime.try_wait(), Ok(None))
    }

    /// Ends it, and says how many lines it has logged once all of them are looked at.
    pub(crate) fn end(mut self) -> u64 {
        drop(self.runtime.kill());
        let watches = std::mem::take(&mut self.watches);
        watches.into_iter().map(|watch| watch.join().unwrap_or_default()).sum()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        // An error means that it has ended already.
        drop(self.runtime.kill());
        drop(self.runtime.wait());
        // What cannot be removed is in the system's own temporary folder.
        drop(fs_err::remove_dir_all(&self.place));
    }
}

fn watch(stream: impl Read + Send + 'static, ring: &Arc<Ring>, ledger: &Arc<Ledger>) -> JoinHandle<u64> {
    let (ring, ledger) = (Arc::clone(ring), Arc::clone(ledger));
    thread::spawn(move || {
        let secrets: Vec<&str> = ring.secrets().chain([PEPPER, SIGNING_KEY, ORIGIN_AUTHORIZATION]).collect();
        let mut lines = 0;
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            lines += 1;
            let line = String::from_utf8_lossy(&line);
            if secrets.iter().any(|secret| line.contains(secret)) {
                ledger.report(format!("a log line holds a secret: {line}"), None);
            }
        }
        lines
    })
}

/// Copies the bundle, and names its modules as they import each other, the entry first.
fn copy_modules(bundle: &Path, place: &Path) -> io::Result<Vec<String>> {
    let mut modules = vec!["entry.js".to_owned()];
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        fs_err::create_dir_all(place.join(&folder))?;
        for entry in fs_err::read_dir(bundle.join(&folder))? {
            let path = folder.join(entry?.file_name());
            let name = path.to_string_lossy().into_owned();
            if bundle.join(&path).is_dir() {
                folders.push(path);
            } else if !name.starts_with('.') {
                fs_err::copy(bundle.join(&path), place.join(&path))?;
                if !modules.contains(&name) {
                    modules.push(name);
                }
            }
        }
    }
    Ok(modules)
}

fn config(modules: &[String], date: &str, ring: &Ring, kv: SocketAddr, origin: SocketAddr) -> String {
    let module = |name: &String| {
        let kind = if Path::new(name).extension().is_some_and(|extension| extension == "wasm") {
            "wasm"
        } else {
            "esModule"
        };
        format!("(name = \"{name}\", {kind} = embed \"{name}\"),")
    };
    let modules: Vec<String> = modules.iter().map(module).collect();
    // A JSON string literal is a Cap'n Proto string literal as long as it is ASCII.
    let text = |(name, value): (&str, &str)| format!("(name = \"{name}\", text = {}),", Value::from(value));
    let json = |(name, value): (&str, Value)| {
        format!("(name = \"{name}\", json = {}),", Value::from(value.to_string()))
    };
    let texts = [
        ("ORIGIN", format!("http://{origin}").as_str()),
        ("KEY_PREFIX", PREFIX),
        ("PEPPER", PEPPER),
        ("STATIC_KEYS", &ring.static_keys),
        ("DENIED_IDS", &ring.denied_ids),
        ("ORIGIN_AUTHORIZATION", ORIGIN_AUTHORIZATION),
        ("ORIGIN_SIGNING_KEY", SIGNING_KEY),
    ]
    .map(text);
    let variables = [
        (
            "ROUTES",
            json!([
                { "path": "/public/*", "access": "public" },
                { "path": "/closed/*", "access": "deny" },
                { "path": "/admin/*", "scopes": ["admin"] },
                { "path": "/read-only/*", "methods": ["GET", "HEAD"] },
            ]),
        ),
        ("CORS_ORIGINS", json!([LISTED_PAGE])),
        // Few enough that records come and go.
        ("CACHE_ENTRIES", json!(16)),
        ("REJECTION_LOGS_PER_MINUTE", json!(100_000)),
    ]
    .map(json);
    let bindings = [texts.join("\n            "), variables.join("\n            ")].join("\n            ");
    workerd::config(&modules.join(" "), &bindings, date, kv)
}
