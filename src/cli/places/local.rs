//! Places on this machine: a file, a command, a variable of the environment.

use std::env;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use crate::beside::beside;
use crate::fault::{Fault, Outcome};
use crate::output::{printable, redact};
use crate::places::{Held, Place};
use crate::secrets;

/// Above any key, pepper or token; a secret text is a line.
const TEXT_MAX_BYTES: u64 = 64 * 1024;

/// `file:PATH`: the text and nothing else, for its owner's eyes.
pub(super) struct FilePlace {
    path: PathBuf,
}

impl FilePlace {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    fn failed(&self, doing: &str, error: &io::Error) -> Fault {
        let remedy = match error.kind() {
            io::ErrorKind::NotFound => "make its folder, or name another file",
            io::ErrorKind::InvalidData => "see that the file holds the key or the pepper alone, as text",
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "make room, then run the command again"
            }
            _ => "see that the file and its folder are yours to read and write",
        };
        Fault::failed(format!("cannot {doing} {}: {error}", self.path.display()), remedy)
    }

    /// The file as it stands there; a link is never followed.
    fn metadata(&self) -> Outcome<Option<Metadata>> {
        let found = match fs::symlink_metadata(&self.path) {
            Ok(found) => found,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(self.failed("look at", &e)),
        };
        if found.is_file() {
            return Ok(Some(found));
        }
        let what = if found.is_symlink() { "a symbolic link" } else { "no ordinary file" };
        Err(Fault::failed(
            format!("{} is {what}", self.path.display()),
            if found.is_symlink() {
                "name the file that it leads to: a link can be turned elsewhere between looking and writing"
            } else {
                "name an ordinary file of yours, or write to it with a command: `exec:COMMAND`"
            },
        ))
    }

    /// A file beside it, for its owner alone; what it is renamed over is replaced in one step.
    fn beside(&self) -> Outcome<NamedTempFile> {
        beside(&self.path).map_err(|e| self.failed("write beside", &e))
    }

    /// What stands there now may be replaced by `fresh` without locking anybody out.
    fn check_replaceable(&self, fresh: &NamedTempFile) -> Outcome<()> {
        let Some(found) = self.metadata()? else {
            return Ok(());
        };
        let fresh = fresh.as_file().metadata().map_err(|e| self.failed("look beside", &e))?;
        match surprise(&found, &fresh) {
            None => Ok(()),
            Some(problem) => Err(Fault::failed(
                format!("{} {problem}", self.path.display()),
                "make it a file of your own with mode 600, or write it with a command of yours: `exec:COMMAND`",
            )),
        }
    }
}

/// A new file takes the old one's place, so it has an owner, a mode and names of its own.
#[cfg(unix)]
fn surprise(found: &Metadata, fresh: &Metadata) -> Option<&'static str> {
    use std::os::unix::fs::MetadataExt as _;
    if found.uid() != fresh.uid() {
        return Some("belongs to another user, who could not read the new one");
    }
    if found.mode() & 0o077 != 0 {
        return Some("may be read by others than its owner, who could not read the new one");
    }
    (found.nlink() > 1).then_some("has another name (a hard link), which would keep the old text")
}

#[cfg(not(unix))]
fn surprise(_: &Metadata, _: &Metadata) -> Option<&'static str> {
    None
}

/// Tells one writing of a file from the next; says nothing about what it holds.
fn revision(found: &Metadata) -> String {
    let since = found.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let at = since.unwrap_or_default().as_nanos();
    #[cfg(unix)]
    let file = std::os::unix::fs::MetadataExt::ino(found);
    #[cfg(not(unix))]
    let file = 0;
    format!("{file}-{at}")
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

impl Place for FilePlace {
    fn look(&self) -> Outcome<Held> {
        let Some(found) = self.metadata()? else {
            return Ok(Held { text: None, revision: None });
        };
        let text = File::open(&self.path).and_then(bounded).map_err(|e| self.failed("read", &e))?;
        Ok(Held { text: Some(text), revision: Some(revision(&found)) })
    }

    fn check_writable(&self) -> Outcome<()> {
        self.check_replaceable(&self.beside()?)
    }

    fn put(&self, text: &str, seen: &Held) -> Outcome<()> {
        let mut fresh = self.beside()?;
        fresh
            .write_all(text.as_bytes())
            .and_then(|()| fresh.as_file().sync_all())
            .map_err(|e| self.failed("write beside", &e))?;
        self.check_replaceable(&fresh)?;
        if self.metadata()?.as_ref().map(revision) != seen.revision {
            return Err(Fault::failed(
                format!("{} was changed in between", self.path.display()),
                "find out who writes it, then run the command again",
            ));
        }
        fresh.persist(&self.path).map_err(|e| self.failed("replace", &e.error))?;
        // The new name is on the disk when the folder is.
        File::open(folder(&self.path))
            .and_then(|folder| folder.sync_all())
            .map_err(|e| self.failed("make sure of", &e).unanswered())
    }
}

/// `env:NAME`: what this process was started with.
pub(super) struct EnvPlace {
    name: String,
}

impl EnvPlace {
    pub(super) fn new(name: String) -> Self {
        Self { name }
    }
}

impl Place for EnvPlace {
    fn look(&self) -> Outcome<Held> {
        match env::var(&self.name) {
            Ok(text) if !text.is_empty() => Ok(Held { text: Some(Zeroizing::new(text)), revision: None }),
            Ok(_) | Err(env::VarError::NotPresent) => Ok(Held { text: None, revision: None }),
            Err(env::VarError::NotUnicode(_)) => Err(Fault::usage(
                format!("the variable {} is not UTF-8 text", printable(&self.name)),
                "set it to the secret text alone",
            )),
        }
    }

    fn check_writable(&self) -> Outcome<()> {
        Err(Fault::usage(
            format!("env:{} can be read, not written", printable(&self.name)),
            "name a place that lasts: file:PATH, exec:COMMAND, or a secret manager",
        ))
    }

    fn put(&self, _: &str, _: &Held) -> Outcome<()> {
        self.check_writable()
    }
}

/// How long a command may take; a person may have to unlock something first.
const COMMAND_TIMEOUT: Duration = Duration::from_mins(2);
/// How long after its end what it said is waited for: a process that it left behind may keep the pipe open.
const LAST_WORDS: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(10);

/// `exec:COMMAND`: a line for the shell.
pub(super) struct ExecPlace {
    command: String,
    variables: Vec<(&'static str, String)>,
    timeout: Duration,
    /// Whether what it starts ends with it when the time is over.
    has_own_group: bool,
}

impl ExecPlace {
    /// `variables` are set for the command: what they hold is never part of the line that the shell reads.
    pub(super) fn new(command: String, variables: Vec<(&'static str, String)>) -> Self {
        // A group of its own may not read the terminal: where there is one, who is asked for a password sits there, and can
        // end the command with all that it started.
        Self { command, variables, timeout: COMMAND_TIMEOUT, has_own_group: !has_terminal() }
    }

    /// Runs the command with `input` on its standard input; returns its standard output.
    fn run(&self, input: Option<&str>) -> Outcome<Zeroizing<String>> {
        let stdin = input.map_or_else(|| Ok(Stdio::null()), filled);
        let stdin = stdin.map_err(|e| self.fault(&format!("cannot be given the text: {e}"), ""))?;
        let mut command = Command::new("sh");
        #[cfg(unix)]
        if self.has_own_group {
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
        }
        let mut child = secrets::withhold(&mut command)
            .args(["-c", &self.command])
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| self.fault(&format!("cannot be started: {e}"), ""))?;
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
                Err(self.fault("printed no text, or too much of it", ""))
            }
            Ok(Some(status)) if status.success() => match printed {
                Some(Ok(text)) => Ok(text),
                // What a writing command prints is nobody's business.
                _ if input.is_some() => Ok(Zeroizing::default()),
                _ => Err(self.fault("left a process behind that may go on printing", "")),
            },
            Ok(Some(status)) => Err(self.fault(&ended(status), &words).unanswered()),
            Ok(None) => {
                let after = format!("did not end within {} s, and was ended", self.timeout.as_secs());
                Err(self.fault(&after, &words).unanswered())
            }
            Err(e) => Err(self.fault(&format!("cannot be waited for: {e}"), &words).unanswered()),
        }
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

    fn fault(&self, problem: &str, words: &str) -> Fault {
        let words = if words.is_empty() { String::new() } else { format!(": {words}") };
        Fault::failed(
            format!("`{}` {problem}{words}", printable(&redact(&self.command))),
            "run it by hand to see what it wants; it gets the text on standard input, and has to end with 0",
        )
    }
}

/// A standard input that holds the text and then ends. It is written before the command starts, because a command that goes on
/// after this process was killed must not find half a key there, or none, and put that in the place of a good one.
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
    thread::spawn(move || drop(send.send(bounded(from))));
    receive
}

/// A text of no more than [`TEXT_MAX_BYTES`].
fn bounded(from: impl Read) -> io::Result<Zeroizing<String>> {
    // Reserved whole, so that no reallocation leaves a copy behind.
    let mut text =
        Zeroizing::new(String::with_capacity(usize::try_from(TEXT_MAX_BYTES).unwrap_or_default() + 1));
    if from.take(TEXT_MAX_BYTES + 1).read_to_string(&mut text)? as u64 > TEXT_MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is longer than a secret text is"));
    }
    Ok(text)
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

impl Place for ExecPlace {
    fn look(&self) -> Outcome<Held> {
        let text = self.run(None)?;
        Ok(Held { text: Some(text).filter(|text| !text.trim().is_empty()), revision: None })
    }

    fn check_writable(&self) -> Outcome<()> {
        // Nothing to try without doing it; the shell itself is there or is not.
        let shell = Self { command: ":".to_owned(), variables: Vec::new(), ..*self };
        shell.run(None).map(drop)
    }

    fn put(&self, text: &str, _: &Held) -> Outcome<()> {
        self.run(Some(text)).map(drop)
    }

    fn can_look(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests;
