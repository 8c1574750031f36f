//! What the figures were measured on, and with.

use std::fs;
use std::process::Command;
use std::thread;

use serde_json::{Value, json};

use crate::failure::Failure;
use crate::program;
use crate::workspace::Workspace;

pub(super) struct Machine {
    pub(super) date: String,
    pub(super) cpu: String,
    pub(super) cores: usize,
    kernel: String,
    /// The load averages of the last 1, 5 and 15 minutes before the run.
    load: String,
    /// Empty where none runs, as is the origin.
    pub(super) workerd: String,
    pub(super) origin: String,
    rustc: String,
    commit: String,
}

impl Machine {
    pub(super) fn describe(workspace: &Workspace, workerd: String, origin: String) -> Result<Self, Failure> {
        Ok(Self { workerd, origin, ..Self::bare(workspace)? })
    }

    /// The machine by itself.
    pub(super) fn bare(workspace: &Workspace) -> Result<Self, Failure> {
        let first_line = |name: &str, arguments: &[&str]| {
            let printed = program::output(workspace.command(name).args(arguments), "install it")?;
            Ok(printed.lines().next().unwrap_or_default().to_owned())
        };
        let cpu_info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu = cpu_info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Ok(Self {
            date: first_line("date", &["-u", "+%F"])?,
            cpu: cpu.map_or("unknown", |(_, model)| model).to_owned(),
            cores: thread::available_parallelism().map_or(1, usize::from),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            load: load(),
            workerd: String::new(),
            origin: String::new(),
            rustc: first_line("rustc", &["--version"])?,
            commit: commit(workspace),
        })
    }

    pub(super) fn line(&self) -> String {
        let cores = format!("{} cores", self.cores);
        let load = format!("load {}", self.load);
        let parts = [&self.date, &self.cpu, &cores, &self.workerd, &self.origin, &load];
        parts.into_iter().filter(|part| !part.is_empty()).map(String::as_str).collect::<Vec<_>>().join(", ")
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "date": self.date,
            "cpu": self.cpu,
            "cores": self.cores,
            "kernel": self.kernel,
            "load": self.load,
            "workerd": self.workerd,
            "origin": self.origin,
            "rustc": self.rustc,
            "commit": self.commit,
        })
    }
}

/// The first three fields of `/proc/loadavg`.
fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// The commit that was measured; nothing in a copy without history.
fn commit(workspace: &Workspace) -> String {
    let described: &mut Command = &mut workspace.command("git");
    described.args(["describe", "--always", "--dirty"]);
    program::output(described, "").map(|text| text.trim().to_owned()).unwrap_or_default()
}
