//! What the figures were measured on, and with.

use std::fs;
use std::thread;

use anyhow::Result;
use keygate_testbed::checkout::Checkout;
use keygate_testbed::output;
use serde_json::{Value, json};

pub(crate) struct Machine {
    pub(crate) date: String,
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    kernel: String,
    /// The load averages of the last 1, 5 and 15 minutes before the run.
    load: String,
    /// Empty where none runs, as is the origin.
    pub(crate) workerd: String,
    pub(crate) origin: String,
    rustc: String,
    commit: String,
}

impl Machine {
    pub(crate) fn describe(checkout: &Checkout, workerd: String, origin: String) -> Result<Self> {
        Ok(Self { workerd, origin, ..Self::bare(checkout)? })
    }

    /// The machine by itself.
    pub(crate) fn bare(checkout: &Checkout) -> Result<Self> {
        let first_line = |name: &str, arguments: &[&str]| {
            let printed = output(checkout.command(name).args(arguments))?;
            anyhow::Ok(printed.lines().next().unwrap_or_default().to_owned())
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
            commit: commit(checkout),
        })
    }

    pub(crate) fn line(&self) -> String {
        let cores = format!("{} cores", self.cores);
        let load = format!("load {}", self.load);
        let parts = [&self.date, &self.cpu, &cores, &self.workerd, &self.origin, &load];
        parts.into_iter().filter(|part| !part.is_empty()).map(String::as_str).collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn to_json(&self) -> Value {
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
fn commit(checkout: &Checkout) -> String {
    output(checkout.command("git").args(["describe", "--always", "--dirty"])).unwrap_or_default()
}
