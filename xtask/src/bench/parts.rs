//! `cargo xtask bench parts`: what the parts of the job cost, each by itself and all of them in one process.

use clap::Args;

use crate::failure::Failure;
use crate::workspace::Workspace;

use super::contender::{Contender, Worker};
use super::load::{Client, Traffic};
use super::rounds::{Bench, Effort, FULL, per, quantile, rest};
use super::scenario::{self, Scenario};

#[derive(Args)]
pub(crate) struct Options {
    /// How often the process is started
    #[arg(long, default_value_t = 5)]
    starts: usize,
}

const ROUNDS: usize = 40;
const REQUESTS: usize = 250;
/// To each part, before the first round.
const WARM_UP: usize = 20_000;

/// One of the parts in bench/parts.js.
#[derive(Clone, Copy)]
struct Part {
    name: &'static str,
    path: &'static str,
    what: &'static str,
}

macro_rules! part {
    ($name:literal, $what:literal) => {
        Part { name: $name, path: concat!("/", $name, "/v1/reports/42?from=2026-01-01"), what: $what }
    };
}

const MINIMAL: Part = part!("minimal", "the minimal Worker");
const HANDWRITTEN: Part = part!("handwritten", "the handwritten Worker");
const GATE: Part = part!("gate", "the gate");

/// Each is the one before it and one step more, as far as the whole Workers.
const ACCEPTED: [Part; 9] = [
    part!("forward", "only forwards: the floor"),
    part!("copy", "+ a copy of the headers, without the key"),
    part!("names", "+ six headers that tell the origin who calls"),
    part!("screen", "+ a look at each header's name"),
    part!("cache", "+ `cache: \"no-store\"`"),
    part!("timeout", "+ a time limit: all of the forwarding"),
    MINIMAL,
    HANDWRITTEN,
    GATE,
];
const REFUSED: [Part; 6] = [
    part!("refuse", "only refuses: the floor"),
    part!("answer", "+ the gate's answer, with the request's id"),
    part!("line", "+ the gate's log line: decides nothing"),
    MINIMAL,
    HANDWRITTEN,
    GATE,
];

pub(super) fn run(workspace: &Workspace, options: &Options) -> Result<(), Failure> {
    let place = super::Place::make()?;
    // What is refused is sent to each of them, with the keys of ten records.
    let mut bench = super::set_up(workspace, &place, Effort { keys: 10, ..FULL })?;
    bench.stage.add_parts(workspace)?;
    println!(
        "CPU time of one process for one request, in µs, and beyond the floor's in the same round: medians of {ROUNDS} rounds of \
         {REQUESTS} requests,\nof these the median, least and most of {} starts.",
        options.starts
    );
    for (name, parts) in [("accepted", &ACCEPTED[..]), ("no-key", &REFUSED), ("forged", &REFUSED)] {
        let mut medians = vec![Medians::default(); parts.len()];
        for _ in 0..options.starts {
            measure(&mut bench, name, parts, &mut medians)?;
        }
        println!("\n{name}");
        for (part, Medians { cpu_us, beyond }) in parts.iter().zip(medians) {
            let [least, median, most] = [0, 2, 4].map(|quarter| quantile(beyond.clone(), quarter));
            let cpu_us = quantile(cpu_us, 2);
            println!(
                "  {:<12} {cpu_us:>7.1}  {median:>6.1} ({least:>5.1} to {most:>5.1})  {}",
                part.name, part.what
            );
        }
    }
    Ok(())
}

/// A figure for each start.
#[derive(Clone, Default)]
struct Medians {
    cpu_us: Vec<f64>,
    beyond: Vec<f64>,
}

/// Starts the process, and adds a figure to each part's.
fn measure(
    bench: &mut Bench<'_>,
    name: &str,
    parts: &[Part],
    medians: &mut [Medians],
) -> Result<(), Failure> {
    let lanes: Vec<(Scenario, Traffic)> = parts
        .iter()
        .filter_map(|part| scenario::of_part(name, part.path))
        .map(|scenario| {
            let traffic = scenario.traffic(&bench.issued, &mut bench.maker);
            (scenario, traffic)
        })
        .collect();
    let Some((first, _)) = lanes.first() else { return Ok(()) };
    let worker = bench.stage.start(Contender::Parts, &first.settings)?;
    let mut sent = 0;
    for (scenario, traffic) in &lanes {
        send(&worker, scenario, traffic, WARM_UP, &mut sent)?;
    }
    let mut figures = vec![Vec::new(); parts.len()];
    for round in 0..ROUNDS {
        for turn in 0..lanes.len() {
            let at = (round + turn) % lanes.len();
            let (Some((scenario, traffic)), Some(figures)) = (lanes.get(at), figures.get_mut(at)) else {
                continue;
            };
            let before = worker.process.cpu_nanos()?;
            send(&worker, scenario, traffic, REQUESTS, &mut sent)?;
            rest();
            figures.push(per(worker.process.cpu_nanos()? - before, REQUESTS as u64) / 1000.0);
        }
    }
    let floor = figures.first().cloned().unwrap_or_default();
    for (figures, medians) in figures.into_iter().zip(medians) {
        medians
            .beyond
            .push(quantile(figures.iter().zip(&floor).map(|(this, floor)| this - floor).collect(), 2));
        medians.cpu_us.push(quantile(figures, 2));
    }
    Ok(())
}

/// On connections of its own: the runtime drops those that idle.
fn send(
    worker: &Worker,
    scenario: &Scenario,
    traffic: &Traffic,
    count: usize,
    sent: &mut usize,
) -> Result<(), Failure> {
    let numbers = *sent..*sent + count;
    *sent += count;
    let answered =
        Client::connect(worker.address)?.send(traffic, numbers, scenario.status_of(Contender::Parts));
    answered.map_err(|failure| {
        Failure::new(failure.to_string(), format!("its last lines were:\n{}", worker.last_words()))
    })
}
