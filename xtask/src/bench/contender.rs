//! The Workers that are compared, each as one module (and its wasm) for `workerd serve`.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::bundle;
use crate::failure::Failure;
use crate::program;
use crate::workspace::Workspace;

use super::keys;
use super::process::Running;
use super::server;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Contender {
    Forward,
    Refuse,
    Handwritten,
    Minimal,
    Hono,
    Gate,
}

impl Contender {
    pub(super) const ALL: [Self; 6] =
        [Self::Forward, Self::Refuse, Self::Handwritten, Self::Minimal, Self::Hono, Self::Gate];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Refuse => "refuse",
            Self::Handwritten => "handwritten",
            Self::Minimal => "minimal",
            Self::Hono => "hono",
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
            Self::Gate => "build/entry.js",
        }
    }
}

/// What the contenders are configured with; each gets all of it, and reads what it knows.
#[derive(Clone, Copy)]
pub(super) struct Settings {
    pub(super) cache_secs: u32,
    pub(super) cache_entries: u32,
    pub(super) rejection_logs_per_minute: u32,
    pub(super) routes: fn() -> Value,
}

/// The contenders' modules, and what they are run with.
pub(super) struct Stage<'a> {
    pub(super) place: &'a Path,
    pub(super) origin: SocketAddr,
    pub(super) kv: SocketAddr,
    workerd: PathBuf,
    compatibility_date: String,
}

impl<'a> Stage<'a> {
    /// Builds the gate, and bundles every contender as wrangler would.
    pub(super) fn set(
        workspace: &Workspace,
        place: &'a Path,
        origin: SocketAddr,
        kv: SocketAddr,
    ) -> Result<Self, Failure> {
        bundle::build(workspace)?;
        for contender in Contender::ALL {
            let out = place.join(contender.name());
            // esbuild comes with wrangler, which calls it with the same format and conditions.
            program::run(
                workspace
                    .command("esbuild")
                    .args([
                        "--bundle",
                        "--format=esm",
                        "--target=es2024",
                        "--conditions=workerd,worker,browser",
                    ])
                    .args(["--external:*.wasm", "--log-level=warning"])
                    .arg(contender.source())
                    .arg(format!("--outfile={}", out.join("worker.js").display())),
                "run `cargo xtask setup`, then the bench again",
            )?;
        }
        let wasm = place.join(Contender::Gate.name()).join("keygate_bg.wasm");
        fs::copy(workspace.bundle().join("keygate_bg.wasm"), &wasm)
            .map_err(|error| super::not_written(&wasm, &error))?;
        Ok(Self {
            place,
            origin,
            kv,
            workerd: workerd(workspace)?,
            compatibility_date: compatibility_date(workspace)?,
        })
    }

    /// The runtime's version, as it names itself.
    pub(super) fn version(&self) -> Result<String, Failure> {
        program::output(Command::new(&self.workerd).arg("--version"), "run `cargo xtask setup`")
    }

    /// Starts a runtime of its own for one contender.
    pub(super) fn start(&self, contender: Contender, settings: &Settings) -> Result<Worker, Failure> {
        let place = self.place.join(contender.name());
        let config = place.join("config.capnp");
        fs::write(&config, self.config(contender, settings))
            .map_err(|error| super::not_written(&config, &error))?;
        let log = place.join("log");
        let log_file = fs::File::create(&log).map_err(|error| super::not_written(&log, &error))?;
        let errors = log_file.try_clone().map_err(|error| super::not_written(&log, &error))?;
        // The listening socket is handed over as standard input: requests can queue before the runtime is up, and nobody
        // else can take the port.
        let (listener, address) = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr().map(|address| (listener, address)))
            .map_err(|error| server::no_port(&error))?;
        let mut command = Command::new(&self.workerd);
        command
            .arg("serve")
            .arg(&config)
            .arg("--socket-fd=http=0")
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .stdout(log_file)
            .stderr(errors);
        Ok(Worker { contender, address, log, process: Running::start(&mut command)? })
    }

    fn config(&self, contender: Contender, settings: &Settings) -> String {
        let wasm = match contender {
            Contender::Gate => r#"(name = "keygate_bg.wasm", wasm = embed "keygate_bg.wasm"),"#,
            _ => "",
        };
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
            json("REJECTION_LOGS_PER_MINUTE", &json!(settings.rejection_logs_per_minute)),
            // No contender logs what it lets through.
            json("ACCESS_LOG_SAMPLE", &json!(0)),
        ]
        .join("\n            ");
        format!(
            r#"using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
    services = [
        (name = "main", worker = (
            compatibilityDate = "{date}",
            modules = [(name = "worker.js", esModule = embed "worker.js"), {wasm}],
            bindings = [
            {bindings}
            (name = "KEYS", kvNamespace = "kv"),
            ],
        )),
        (name = "kv", external = (address = "{kv}", http = ())),
        (name = "internet", network = (allow = ["private"])),
    ],
    # As behind the platform's edge, which ends TLS.
    sockets = [(name = "http", http = (forwardedProtoHeader = "X-Forwarded-Proto"), service = "main")],
);
"#,
            date = self.compatibility_date,
            kv = self.kv,
        )
    }
}

/// A running contender.
pub(super) struct Worker {
    pub(super) contender: Contender,
    pub(super) address: SocketAddr,
    /// What it printed: one line for each `console.log`.
    log: PathBuf,
    pub(super) process: Running,
}

impl Worker {
    /// How many lines it has logged so far.
    pub(super) fn log_lines(&self) -> Result<u64, Failure> {
        let text = fs::read(&self.log).map_err(|error| {
            Failure::new(format!("cannot read `{}`: {error}", self.log.display()), "run the bench again")
        })?;
        Ok(text.iter().fold(0, |lines, byte| lines + u64::from(*byte == b'\n')))
    }

    /// The end of what it printed, for the person to read when it failed.
    pub(super) fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let last: Vec<&str> = text.lines().rev().take(5).collect();
        last.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

/// The runtime itself: the program of the same name among npm's is a script that starts it.
fn workerd(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let packages = workspace.root().join("node_modules/@cloudflare");
    let platforms = fs::read_dir(&packages).into_iter().flatten().flatten();
    let programs = platforms.map(|package| package.path().join("bin/workerd"));
    let mut found = programs.filter(|program| program.is_file());
    found.next().ok_or_else(|| Failure::new("workerd was not found", "run `cargo xtask setup`"))
}

/// The date in wrangler.toml: the bench runs the gate as it is deployed.
fn compatibility_date(workspace: &Workspace) -> Result<String, Failure> {
    let config = workspace.read("wrangler.toml")?;
    let date =
        config.lines().find_map(|line| line.strip_prefix("compatibility_date = \"")?.strip_suffix('"'));
    date.map(str::to_owned).ok_or_else(|| {
        Failure::new("`wrangler.toml` has no compatibility_date", "restore it with `git checkout`")
    })
}
