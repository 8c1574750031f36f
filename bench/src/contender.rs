//! The Workers that are compared, each as one module (and its wasm) for `workerd serve`.

use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use fs_err as fs;
use keygate_core::request::header_filter::TABLE;
use keygate_testbed::checkout::Checkout;
use keygate_testbed::http::listen;
use keygate_testbed::{output, run, workerd};
use serde_json::{Value, json};

use crate::keys;
use crate::process::Running;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Contender {
    Forward,
    Refuse,
    Handwritten,
    Minimal,
    Hono,
    VerifyApi,
    Gate,
}

impl Contender {
    pub(crate) const ALL: [Self; 7] = [
        Self::Forward,
        Self::Refuse,
        Self::Handwritten,
        Self::Minimal,
        Self::Hono,
        Self::VerifyApi,
        Self::Gate,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Refuse => "refuse",
            Self::Handwritten => "handwritten",
            Self::Minimal => "minimal",
            Self::Hono => "hono",
            Self::VerifyApi => "verify-api",
            Self::Gate => "gate",
        }
    }

    pub(crate) fn description(self) -> &'static str {
        match self {
            Self::Forward => "only forwards: the floor",
            Self::Refuse => "only refuses: the floor of refusals",
            Self::Handwritten => "JavaScript, the gate's whole job",
            Self::Minimal => "JavaScript, SHA-256 and two headers",
            Self::Hono => "the same in Hono, with its bearer-auth",
            Self::VerifyApi => "JavaScript, asks a verify API about each request",
            Self::Gate => "Keygate",
        }
    }

    fn source(self) -> &'static str {
        match self {
            Self::Forward => "bench/contenders/forward.js",
            Self::Refuse => "bench/contenders/refuse.js",
            Self::Handwritten => "bench/contenders/handwritten.js",
            Self::Minimal => "bench/contenders/minimal.js",
            Self::Hono => "bench/contenders/hono.js",
            Self::VerifyApi => "bench/contenders/verify_api.js",
            Self::Gate => "build/gate/entry.js",
        }
    }

    /// The wasm that its module imports.
    fn wasm(self) -> Option<&'static str> {
        match self {
            Self::Gate => Some("keygate_bg.wasm"),
            _ => None,
        }
    }
}

/// What the contenders are configured with; each gets all of it, and reads what it knows. What is not here has its default.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) cache_secs: u32,
    pub(crate) cache_entries: u32,
    /// `None`: the default.
    pub(crate) rejection_logs_per_minute: Option<u32>,
    pub(crate) routes: fn() -> Value,
}

/// The contenders' modules, and what they are run with.
pub(crate) struct Stage<'a> {
    pub(crate) place: &'a Path,
    pub(crate) origin: SocketAddr,
    pub(crate) kv: SocketAddr,
    pub(crate) verify_api: SocketAddr,
    workerd: PathBuf,
    compatibility_date: String,
}

impl<'a> Stage<'a> {
    /// Builds the gate, and bundles the contenders as wrangler would.
    pub(crate) fn set(
        checkout: &Checkout,
        place: &'a Path,
        contenders: &[Contender],
        origin: SocketAddr,
        kv: SocketAddr,
        verify_api: SocketAddr,
    ) -> Result<Self> {
        checkout.build_gate()?;
        for contender in contenders {
            bundle_module(checkout, *contender, place)?;
        }
        Ok(Self {
            place,
            origin,
            kv,
            verify_api,
            workerd: workerd::program(checkout)?,
            compatibility_date: workerd::compatibility_date(checkout)?,
        })
    }

    /// The runtime's version, as it names itself.
    pub(crate) fn version(&self) -> Result<String> {
        output(Command::new(&self.workerd).arg("--version"))
    }

    /// Starts a runtime of its own for one contender.
    pub(crate) fn start(&self, contender: Contender, settings: &Settings) -> Result<Worker> {
        let place = self.place.join(contender.name());
        let config = place.join("config.capnp");
        fs::write(&config, self.config(contender, settings))?;
        let log = place.join("log");
        // Appending, so that it can be emptied on the way.
        let log_file = fs::OpenOptions::new().append(true).create(true).open(&log)?;
        log_file.set_len(0)?;
        let errors = log_file.try_clone()?;
        let printed = fs::File::open(&log)?;
        let (listener, address) = listen()?;
        let mut command = workerd::serve(&self.workerd, &config, listener);
        command.stdout(log_file.into_file()).stderr(errors.into_file());
        Ok(Worker { contender, address, log, printed, process: Running::start(&mut command)? })
    }

    fn config(&self, contender: Contender, settings: &Settings) -> String {
        let wasm = contender.wasm();
        let wasm =
            wasm.map(|file| format!("(name = \"{file}\", wasm = embed \"{file}\"),")).unwrap_or_default();
        let json = |name: &str, value: &Value| {
            // A JSON string literal is a Cap'n Proto string literal as long as it is ASCII.
            format!("(name = \"{name}\", json = {}),", Value::from(value.to_string()))
        };
        let text = |name: &str, value: &str| format!("(name = \"{name}\", text = \"{value}\"),");
        let bindings = [
            text("ORIGIN", &format!("http://{}", self.origin)),
            text("KEY_PREFIX", keys::PREFIX),
            text("PEPPER", keys::PEPPER),
            json("ROUTES", &(settings.routes)()),
            json("CREDENTIALS", &json!(["bearer", "header:x-api-key"])),
            json("CACHE_SECONDS", &json!(settings.cache_secs)),
            json("CACHE_ENTRIES", &json!(settings.cache_entries)),
            settings
                .rejection_logs_per_minute
                .map(|lines| json("REJECTION_LOGS_PER_MINUTE", &json!(lines)))
                .unwrap_or_default(),
            match contender {
                Contender::VerifyApi => text("VERIFY_URL", &format!("http://{}/verify", self.verify_api)),
                _ => String::new(),
            },
        ]
        .join("\n            ");
        let modules = format!("(name = \"worker.js\", esModule = embed \"worker.js\"), {wasm}");
        workerd::config(&modules, &bindings, &self.compatibility_date, self.kv)
    }
}

/// A running contender.
pub(crate) struct Worker {
    pub(crate) contender: Contender,
    pub(crate) address: SocketAddr,
    /// What it printed: one line for each `console.log`.
    log: PathBuf,
    /// The same file, as far as it has been looked at.
    printed: fs::File,
    pub(crate) process: Running,
}

impl Worker {
    /// How many lines it has logged since this was asked last.
    pub(crate) fn new_log_lines(&mut self) -> Result<u64> {
        let mut text = Vec::new();
        self.printed.read_to_end(&mut text)?;
        Ok(text.iter().fold(0, |lines, byte| lines + u64::from(*byte == b'\n')))
    }

    /// Empties the file of what it printed: a million requests log some 300 MB.
    pub(crate) fn empty_log(&self) -> Result<()> {
        Ok(fs::OpenOptions::new().write(true).open(&self.log)?.set_len(0)?)
    }

    /// What is said when a load on it stops: its name, and the end of what it printed.
    pub(crate) fn stopped(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let last: Vec<&str> = text.lines().rev().take(5).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        format!("{}, whose last lines were:\n{}\n", self.contender.name(), last.join("\n"))
    }
}

/// Makes one module of a contender's, as wrangler would, in its folder in `place`.
fn bundle_module(checkout: &Checkout, contender: Contender, place: &Path) -> Result<()> {
    let folder = place.join(contender.name());
    fs::create_dir_all(&folder)?;
    // esbuild comes with wrangler, which calls it with the same format and conditions.
    run(checkout
        .command("esbuild")
        .args(["--bundle", "--format=esm", "--target=es2024", "--conditions=workerd,worker,browser"])
        .args(["--external:*.wasm", "--external:cloudflare:*", "--log-level=error"])
        .arg(format!("--define:STRIPPED_HEADERS={}", stripped_headers()))
        .arg(contender.source())
        .arg(format!("--outfile={}", folder.join("worker.js").display())))?;
    if let Some(file) = contender.wasm() {
        fs::copy(checkout.gate_modules().join(file), folder.join(file))?;
    }
    Ok(())
}

/// The headers that the gate does not forward, for contenders that do the same: names, and prefixes with a final `*`.
fn stripped_headers() -> Value {
    TABLE.iter().map(|row| format!("{}{}", row.name(), if row.is_prefix() { "*" } else { "" })).collect()
}
