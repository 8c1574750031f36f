//! `cargo xtask bench`: what a request costs, against Workers that do the same by other means.
//!
//! Every contender is a `workerd serve` of its own, with the same variables, KV backend and origin, on loopback. The figure
//! is the CPU time of that process for one request, user and system: on a shared machine throughput and latency say more
//! about the neighbours.

mod cold_start;
mod contender;
mod keys;
mod kv;
mod latency;
mod load;
mod machine;
mod memory;
pub(crate) mod micro;
mod origin;
mod picture;
mod process;
mod report;
mod rounds;
mod scale;
mod scenario;
mod server;
mod verify;

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process as std_process;

use clap::{Args, Subcommand};

use crate::failure::Failure;
use crate::workspace::Workspace;

use contender::{Contender, Stage};
use keys::KeyMaker;
use kv::KvBackend;
use latency::Latencies;
use machine::Machine;
use origin::Origin;
use report::Row;
use rounds::{Bench, Effort};
use verify::VerifyApi;

#[derive(Args, Default)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    other: Option<Other>,
    /// Few rounds of few requests: for a look, not for a figure
    #[arg(long)]
    quick: bool,
    /// How many rounds
    #[arg(long, value_name = "NUMBER")]
    rounds: Option<usize>,
    /// How often the contenders are started anew in these rounds
    #[arg(long, value_name = "NUMBER")]
    starts: Option<usize>,
    /// Only this scenario or contender, or `latency`; may be given more than once
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Also writes the results as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also draws the results
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Other {
    /// Sends many keys through the gate and prints its resident memory
    Memory(memory::Options),
    /// Starts contenders again and again and times their first answer
    ColdStart(cold_start::Options),
    /// Times the steps of a decision by themselves, natively and in wasm
    Micro,
    /// Has the command line import, list and export many keys, and prints time, memory and calls
    Scale(scale::Options),
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<(), Failure> {
    match &options.other {
        None => run_scenarios(workspace, options, effort(options)),
        Some(Other::Memory(options)) => memory::run(workspace, options),
        Some(Other::ColdStart(options)) => cold_start::run(workspace, options),
        Some(Other::Micro) => micro::run(workspace),
        Some(Other::Scale(options)) => scale::run(workspace, options),
    }
}

/// For `cargo xtask ci`: whether every contender still answers every kind of request as it must, and reads KV and logs as often
/// as it may. Its figures say nothing.
pub(crate) fn check(workspace: &Workspace) -> Result<(), Failure> {
    let only = ["accepted", "accepted-kv", "no-key-logged", "forged", "unknown", "scope", latency::NAME]
        .map(str::to_owned);
    run_scenarios(workspace, &Options { only: only.into(), ..Options::default() }, rounds::BRIEF)
}

fn effort(options: &Options) -> Effort {
    let preset = if options.quick { rounds::QUICK } else { rounds::FULL };
    let rounds = options.rounds.unwrap_or(preset.rounds);
    Effort { rounds, starts: options.starts.unwrap_or(preset.starts).clamp(1, rounds.max(1)), ..preset }
}

fn run_scenarios(workspace: &Workspace, options: &Options, effort: Effort) -> Result<(), Failure> {
    let chosen = Chosen::by(&options.only)?;
    let place = Place::make()?;
    let contenders: Vec<Contender> =
        Contender::ALL.into_iter().filter(|one| chosen.contenders.includes(one.name())).collect();
    let mut bench = set_up(workspace, &place, effort, &contenders)?;
    let machine = Machine::describe(workspace, bench.stage.version()?, bench.origin.version.clone())?;
    report::print_head(&machine, &effort, &contenders);
    let mut rows = Vec::new();
    for scenario in scenario::ALL.into_iter().filter(|one| chosen.measured.includes(one.name)) {
        let measured = bench.run(&scenario, |one| contenders.contains(&one))?;
        let row = Row { scenario, measured };
        row.print();
        rows.push(row);
        // After each: what a run of an hour has measured is not lost when it is stopped.
        write(options, &machine, &effort, &rows, None)?;
    }
    if !rows.is_empty() {
        report::print_table(&rows);
    }
    if chosen.measured.includes(latency::NAME) {
        let latencies = latency::run(&mut bench, &contenders)?;
        latencies.print();
        write(options, &machine, &effort, &rows, Some(&latencies))?;
    }
    report::print_bars(&rows, &effort)
}

fn write(
    options: &Options,
    machine: &Machine,
    effort: &Effort,
    rows: &[Row],
    latencies: Option<&Latencies>,
) -> Result<(), Failure> {
    if let Some(file) = &options.json {
        let json = report::to_json(machine, effort, rows, latencies);
        fs::write(file, format!("{json:#}\n")).map_err(|error| not_written(file, &error))?;
    }
    if let Some(file) = &options.svg {
        fs::write(file, picture::draw(machine, rows)).map_err(|error| not_written(file, &error))?;
    }
    Ok(())
}

/// What `--only` leaves.
struct Chosen {
    /// Scenarios, and the latency.
    measured: Names,
    contenders: Names,
}

/// Empty: all of them.
struct Names(Vec<String>);

impl Names {
    fn includes(&self, name: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|one| one == name)
    }
}

impl Chosen {
    fn by(only: &[String]) -> Result<Self, Failure> {
        let measured: Vec<&str> = scenario::ALL.iter().map(|one| one.name).chain([latency::NAME]).collect();
        let contenders = Contender::ALL.map(Contender::name);
        let known = |name: &String| measured.contains(&name.as_str()) || contenders.contains(&name.as_str());
        if let Some(unknown) = only.iter().find(|name| !known(name)) {
            let names = [measured.join(", "), contenders.join(", ")].join("; or ");
            return Err(Failure::new(format!("there is no `{unknown}`"), format!("choose from {names}")));
        }
        let among =
            |all: &[&str]| Names(only.iter().filter(|name| all.contains(&name.as_str())).cloned().collect());
        Ok(Self { measured: among(&measured), contenders: among(&contenders) })
    }
}

fn set_up<'a>(
    workspace: &Workspace,
    place: &'a Place,
    effort: Effort,
    contenders: &[Contender],
) -> Result<Bench<'a>, Failure> {
    let mut maker = KeyMaker::new()?;
    let issued = maker.make(effort.keys);
    let kv = KvBackend::start(maker.entries(&issued))?;
    let origin = Origin::start(&place.0)?;
    let verify_api = VerifyApi::start(&issued)?;
    let stage = Stage::set(workspace, &place.0, contenders, origin.address, kv.address, verify_api.address)?;
    Ok(Bench { stage, kv, verify_api, origin, maker, issued, effort })
}

/// A folder of the run's own; it goes with the value.
struct Place(PathBuf);

impl Place {
    fn make() -> Result<Self, Failure> {
        // Not in the clone: nginx, when it runs as another user, must be able to read it.
        let place = env::temp_dir().join(format!("keygate-bench-{}", std_process::id()));
        fs::create_dir_all(&place).map_err(|error| not_written(&place, &error))?;
        process::end_all_when_interrupted(&place)?;
        Ok(Self(place))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What cannot be removed is in the system's own temporary folder.
        drop(fs::remove_dir_all(&self.0));
    }
}

fn not_written(file: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("cannot write `{}`: {error}", file.display()), "make room, or set TMPDIR")
}
