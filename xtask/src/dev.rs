//! `cargo xtask dev`: the gate on this machine, with the control Worker, in front of a demo API, with a key to try.
//!
//! Everything listens on loopback. Each run issues a key of its own, because a key is printed once and kept nowhere;
//! it expires after a day.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use signal_hook::consts::TERM_SIGNALS;
use signal_hook::iterator::Signals;

use crate::bundle;
use crate::demo_origin;
use crate::failure::Failure;
use crate::gate_process::{Event, GateProcess, status_of};
use crate::keygate;
use crate::program;
use crate::steps::side_by_side;
use crate::workspace::Workspace;

#[derive(Args)]
pub(crate) struct Options {
    /// The port of the gate, on loopback
    #[arg(long, default_value_t = 8787)]
    port: u16,
    /// The port of the demo API, on loopback
    #[arg(long, default_value_t = 8788)]
    origin_port: u16,
    /// Your own API, such as `http://127.0.0.1:5000`, in place of the demo API
    #[arg(long, value_name = "URL", conflicts_with = "origin_port")]
    origin: Option<String>,
}

/// Wrangler and the runtime take two to five seconds; a machine under load may take a multiple.
const READY_WITHIN: Duration = Duration::from_mins(3);

/// Only after such a silence the gate is looked at: wrangler may be saying why it ends.
const SILENCE: Duration = Duration::from_millis(200);

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<(), Failure> {
    // First of all, as a first run takes minutes before it comes to the ports.
    let gate_port = listen(options.port, "--port")?;
    let demo_origin = match &options.origin {
        None => Some(listen(options.origin_port, "--origin-port")?),
        Some(_) => None,
    };
    drop(gate_port);
    // The gate waits for npm, and then for a linker that takes one core.
    let ((), keygate) = side_by_side(|| bundle::build(workspace), || keygate::build(workspace))?;
    make_pepper(workspace, &keygate)?;
    let key = issue_key(workspace, &keygate)?;
    if let Some(listener) = demo_origin {
        demo_origin::serve(listener)?;
    }

    let (events, inbox) = mpsc::channel();
    let interrupt = events.clone();
    let mut signals = Signals::new(TERM_SIGNALS).map_err(|error| {
        Failure::new(format!("Ctrl-C cannot be watched: {error}"), "run the command again")
    })?;
    thread::spawn(move || signals.forever().try_for_each(|_| interrupt.send(Event::Interrupted)));
    let mut gate = GateProcess::start(wrangler_dev(workspace, options), &events)?;

    if is_ready(&mut gate, &inbox, options, &key)? {
        print_ready(options, &key);
        follow(&mut gate, &inbox)?;
    }
    eprintln!("\nstopped");
    Ok(())
}

/// Waits until the gate lets the key through, or answers at all where the API is not ours: false when the person ended it before.
fn is_ready(
    gate: &mut GateProcess,
    inbox: &Receiver<Event>,
    options: &Options,
    key: &str,
) -> Result<bool, Failure> {
    let deadline = Instant::now() + READY_WITHIN;
    // What wrangler says while it starts is of interest only when it does not.
    let mut held_back = Vec::new();
    loop {
        match inbox.recv_timeout(SILENCE) {
            Ok(Event::Interrupted) => return Ok(false),
            Ok(Event::Line(line)) => held_back.push(line),
            Err(_) => {
                let ended = gate.has_ended();
                let status = if ended { None } else { status_of(options.port, key) };
                if status == Some(200) || (status.is_some() && options.origin.is_some()) {
                    // What came while the gate was asked belongs to its start as well: it would push the printed lines off the screen.
                    return Ok(!inbox.try_iter().any(|event| matches!(event, Event::Interrupted)));
                }
                if ended || Instant::now() > deadline {
                    for line in held_back {
                        eprintln!("{line}");
                    }
                    return Err(not_ready(ended, status));
                }
            }
        }
    }
}

/// Shows the gate's log until the person ends it.
fn follow(gate: &mut GateProcess, inbox: &Receiver<Event>) -> Result<(), Failure> {
    loop {
        match inbox.recv_timeout(SILENCE) {
            Ok(Event::Interrupted) => return Ok(()),
            Ok(Event::Line(line)) => eprintln!("{line}"),
            Err(_) if gate.has_ended() => {
                return Err(Failure::new(
                    "the gate has stopped",
                    "see what wrangler said above, then run the command again",
                ));
            }
            Err(_) => {}
        }
    }
}

fn listen(port: u16, flag: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| {
        Failure::new(
            format!("port {port} is not free: {error}"),
            format!("stop the program that uses it, or choose another with {flag}"),
        )
    })
}

/// Gives the gate a pepper, unless it has one. Asked of `keygate`, which reads wrangler's files as wrangler does.
fn make_pepper(workspace: &Workspace, keygate: &Path) -> Result<(), Failure> {
    let told = program::output(
        workspace.command(keygate).args(["pepper", "init"]),
        "see what `keygate` said above",
    )?;
    eprintln!("dev: {}", told.trim());
    Ok(())
}

fn issue_key(workspace: &Workspace, keygate: &Path) -> Result<String, Failure> {
    let issued = program::output(
        workspace
            .command(keygate)
            // The gate reads `.dev.vars`: the tool must not take another pepper from the environment.
            .env_remove("KEYGATE_PEPPER")
            .env_remove("KEYGATE_PEPPER_FROM")
            .args(["issue", "--subject=demo", "--name=Demo key", "--expires=1d"]),
        "see what `keygate` said above",
    )?;
    Ok(issued.trim().to_owned())
}

fn wrangler_dev(workspace: &Workspace, options: &Options) -> Command {
    let Options { port, origin_port, origin } = options;
    let origin = origin.clone().unwrap_or_else(|| format!("http://127.0.0.1:{origin_port}"));
    let mut command = workspace.command("wrangler");
    command
        .args(["dev", "--config=wrangler.toml", "--config=src/control/wrangler.toml"])
        .args(["--ip=127.0.0.1", "--show-interactive-dev-session=false"])
        .arg(format!("--port={port}"))
        // With a route in wrangler.toml the gate would else see requests to the route's host, over plain HTTP.
        .arg(format!("--local-upstream=127.0.0.1:{port}"))
        // What differs from the policy that is deployed: a demo origin, and no TLS on loopback.
        .arg(format!("--var=ORIGIN:{origin}"))
        .arg("--var=ALLOW_HTTP:true")
        // Wrangler would keep the URL of every request, and a key in it, in a file that others can read.
        .env("X_LOCAL_OBSERVABILITY", "false");
    command
}

fn not_ready(ended: bool, status: Option<u16>) -> Failure {
    let problem = match (ended, status) {
        (true, _) => "the gate did not start".to_owned(),
        (false, Some(status)) => format!("the gate answers {status} to the demo key"),
        (false, None) => format!("the gate did not answer within {} s", READY_WITHIN.as_secs()),
    };
    Failure::new(problem, "see what wrangler said above")
}

fn print_ready(options: &Options, key: &str) {
    let (path, origin, with_key) = match &options.origin {
        None => ("hello", "a demo API", "200"),
        Some(origin) => ("", origin.as_str(), "what your API answers"),
    };
    let url = format!("http://127.0.0.1:{}/{path}", options.port);
    println!();
    println!("ready: the gate is on {url}, in front of {origin}. Ctrl-C ends it.");
    println!();
    println!("# no key: 401");
    println!("curl -i {url}");
    println!("# the demo key, valid for a day: {with_key}");
    println!("curl -i {url} -H 'Authorization: Bearer {key}'");
    println!("# the same with one character changed: 401, and the key store was not asked");
    println!("curl -i {url} -H 'Authorization: Bearer {}'", with_one_character_changed(key));
    println!();
}

fn with_one_character_changed(key: &str) -> String {
    let mut changed = key.to_owned();
    let last = changed.pop();
    changed.push(if last == Some('A') { 'B' } else { 'A' });
    changed
}

#[cfg(test)]
mod tests {
    use super::with_one_character_changed;

    #[test]
    fn changed_key_differs_in_one_character() {
        assert_eq!(with_one_character_changed("acme_A"), "acme_B");
        assert_eq!(with_one_character_changed("acme_z"), "acme_A");
    }
}
