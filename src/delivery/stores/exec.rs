//! `exec:COMMAND`: a line for the shell, which takes the text on standard input or prints it.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::secret_store::{CommandEnvironment, SecretStore, StoredSecret};
use crate::stores::bounded::read_bounded;
use crate::stores::program::first_word;
use crate::text::{printable, redact};
use crate::timeout::timeout;

/// How many seconds a command may take, where the default does not fit it.
const TIMEOUT_VARIABLE: &str = "KEYGATE_COMMAND_TIMEOUT";
/// A person may have to unlock something first.
const TIMEOUT_SECS: u64 = 120;
/// How long after its end what it said is waited for: a process that it left behind may keep the pipe open.
const LAST_WORDS: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(10);

/// The command.
pub(crate) struct ExecStore {
    command: String,
    environment: CommandEnvironment,
    timeout: Duration,
    /// Whether what it starts ends with it when the time is over.
    has_own_group: bool,
}

impl ExecStore {
    /// What the `environment` holds is never part of the line that the shell reads.
    ///
    /// # Errors
    /// `KEYGATE_COMMAND_TIMEOUT` is no number of seconds.
    pub(crate) fn new(command: String, environment: CommandEnvironment) -> Result<Self> {
        let timeout = timeout(TIMEOUT_VARIABLE, TIMEOUT_SECS, "a command")?;
        // A group of its own may not read the terminal: where there is one, who is asked for a password sits there, and can
        // end the command with all that it started.
        Ok(Self { command, environment, timeout, has_own_group: !has_terminal() })
    }

    /// Runs the command with `input` on its standard input; returns its standard output.
    fn run(&self, input: Option<&str>) -> Result<Zeroizing<String>> {
        let stdin = input.map_or_else(|| Ok(Stdio::null()), filled);
        let stdin = stdin.map_err(|e| self.error(&format!("cannot be given the text: {e}"), ""))?;
        let mut command = self.shell(&self.command);
        #[cfg(unix)]
        if self.has_own_group {
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
        }
        let mut child = command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| self.error(&format!("cannot be started: {e}"), ""))?;
        let (stdout, stderr) = (child.stdout.take().map(reading), child.stderr.take().map(reading));
        let status = self.wait(&mut child);
        let said = |from: Option<mpsc::Receiver<io::Result<Zeroizing<String>>>>| {
            from.and_then(|from| from.recv_timeout(LAST_WORDS).ok())
        };
        let words = match said(stderr) {
            Some(Ok(words)) => harmless(&words, input),
            _ => String::new(),
        };
        let printed = said(stdout);
        match status {
            // A command that prints too much is cut off, and may end by that.
            Ok(Some(_)) if input.is_none() && matches!(printed, Some(Err(_))) => {
                Err(self.error("printed no text, or too much of it", ""))
            }
            Ok(Some(status)) if status.success() => match printed {
                Some(Ok(text)) => Ok(text),
                // What a writing command prints is nobody's business.
                _ if input.is_some() => Ok(Zeroizing::default()),
                _ => Err(self.error("left a process behind that may go on printing", "")),
            },
            Ok(Some(status)) => Err(self.error(&ended(status), &words).unanswered()),
            Ok(None) => {
                let after = format!("did not end within {} s, and was ended", self.timeout.as_secs());
                Err(self.error(&after, &words).unanswered())
            }
            Err(e) => Err(self.error(&format!("cannot be waited for: {e}"), &words).unanswered()),
        }
    }

    /// `sh` with this line, in the environment of the command.
    fn shell(&self, line: &str) -> Command {
        let mut shell = Command::new("sh");
        for name in &self.environment.removed {
            shell.env_remove(name);
        }
        shell.args(["-c", line]).envs(self.environment.set.iter().map(|(name, value)| (name, value)));
        shell
    }

    /// Makes sure that `sh` finds the program that the line begins with, as far as that can be told. Nothing is run.
    fn check_program(&self) -> Result<()> {
        // A shell may take a file by its name that it cannot run.
        const LOOK: &str = r#"command -v "$1" && case $1 in */*) [ -f "$1" ] && [ -x "$1" ];; esac"#;
        let Some(word) = first_word(&self.command) else {
            return Ok(());
        };
        let found = self.shell(LOOK).args(["sh", word]).stdin(Stdio::null()).output();
        let found = found.map_err(|e| {
            Error::failed(
                format!("there is no `sh` to run commands with: {e}"),
                "name a store of another kind",
            )
        })?;
        if found.status.success() {
            return Ok(());
        }
        let word = printable(&redact(word));
        Err(Error::failed(
            format!("`{}` cannot be run: sh finds no program `{word}`", printable(&redact(&self.command))),
            format!("correct the command, or install `{word}`; `command -v {word}` says where sh finds it"),
        ))
    }

    /// Waits for the end; `None` when the time is over, and the command has been ended.
    fn wait(&self, child: &mut Child) -> io::Result<Option<ExitStatus>> {
        let began = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status));
            }
            if began.elapsed() >= self.timeout {
                #[cfg(unix)]
                if self.has_own_group {
                    end_group(child)?;
                }
                child.kill()?;
                child.wait()?;
                return Ok(None);
            }
            thread::sleep(POLL);
        }
    }

    fn error(&self, problem: &str, words: &str) -> Error {
        let words = if words.is_empty() { String::new() } else { format!(": {words}") };
        Error::failed(
            format!("`{}` {problem}{words}", printable(&redact(&self.command))),
            "run it by hand to see what it wants; it gets the text on standard input, and has to end with 0",
        )
    }
}

/// A standard input that holds the text and then ends. It is written before the command starts, because a command that goes on
/// after this process was killed must not find half a key there, or none, and put that in the store of a good one.
fn filled(text: &str) -> io::Result<Stdio> {
    // What a pipe takes without a reader on Linux and macOS; a key is far shorter.
    const MOST: usize = 64 * 1024;
    if text.len() > MOST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is too long for a key"));
    }
    let (reader, mut writer) = io::pipe()?;
    writer.write_all(text.as_bytes())?;
    Ok(reader.into())
}

fn ended(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("ended with {code}"),
        None => "was ended by a signal".to_owned(),
    }
}

/// Ends the child and what it started. It has not been waited for, so the group's number is still its own.
#[cfg(unix)]
fn end_group(child: &Child) -> io::Result<()> {
    use rustix::process::{Pid, Signal, kill_process_group};
    match Pid::from_raw(child.id().cast_signed()) {
        Some(group) => kill_process_group(group, Signal::KILL).map_err(io::Error::from),
        None => Ok(()),
    }
}

/// Whether this process was started from a terminal.
#[cfg(unix)]
fn has_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}

/// There are no groups to be had.
#[cfg(not(unix))]
fn has_terminal() -> bool {
    true
}

/// Reads in a thread of its own, so that a full pipe holds up neither side.
fn reading(from: impl Read + Send + 'static) -> mpsc::Receiver<io::Result<Zeroizing<String>>> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || drop(send.send(read_bounded(from))));
    receive
}

/// The end of what a command said, on one line, without the text that it was given.
fn harmless(words: &str, secret: Option<&str>) -> String {
    const LONGEST: usize = 200;
    let words = match secret.map(str::trim).filter(|secret| !secret.is_empty()) {
        Some(secret) => Zeroizing::new(words.replace(secret, "(redacted)")),
        None => Zeroizing::new(words.to_owned()),
    };
    let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let clean = printable(&redact(&line));
    let skipped = clean.chars().count().saturating_sub(LONGEST);
    clean.chars().skip(skipped).collect()
}

impl SecretStore for ExecStore {
    fn read(&self) -> Result<StoredSecret> {
        let text = self.run(None)?;
        Ok(StoredSecret { text: Some(text).filter(|text| !text.trim().is_empty()), revision: None })
    }

    fn check_writable(&self) -> Result<()> {
        // Nothing more can be tried without doing it.
        self.check_program()
    }

    fn put(&self, text: &str, _: &StoredSecret) -> Result<()> {
        self.run(Some(text)).map(drop)
    }

    fn is_readable(&self) -> bool {
        false
    }
}

#[cfg(test)]
#[path = "exec_tests.rs"]
mod tests;
