//! `cargo xtask bench memory`: whether the gate's memory stays flat while more keys pass than its cache holds.

use clap::Args;

use crate::failure::Failure;
use crate::workspace::Workspace;

use super::contender::Contender;
use super::load::Client;
use super::rounds::{Effort, FULL};
use super::scenario;

#[derive(Args)]
pub(crate) struct Options {
    /// How many requests are sent
    #[arg(long, default_value_t = 1_000_000)]
    requests: usize,
    /// How many keys they take turns with
    #[arg(long, default_value_t = 100_000)]
    keys: usize,
}

const SAMPLES: usize = 25;

pub(super) fn run(workspace: &Workspace, options: &Options) -> Result<(), Failure> {
    let place = super::Place::make()?;
    let mut bench =
        super::set_up(workspace, &place, Effort { keys: options.keys, ..FULL }, &[Contender::Gate])?;
    let scenario = scenario::all_keys_in_a_small_cache();
    let traffic = scenario.traffic(&bench.issued, &mut bench.maker);
    let worker = bench.stage.start(Contender::Gate, &scenario.settings)?;
    println!(
        "{} requests with {} keys in turn; the isolate keeps {} records",
        options.requests, options.keys, scenario.settings.cache_entries
    );
    println!("  {:>10}  {:>12}  {:>10}", "requests", "resident MiB", "KV reads");
    let mut client = Client::connect(worker.address)?;
    let step = options.requests.div_ceil(SAMPLES).max(1);
    let mut sent = 0;
    while sent < options.requests {
        let until = (sent + step).min(options.requests);
        let answered = client.send(&traffic, sent..until, scenario.status_of(Contender::Gate));
        answered.map_err(|failure| worker.stopped(&failure))?;
        sent = until;
        worker.empty_log()?;
        println!("  {:>10}  {:>12}  {:>10}", sent, worker.process.resident_kib()? / 1024, bench.kv.reads());
    }
    Ok(())
}
