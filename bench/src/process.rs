//! A process that the bench starts, measures from outside and ends.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{self, Child, ChildStdin, ChildStdout, Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context, Result};
use signal_hook::consts::TERM_SIGNALS;
use signal_hook::iterator::Signals;

const GONE: &str = "a process of the bench cannot be measured; run the bench on Linux";

/// Ends with the value.
pub(crate) struct Running {
    child: Child,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        alive().insert(child.id());
        Ok(Self { child })
    }

    /// CPU time so far, user and system, in nanoseconds.
    ///
    /// By thread, because `/proc/<pid>/stat` counts in hundredths of a second.
    pub(crate) fn cpu_nanos(&self) -> Result<u64> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let mut nanos = 0;
        for thread in threads.context(GONE)? {
            let path = thread.context(GONE)?.path().join("schedstat");
            // A thread may end between the two reads.
            let Ok(text) = fs::read_to_string(path) else { continue };
            nanos += text.split(' ').next().and_then(|first| first.parse::<u64>().ok()).unwrap_or_default();
        }
        Ok(nanos)
    }

    /// Resident memory, in KiB.
    pub(crate) fn resident_kib(&self) -> Result<u64> {
        self.memory_kib("VmRSS:")?.context(GONE)
    }

    /// The most resident memory that it has had so far, in KiB; `None` once it has ended.
    // Not `wait4`'s: that also counts what the parent had when it forked.
    pub(crate) fn peak_kib(&self) -> Result<Option<u64>> {
        self.memory_kib("VmHWM:")
    }

    fn memory_kib(&self, field: &str) -> Result<Option<u64>> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.context(GONE)?;
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        Ok(line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()))
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().context(GONE)
    }

    /// What it is sent and what it says, of a command that was given pipes for them.
    pub(crate) fn pipes(&mut self) -> Option<(ChildStdin, ChildStdout)> {
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
pub(crate) fn end_all_when_interrupted(place: &Path) -> Result<()> {
    let place = place.to_path_buf();
    let mut signals = Signals::new(TERM_SIGNALS).context("signals cannot be handled")?;
    thread::spawn(move || {
        if signals.forever().next().is_some() {
            for id in &*alive() {
                // It fails when the process has ended already.
                drop(Command::new("sh").args(["-c", "kill -s KILL \"$0\"", &id.to_string()]).status());
            }
            drop(fs::remove_dir_all(&place));
            process::exit(130);
        }
    });
    Ok(())
}
