//! A process that the bench starts, measures from outside and ends.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{self, Child, ChildStdin, ChildStdout, Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::failure::Failure;
use crate::program;

/// Ends with the value.
pub(super) struct Running {
    child: Child,
}

impl Running {
    pub(super) fn start(command: &mut Command) -> Result<Self, Failure> {
        let child = command.spawn().map_err(|error| program::not_started(command, &error))?;
        alive().insert(child.id());
        Ok(Self { child })
    }

    /// CPU time so far, user and system, in nanoseconds.
    ///
    /// By thread, because `/proc/<pid>/stat` counts in hundredths of a second.
    pub(super) fn cpu_nanos(&self) -> Result<u64, Failure> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let mut nanos = 0;
        for thread in threads.map_err(|error| gone(&error))? {
            let path = thread.map_err(|error| gone(&error))?.path().join("schedstat");
            // A thread may end between the two reads.
            let Ok(text) = fs::read_to_string(path) else { continue };
            nanos += text.split(' ').next().and_then(|first| first.parse::<u64>().ok()).unwrap_or_default();
        }
        Ok(nanos)
    }

    /// Resident memory, in KiB.
    pub(super) fn resident_kib(&self) -> Result<u64, Failure> {
        self.memory_kib("VmRSS:")?.ok_or_else(|| gone(&io::Error::other("no VmRSS")))
    }

    /// The most resident memory that it has had so far, in KiB; `None` once it has ended.
    // Not `wait4`'s: that also counts what the parent had when it forked.
    pub(super) fn peak_kib(&self) -> Result<Option<u64>, Failure> {
        self.memory_kib("VmHWM:")
    }

    fn memory_kib(&self, field: &str) -> Result<Option<u64>, Failure> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.map_err(|error| gone(&error))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        Ok(line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()))
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Result<Option<ExitStatus>, Failure> {
        self.child.try_wait().map_err(|error| gone(&error))
    }

    /// What it is sent and what it says, of a command that was given pipes for them.
    pub(super) fn pipes(&mut self) -> Option<(ChildStdin, ChildStdout)> {
        self.child.stdin.take().zip(self.child.stdout.take())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Before its number can be another's.
        alive().remove(&self.child.id());
        // An error means that it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

static ALIVE: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

fn alive() -> MutexGuard<'static, BTreeSet<u32>> {
    ALIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ctrl-C and SIGTERM end every process that is running, and take `place` away, before they end the bench.
pub(super) fn end_all_when_interrupted(place: &Path) -> Result<(), Failure> {
    let place = place.to_path_buf();
    ctrlc::set_handler(move || {
        for id in &*alive() {
            // An error means that it has ended already.
            kill(Pid::from_raw(id.cast_signed()), Signal::SIGKILL).unwrap_or_default();
        }
        drop(fs::remove_dir_all(&place));
        process::exit(130);
    })
    .map_err(|error| Failure::new(format!("signals cannot be handled: {error}"), "run the command again"))
}

fn gone(error: &io::Error) -> Failure {
    Failure::new(format!("a process of the bench cannot be measured: {error}"), "run the bench on Linux")
}
