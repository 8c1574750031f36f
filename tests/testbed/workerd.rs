//! The Workers runtime by itself: `workerd serve`, without wrangler.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::checkout::Checkout;

/// The runtime itself: the program of the same name among npm's is a script that starts it.
///
/// # Errors
///
/// When the npm packages are not installed.
pub fn program(checkout: &Checkout) -> Result<PathBuf> {
    let platforms =
        fs_err::read_dir(checkout.path("node_modules/@cloudflare")).into_iter().flatten().flatten();
    let mut programs = platforms.map(|package| package.path().join("bin/workerd"));
    programs.find(|program| program.is_file()).context("workerd was not found; run `cargo xtask setup`")
}

/// The date in wrangler.toml: the gate runs as it is deployed.
///
/// # Errors
///
/// When it has none.
pub fn compatibility_date(checkout: &Checkout) -> Result<String> {
    let config = checkout.read("wrangler.toml")?;
    let date =
        config.lines().find_map(|line| line.strip_prefix("compatibility_date = \"")?.strip_suffix('"'));
    date.map(str::to_owned).context("wrangler.toml has no compatibility_date")
}

/// One Worker on the socket `http`, with the KV namespace `KEYS` behind `kv`. Modules and bindings are Cap'n Proto.
#[must_use]
pub fn config(modules: &str, bindings: &str, date: &str, kv: SocketAddr) -> String {
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
#[must_use]
pub fn serve(program: &Path, config: &Path, listener: TcpListener) -> Command {
    let mut command = Command::new(program);
    command.arg("serve").arg(config).arg("--socket-fd=http=0").stdin(Stdio::from(OwnedFd::from(listener)));
    command
}
