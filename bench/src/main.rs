//! What a request costs, against Workers that do the same by other means.
//!
//! Every contender is a `workerd serve` of its own, with the same variables, KV backend and origin, on loopback. The figure
//! is the CPU time of that process for one request, user and system: on a shared machine throughput and latency say more
//! about the neighbours.

mod cold_start;
mod contender;
mod core_steps;
mod keys;
mod latency;
mod load;
mod machine;
mod memory;
mod origin;
mod picture;
mod place;
mod process;
mod report;
mod rounds;
mod scale;
mod scenario;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use keygate_testbed::checkout::Checkout;

use contender::Contender;
use latency::Latencies;
use machine::Machine;
use place::Place;
use report::Row;
use rounds::{Bench, Effort};

/// Measures what a request costs, against other Workers that do the same.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Options {
    #[command(subcommand)]
    other: Option<Other>,
    /// Few rounds of few requests: for a look, not for a figure
    #[arg(long)]
    quick: bool,
    /// One short round of what can be counted: whether every contender answers, reads KV and logs as it must; no figures
    #[arg(long, conflicts_with_all = ["quick", "rounds", "starts", "only"])]
    check: bool,
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

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let checkout = &Checkout::find()?;
    match &options.other {
        None => run_scenarios(checkout, options),
        Some(Other::Memory(options)) => memory::run(checkout, options),
        Some(Other::ColdStart(options)) => cold_start::run(checkout, options),
        Some(Other::Micro) => core_steps::run(checkout),
        Some(Other::Scale(options)) => scale::run(checkout, options),
    }
}

/// What `--check` looks at.
const COUNTED: [&str; 7] =
    ["accepted", "accepted-kv", "no-key-logged", "forged", "unknown", "scope", latency::NAME];

fn effort(options: &Options) -> Effort {
    let preset = match options {
        Options { check: true, .. } => return rounds::BRIEF,
        Options { quick: true, .. } => rounds::QUICK,
        _ => rounds::FULL,
    };
    let rounds = options.rounds.unwrap_or(preset.rounds);
    Effort { rounds, starts: options.starts.unwrap_or(preset.starts).clamp(1, rounds.max(1)), ..preset }
}

fn run_scenarios(checkout: &Checkout, options: &Options) -> Result<()> {
    let effort = effort(options);
    let chosen = if options.check { Chosen::by(&COUNTED)? } else { Chosen::by(&options.only)? };
    let place = Place::make()?;
    let contenders: Vec<Contender> =
        Contender::ALL.into_iter().filter(|one| chosen.contenders.includes(one.name())).collect();
    let mut bench = Bench::set_up(checkout, &place, effort, &contenders)?;
    let machine = Machine::describe(checkout, bench.stage.version()?, bench.origin.version.clone())?;
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
) -> Result<()> {
    if let Some(file) = &options.json {
        let json = report::to_json(machine, effort, rows, latencies);
        fs_err::write(file, format!("{json:#}\n"))?;
    }
    if let Some(file) = &options.svg {
        fs_err::write(file, picture::draw(machine, rows))?;
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
    fn by(only: &[impl AsRef<str>]) -> Result<Self> {
        let measured: Vec<&str> = scenario::ALL.iter().map(|one| one.name).chain([latency::NAME]).collect();
        let contenders = Contender::ALL.map(Contender::name);
        let only: Vec<&str> = only.iter().map(AsRef::as_ref).collect();
        if let Some(unknown) = only.iter().find(|name| !measured.contains(name) && !contenders.contains(name))
        {
            let names = [measured.join(", "), contenders.join(", ")].join("; or ");
            bail!("there is no `{unknown}`; choose from {names}");
        }
        let among = |all: &[&str]| {
            Names(only.iter().filter(|name| all.contains(name)).map(|name| (*name).to_owned()).collect())
        };
        Ok(Self { measured: among(&measured), contenders: among(&contenders) })
    }
}
