//! A `wrangler dev` of ours: its process group, its output, and how it is asked and ended.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::program;

pub(crate) enum Event {
    /// A line that wrangler or the gate printed.
    Line(String),
    /// Ctrl-C, or a request to end.
    Interrupted,
}

/// Ends with the value, and with it the runtime that wrangler starts.
pub(crate) struct GateProcess {
    wrangler: Child,
}

const END_WITHIN: Duration = Duration::from_secs(5);

impl GateProcess {
    pub(crate) fn start(mut command: Command, events: &Sender<Event>) -> Result<Self, Failure> {
        // A group of its own, as the runtime is a child of wrangler: one signal reaches both.
        // Standard input is closed: a background group that reads the terminal would be stopped.
        let mut wrangler = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| program::not_started(&command, &error))?;
        if let Some(stdout) = wrangler.stdout.take() {
            send_lines(stdout, events.clone());
        }
        if let Some(stderr) = wrangler.stderr.take() {
            send_lines(stderr, events.clone());
        }
        Ok(Self { wrangler })
    }

    /// Sends a signal to wrangler and all that it started. The shell does it, as the standard library cannot.
    fn signal(&self, name: &str) {
        let mut kill = Command::new("sh");
        kill.args(["-c", "kill -s \"$0\" -- \"-$1\"", name, &self.wrangler.id().to_string()]);
        // When it does not succeed the group is gone, which is what is wanted.
        program::succeeds(&mut kill);
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.wrangler.try_wait(), Ok(None))
    }
}

impl Drop for GateProcess {
    fn drop(&mut self) {
        self.signal("INT");
        let deadline = Instant::now() + END_WITHIN;
        while !self.has_ended() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(50));
        }
        // What is left of the group, should wrangler have gone before its children or not at all.
        self.signal("KILL");
        drop(self.wrangler.wait());
    }
}

/// The status that the gate answers a request with the key, if it answers.
pub(crate) fn status_of(port: u16, key: &str) -> Option<u16> {
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    connection.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    write!(
        connection,
        "GET /hello HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut status_line = String::new();
    BufReader::new(connection).read_line(&mut status_line).ok()?;
    status_line.split(' ').nth(1)?.parse().ok()
}

fn send_lines(output: impl Read + Send + 'static, events: Sender<Event>) {
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if events.send(Event::Line(line)).is_err() {
                break;
            }
        }
    });
}
