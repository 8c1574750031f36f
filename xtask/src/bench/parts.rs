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

/// A name in bench/parts.js, and what it does.
type Part = (&'static str, &'static str);

const WHOLE: [Part; 3] =
    [("minimal", "the minimal Worker"), ("handwritten", "the handwritten Worker"), ("gate", "the gate")];

/// Each is the one before it and one step more.
const FORWARDING: [Part; 6] = [
    ("forward", "only forwards: the floor"),
    ("copy", "+ a copy of the headers, without the key"),
    ("names", "+ six headers that tell the origin who calls"),
    ("screen", "+ a look at each header's name"),
    ("cache", "+ `cache: \"no-store\"`"),
    ("timeout", "+ a time limit: all of the forwarding"),
];
const REFUSING: [Part; 3] = [
    ("refuse", "only refuses: the floor"),
    ("answer", "+ the answer to a request without a key, with its id"),
    ("line", "+ its log line: decides nothing"),
];

pub(super) fn run(workspace: &Workspace, options: &Options) -> Result<(), Failure> {
    let place = super::Place::make()?;
    let mut bench = super::set_up(workspace, &place, Effort { keys: 10, ..FULL }, &[Contender::Parts])?;
    println!(
        "CPU time of one process for one request, in µs, and beyond the floor's in the same round: medians of {ROUNDS} rounds of \
         {REQUESTS} requests,\nof these the median, least and most of {} starts.",
        options.starts
    );
    for scenario in scenario::ALL {
        let steps = match scenario.name {
            "accepted" => &FORWARDING[..],
            "no-key" | "forged" => &REFUSING,
            _ => continue,
        };
        let parts = [steps, &WHOLE].concat();
        let mut medians = vec![Medians::default(); parts.len()];
        for _ in 0..options.starts {
            measure(&mut bench, scenario, &parts, &mut medians)?;
        }
        println!("\n{}", scenario.title);
        for ((name, what), Medians { cpu_us, beyond }) in parts.iter().zip(medians) {
            let [least, median, most] = [0, 2, 4].map(|quarter| quantile(beyond.clone(), quarter));
            let cpu_us = quantile(cpu_us, 2);
            println!("  {name:<12} {cpu_us:>7.1}  {median:>6.1} ({least:>5.1} to {most:>5.1})  {what}");
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
    scenario: Scenario,
    parts: &[Part],
    medians: &mut [Medians],
) -> Result<(), Failure> {
    let lanes: Vec<(Scenario, Traffic)> = parts
        .iter()
        .map(|(part, _)| {
            let scenario = scenario.of_part(part);
            (scenario, scenario.traffic(&bench.issued, &mut bench.maker))
        })
        .collect();
    let worker = bench.stage.start(Contender::Parts, &scenario.of_part("gate").settings)?;
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
    answered.map_err(|failure| worker.stopped(&failure))
}
