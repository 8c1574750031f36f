//! Whether the gate's memory stays flat while more keys pass than its cache holds.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use clap::Args;
use keygate_testbed::checkout::Checkout;

use crate::contender::Contender;
use crate::load::Client;
use crate::place::Place;
use crate::rounds::{Bench, Effort, FULL};
use crate::scenario;

#[derive(Args)]
pub(crate) struct Options {
    /// How many requests are sent to each contender
    #[arg(long, default_value_t = 300_000)]
    requests: usize,
    /// How many keys they take turns with
    #[arg(long, default_value_t = 100_000)]
    keys: usize,
}

/// What grows in both is the runtime's.
const CONTENDERS: [Contender; 2] = [Contender::Handwritten, Contender::Gate];
const SAMPLES: usize = 25;

pub(crate) fn run(checkout: &Checkout, options: &Options) -> Result<()> {
    let place = Place::make()?;
    let mut bench = Bench::set_up(checkout, &place, Effort { keys: options.keys, ..FULL }, &CONTENDERS)?;
    let scenario = scenario::all_keys_in_a_small_cache();
    let traffic = scenario.traffic(&bench.issued, &mut bench.maker);
    println!(
        "resident MiB of the runtime's process; {} requests with {} keys in turn, of which the isolate keeps {} records",
        options.requests, options.keys, scenario.settings.cache_entries
    );
    let [first, second] = CONTENDERS.map(Contender::name);
    println!("  {:>10}  {first:>12}  {second:>12}", "requests");
    let mut workers = Vec::new();
    for contender in CONTENDERS {
        workers.push(bench.stage.start(contender, &scenario.settings)?);
    }
    let step = options.requests.div_ceil(SAMPLES).max(1);
    let mut sent = 0;
    while sent < options.requests {
        let until = (sent + step).min(options.requests);
        let mut line = format!("  {until:>10}");
        for worker in &workers {
            // The runtime drops connections that idle while it is another's turn.
            let mut client = Client::connect(worker.address)?;
            let answered = client.send(&traffic, sent..until, scenario.status_of(worker.contender));
            answered.with_context(|| worker.stopped())?;
            worker.empty_log()?;
            // INVARIANT: writing to a String does not fail.
            let _ = write!(line, "  {:>12}", worker.process.resident_kib()? / 1024);
        }
        sent = until;
        println!("{line}");
    }
    Ok(())
}
