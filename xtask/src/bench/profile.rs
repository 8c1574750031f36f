//! `cargo xtask bench profile`: where in the runtime's process a request's time goes, by Linux's `perf`.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use clap::Args;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::failure::Failure;
use crate::workspace::Workspace;

use super::contender::Contender;
use super::load::{Client, Traffic};
use super::rounds::{Bench, Effort, FULL, per};
use super::scenario::{self, Scenario};

#[derive(Args)]
pub(crate) struct Options {
    /// How many requests of each kind are looked at
    #[arg(long, default_value_t = 40_000)]
    requests: usize,
}

/// Something that a request's time is spent on: what a function's name holds that does it, or has it done. The names are
/// those of workerd and V8; one that is not found any more counts as 0.
struct Part {
    what: &'static str,
    holds: &'static [&'static str],
    /// Only where the function itself runs, not what it calls.
    is_self: bool,
}

const fn part(what: &'static str, holds: &'static [&'static str]) -> Part {
    Part { what, holds, is_self: false }
}

const PARTS: [Part; 13] = [
    part(
        "the Worker's code, and all that it calls",
        &["Builtins_JSEntryTrampoline", "Builtins_RunMicrotasks"],
    ),
    Part { what: "  wasm by itself", holds: &["wasm-function"], is_self: true },
    Part {
        what: "  JavaScript by itself",
        holds: &["JS:*", "JS:+", "JS:^", "JS:~", "Builtins_"],
        is_self: true,
    },
    part("  `fetch`, to where the request is on its way", &["api::fetchImpl"]),
    part("    the platform's own note of `no-store`", &["serializeCfBlobJson"]),
    part(
        "  `Headers`: made, read, changed",
        &["api7Headers", "api::Headers::Headers", "api::Headers::constructor"],
    ),
    part("  the timer", &["setTimeout"]),
    part("  Web Crypto", &["SubtleCrypto"]),
    part("  `console.log`", &["handleLog"]),
    part("  `new Response`", &["api::Response::constructor"]),
    part("what goes on when a promise is kept", &["resumeAfterIo"]),
    part("V8's collector", &["Heap::CollectGarbage"]),
    part("the end of the request's context", &["IoContext::~IoContext", "IncomingRequest::~"]),
];

/// The floors, the handwritten Worker, and the gate.
const CONTENDERS: [Contender; 4] =
    [Contender::Forward, Contender::Refuse, Contender::Handwritten, Contender::Gate];

pub(super) fn run(workspace: &Workspace, options: &Options) -> Result<(), Failure> {
    let place = super::Place::make()?;
    let mut bench = super::set_up(workspace, &place, Effort { keys: 10, ..FULL }, &CONTENDERS)?;
    println!(
        "CPU time for one request, and what of it goes where, in %: samples of `perf`, of {} requests each.\nThe columns are \
         of different moments, so only the shares can be compared.",
        options.requests
    );
    for scenario in scenario::ALL.iter().filter(|one| matches!(one.name, "accepted" | "no-key" | "forged")) {
        let traffic = scenario.traffic(&bench.issued, &mut bench.maker);
        let contenders = [scenario.floor(), Contender::Handwritten, Contender::Gate];
        let mut columns = Vec::new();
        for contender in contenders {
            columns.push(profile(&bench, &place.0, scenario, &traffic, contender, options.requests)?);
        }
        println!("\n{:<48}{}", scenario.title, contenders.map(|one| format!("{:>12}", one.name())).concat());
        print_row("all of the process, in µs", columns.iter().map(|column| column.cpu_us));
        for (at, part) in PARTS.iter().enumerate() {
            print_row(part.what, columns.iter().map(|column| column.samples.share(at)));
        }
    }
    Ok(())
}

fn print_row(what: &str, figures: impl Iterator<Item = f64>) {
    let figures: Vec<String> = figures.map(|figure| format!("{figure:>12.1}")).collect();
    println!("{what:<48}{}", figures.concat());
}

/// What the samples of one contender say.
struct Column {
    cpu_us: f64,
    samples: Samples,
}

fn profile(
    bench: &Bench<'_>,
    place: &Path,
    scenario: &Scenario,
    traffic: &Traffic,
    contender: Contender,
    requests: usize,
) -> Result<Column, Failure> {
    // V8 then writes which code it has put where.
    let worker = bench.stage.start_with(contender, &scenario.settings, &["--perf-basic-prof"])?;
    let mut client = Client::connect(worker.address)?;
    let warm_up = bench.effort.warm_up;
    let mut send = |numbers| {
        let answered = client.send(traffic, numbers, scenario.status_of(contender));
        answered.map_err(|failure| worker.stopped(&failure))
    };
    send(0..warm_up)?;
    let data = place.join("perf.data");
    let id = worker.process.id();
    let mut perf = Command::new("perf")
        .args(["record", "--quiet", "--event=cpu-clock", "--freq=1000", "--call-graph=fp"])
        .arg(format!("--pid={id}"))
        .arg(format!("--output={}", data.display()))
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|_| no_perf())?;
    let cpu_nanos = worker.process.cpu_nanos().and_then(|before| {
        send(warm_up..warm_up + requests)?;
        Ok(worker.process.cpu_nanos()? - before)
    });
    // It ends with what it has; an error means that it has ended already.
    kill(Pid::from_raw(perf.id().cast_signed()), Signal::SIGINT).unwrap_or_default();
    let samples = perf.wait().map_err(|_| no_perf()).and_then(|_| Samples::of(&data));
    // Where `perf` looks for what V8 wrote; there is nothing if V8 did not write.
    drop(fs::remove_file(format!("/tmp/perf-{id}.map")));
    Ok(Column { cpu_us: per(cpu_nanos?, requests as u64) / 1000.0, samples: samples? })
}

#[derive(Default)]
struct Samples {
    all: u64,
    of_part: [u64; PARTS.len()],
}

impl Samples {
    /// Counts what `perf record` has written.
    fn of(data: &Path) -> Result<Self, Failure> {
        let mut script = Command::new("perf")
            .args(["script", "--fields=ip,sym", "--input"])
            .arg(data)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|_| no_perf())?;
        let mut samples = Self::default();
        if let Some(printed) = script.stdout.take() {
            samples.count(BufReader::new(printed)).map_err(|_| no_perf())?;
        }
        let is_whole = script.wait().is_ok_and(|status| status.success()) && samples.all > 0;
        if is_whole { Ok(samples) } else { Err(no_perf()) }
    }

    /// A sample is a line for each function, from the one that runs to the outermost, and an empty line.
    fn count(&mut self, lines: impl BufRead) -> std::io::Result<()> {
        // Which parts a function belongs to while it runs, and while something runs that it has called.
        let mut known: HashMap<String, (u32, u32)> = HashMap::new();
        let (mut parts, mut depth) = (0_u32, 0);
        for line in lines.split(b'\n') {
            let line = line?;
            let line = String::from_utf8_lossy(&line);
            let Some((_, function)) = line.trim_ascii().split_once(' ') else {
                if depth > 0 {
                    self.add(parts);
                }
                (parts, depth) = (0, 0);
                continue;
            };
            if !known.contains_key(function) {
                known.insert(function.to_owned(), belongs_to(function));
            }
            let (by_itself, below) = known.get(function).copied().unwrap_or_default();
            parts |= if depth == 0 { by_itself } else { below };
            depth += 1;
        }
        Ok(())
    }

    /// Of the part at this place of [`PARTS`], in percent.
    fn share(&self, at: usize) -> f64 {
        100.0 * per(self.of_part.get(at).copied().unwrap_or_default(), self.all)
    }

    fn add(&mut self, parts: u32) {
        self.all += 1;
        for (at, count) in self.of_part.iter_mut().enumerate() {
            *count += u64::from(parts >> at & 1);
        }
    }
}

fn belongs_to(function: &str) -> (u32, u32) {
    let mut bits = (0, 0);
    for (at, part) in PARTS.iter().enumerate() {
        if part.holds.iter().any(|name| function.contains(name)) {
            bits.0 |= 1 << at;
            bits.1 |= u32::from(!part.is_self) << at;
        }
    }
    bits
}

fn no_perf() -> Failure {
    Failure::new(
        "`perf` cannot look at the runtime",
        "install it (Debian: linux-perf), and run this as root or set kernel.perf_event_paranoid to 1",
    )
}

#[cfg(test)]
mod tests {
    use super::{PARTS, Samples};

    #[test]
    fn a_sample_counts_once_for_a_part_that_it_runs_in_or_below() {
        let text = "\n 1 JS:wasm-function[7]-turbofan\n 2 JS:*judge x.js:1\n 3 Builtins_JSEntryTrampoline\n\n\
                     \n 4 malloc\n 5 workerd::api::fetchImpl\n 6 workerd::api::fetchImpl\n 7 Builtins_JSEntryTrampoline\n\n\
                     \n 8 read\n\n";
        let mut samples = Samples::default();
        assert!(samples.count(text.as_bytes()).is_ok());
        let of = |what: &str| {
            let mut counted = PARTS.iter().zip(samples.of_part);
            counted.find(|(part, _)| part.what.trim_start().starts_with(what)).map(|(_, count)| count)
        };
        assert_eq!(samples.all, 3);
        for (what, count) in
            [("the Worker's code", 2), ("wasm", 1), ("JavaScript", 0), ("`fetch`", 1), ("the timer", 0)]
        {
            assert_eq!(of(what), Some(count), "{what}");
        }
    }
}
