//! The Workers that are compared, each as one module (and its wasm) for `workerd serve`.

use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use keygate_core::request::header_filter::TABLE;
use serde_json::{Value, json};

use crate::bundle;
use crate::failure::Failure;
use crate::loopback::listen;
use crate::program;
use crate::workerd;
use crate::workspace::Workspace;

use super::keys;
use super::process::Running;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Contender {
    Forward,
    Refuse,
    Handwritten,
    Minimal,
    Hono,
    VerifyApi,
    Gate,
}

impl Contender {
    pub(super) const ALL: [Self; 7] = [
        Self::Forward,
        Self::Refuse,
        Self::Handwritten,
        Self::Minimal,
        Self::Hono,
        Self::VerifyApi,
        Self::Gate,
    ];

    pub(super) fn name(self) -> &'static str {
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

    pub(super) fn description(self) -> &'static str {
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
            Self::Gate => "build/entry.js",
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
pub(super) struct Settings {
    pub(super) cache_secs: u32,
    pub(super) cache_entries: u32,
    /// `None`: the default.
    pub(super) rejection_logs_per_minute: Option<u32>,
    pub(super) routes: fn() -> Value,
}

/// The contenders' modules, and what they are run with.
pub(super) struct Stage<'a> {
    pub(super) place: &'a Path,
    pub(super) origin: SocketAddr,
    pub(super) kv: SocketAddr,
    pub(super) verify_api: SocketAddr,
    workerd: PathBuf,
    compatibility_date: String,
}

impl<'a> Stage<'a> {
    /// Builds the gate, and bundles the contenders as wrangler would.
    pub(super) fn set(
        workspace: &Workspace,
        place: &'a Path,
        contenders: &[Contender],
        origin: SocketAddr,
        kv: SocketAddr,
        verify_api: SocketAddr,
    ) -> Result<Self, Failure> {
        bundle::build(workspace)?;
        for contender in contenders {
            bundle_module(workspace, *contender, place)?;
        }
        Ok(Self {
            place,
            origin,
            kv,
            verify_api,
            workerd: workerd::program(workspace)?,
            compatibility_date: workerd::compatibility_date(workspace)?,
        })
    }

    /// The runtime's version, as it names itself.
    pub(super) fn version(&self) -> Result<String, Failure> {
        let printed =
            program::output(Command::new(&self.workerd).arg("--version"), "run `cargo xtask setup`")?;
        Ok(printed.trim().to_owned())
    }

    /// Starts a runtime of its own for one contender.
    pub(super) fn start(&self, contender: Contender, settings: &Settings) -> Result<Worker, Failure> {
        let place = self.place.join(contender.name());
        let config = place.join("config.capnp");
        fs::write(&config, self.config(contender, settings))
            .map_err(|error| super::not_written(&config, &error))?;
        let log = place.join("log");
        let log_file = fs::File::options()
            // So that it can be emptied on the way.
            .append(true)
            .create(true)
            .open(&log)
            .map_err(|error| super::not_written(&log, &error))?;
        log_file.set_len(0).map_err(|error| super::not_written(&log, &error))?;
        let errors = log_file.try_clone().map_err(|error| super::not_written(&log, &error))?;
        let printed = fs::File::open(&log).map_err(|error| super::not_written(&log, &error))?;
        let (listener, address) = listen()?;
        let mut command = workerd::serve(&self.workerd, &config, listener);
        command.stdout(log_file).stderr(errors);
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
pub(super) struct Worker {
    pub(super) contender: Contender,
    pub(super) address: SocketAddr,
    /// What it printed: one line for each `console.log`.
    log: PathBuf,
    /// The same file, as far as it has been looked at.
    printed: fs::File,
    pub(super) process: Running,
}

impl Worker {
    /// How many lines it has logged since this was asked last.
    pub(super) fn new_log_lines(&mut self) -> Result<u64, Failure> {
        let mut text = Vec::new();
        self.printed.read_to_end(&mut text).map_err(|error| {
            Failure::new(format!("cannot read `{}`: {error}", self.log.display()), "run the bench again")
        })?;
        Ok(text.iter().fold(0, |lines, byte| lines + u64::from(*byte == b'\n')))
    }

    /// Empties the file of what it printed: a million requests log some 300 MB.
    pub(super) fn empty_log(&self) -> Result<(), Failure> {
        let emptied = fs::File::options().write(true).open(&self.log).and_then(|log| log.set_len(0));
        emptied.map_err(|error| super::not_written(&self.log, &error))
    }

    /// Why a load on it stopped, with the end of what it printed.
    pub(super) fn stopped(&self, failure: &Failure) -> Failure {
        Failure::new(failure.to_string(), format!("its last lines were:\n{}", self.last_words()))
    }

    /// The end of what it printed, for the person to read when it failed.
    pub(super) fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let last: Vec<&str> = text.lines().rev().take(5).collect();
        last.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

/// Makes one module of a contender's, as wrangler would, in its folder in `place`.
fn bundle_module(workspace: &Workspace, contender: Contender, place: &Path) -> Result<(), Failure> {
    let folder = place.join(contender.name());
    fs::create_dir_all(&folder).map_err(|error| super::not_written(&folder, &error))?;
    program::run(
        workspace
            // It comes with wrangler, which calls it with the same format and conditions.
            .command("esbuild")
            .args(["--bundle", "--format=esm", "--target=es2024", "--conditions=workerd,worker,browser"])
            .args(["--external:*.wasm", "--external:cloudflare:*", "--log-level=error"])
            .arg(format!("--define:STRIPPED_HEADERS={}", stripped_headers()))
            .arg(contender.source())
            .arg(format!("--outfile={}", folder.join("worker.js").display())),
        "run `cargo xtask setup`, then the bench again",
    )?;
    if let Some(file) = contender.wasm() {
        let copy = folder.join(file);
        fs::copy(workspace.bundle().join(file), &copy).map_err(|error| super::not_written(&copy, &error))?;
    }
    Ok(())
}

/// The headers that the gate does not forward, for contenders that do the same: names, and prefixes with a final `*`.
fn stripped_headers() -> Value {
    TABLE.iter().map(|row| format!("{}{}", row.name(), if row.is_prefix() { "*" } else { "" })).collect()
}
