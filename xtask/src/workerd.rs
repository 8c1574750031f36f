//! The Workers runtime by itself: `workerd serve`, without wrangler.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::Failure;
use crate::workspace::Workspace;

/// The runtime itself: the program of the same name among npm's is a script that starts it.
pub(crate) fn program(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let packages = workspace.root().join("node_modules/@cloudflare");
    let platforms = fs::read_dir(&packages).into_iter().flatten().flatten();
    let programs = platforms.map(|package| package.path().join("bin/workerd"));
    let mut found = programs.filter(|program| program.is_file());
    found.next().ok_or_else(|| Failure::new("workerd was not found", "run `cargo xtask setup`"))
}

/// The date in wrangler.toml: the gate runs as it is deployed.
pub(crate) fn compatibility_date(workspace: &Workspace) -> Result<String, Failure> {
    let config = workspace.read("wrangler.toml")?;
    let date =
        config.lines().find_map(|line| line.strip_prefix("compatibility_date = \"")?.strip_suffix('"'));
    date.map(str::to_owned).ok_or_else(|| {
        Failure::new("`wrangler.toml` has no compatibility_date", "restore it with `git checkout`")
    })
}

/// One Worker on the socket `http`, with the KV namespace `KEYS` behind `kv`. Modules and bindings are Cap'n Proto.
pub(crate) fn config(modules: &str, bindings: &str, date: &str, kv: SocketAddr) -> String {
    format!(
        r#"using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
    services = [
        (name = "main", worker = (
            compatibilityDate = "{date}",
            modules = [{modules}],
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
"#
    )
}

/// Serves a config. The listening socket is handed over as standard input: requests can queue before the runtime is up, and
/// nobody else can take the port.
pub(crate) fn serve(program: &Path, config: &Path, listener: TcpListener) -> Command {
    let mut command = Command::new(program);
    command.arg("serve").arg(config).arg("--socket-fd=http=0").stdin(Stdio::from(OwnedFd::from(listener)));
    command
}
