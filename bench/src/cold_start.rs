//! How long after its start a Worker gives its first answer.

use std::time::Instant;

use anyhow::Result;
use clap::Args;
use keygate_testbed::checkout::Checkout;

use crate::contender::Contender;
use crate::load::Client;
use crate::place::Place;
use crate::rounds::{Bench, Effort, QUICK, quantile};
use crate::scenario;

#[derive(Args)]
pub(crate) struct Options {
    /// How often each contender is started
    #[arg(long, default_value_t = 50)]
    starts: usize,
}

const CONTENDERS: [Contender; 3] = [Contender::Forward, Contender::Handwritten, Contender::Gate];

struct Starts {
    contender: Contender,
    wall_ms: Vec<f64>,
    cpu_ms: Vec<f64>,
}

/// From the start of the runtime's process to the end of its first answer, an accepted request whose record is read from
/// KV. The runtime's own start is in it; what a Worker adds is the difference to the one that only forwards.
pub(crate) fn run(checkout: &Checkout, options: &Options) -> Result<()> {
    let place = Place::make()?;
    let mut bench = Bench::set_up(checkout, &place, Effort { keys: 10, ..QUICK }, &CONTENDERS)?;
    let scenario = scenario::accepted();
    let traffic = scenario.traffic(&bench.issued, &mut bench.maker);
    let mut all = CONTENDERS.map(|contender| Starts { contender, wall_ms: Vec::new(), cpu_ms: Vec::new() });
    for _ in 0..options.starts {
        for starts in &mut all {
            let began = Instant::now();
            let worker = bench.stage.start(starts.contender, &scenario.settings)?;
            let mut client = Client::connect(worker.address)?;
            client.send(&traffic, 0..1, 200)?;
            starts.wall_ms.push(began.elapsed().as_secs_f64() * 1000.0);
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
            let cpu_ms = worker.process.cpu_nanos()? as f64 / 1e6;
            starts.cpu_ms.push(cpu_ms);
        }
    }
    println!(
        "from the start of the process to its first answer, {} starts of each; medians, in ms",
        options.starts
    );
    println!("  {:<12} {:>8} {:>15}  {:>8}  {:>13}", "", "wall", "quartiles", "CPU", "CPU added");
    let of = |contender| all.iter().find(|starts| starts.contender == contender);
    let wall = |contender| of(contender).map_or(f64::NAN, |starts| quantile(starts.wall_ms.clone(), 2));
    let to_handwritten = wall(Contender::Gate) / wall(Contender::Handwritten);
    let floor = all.first().map_or(f64::NAN, |floor| quantile(floor.cpu_ms.clone(), 2));
    for Starts { contender, wall_ms, cpu_ms } in all {
        let [low, median, high] = [1, 2, 3].map(|quarter| quantile(wall_ms.clone(), quarter));
        let cpu = quantile(cpu_ms, 2);
        println!(
            "  {:<12} {median:>8.1} {:>15}  {cpu:>8.1}  {:>13.1}",
            contender.name(),
            format!("{low:.1} - {high:.1}"),
            cpu - floor
        );
    }
    println!("the gate's time to the handwritten Worker's: {to_handwritten:.2}, of at most 1.50");
    Ok(())
}
