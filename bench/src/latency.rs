//! How long a caller waits, at a rate of requests that does not depend on the answers.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::contender::{Contender, Worker};
use crate::load::{CONNECTIONS, Client, Traffic};
use crate::rounds::{Bench, rest};
use crate::scenario::{self, Scenario};

/// What `--only` calls it.
pub(crate) const NAME: &str = "latency";

const CONTENDERS: [Contender; 4] =
    [Contender::Forward, Contender::Handwritten, Contender::VerifyApi, Contender::Gate];

/// Requests a second. Two cores that also run the origin, the backends and the load hold it without a queue.
const RATE: u32 = 200;
/// Each contender has its turn so often: a busy moment of the machine meets all of them.
const TURNS: u32 = 10;

pub(crate) struct Latency {
    contender: Contender,
    answered: Vec<Duration>,
}

pub(crate) struct Latencies {
    seconds: u32,
    each: Vec<Latency>,
}

/// Measures accepted requests whose record is cached.
pub(crate) fn run(bench: &mut Bench<'_>, chosen: &[Contender]) -> Result<Latencies> {
    let seconds = bench.effort.latency_secs;
    let scenario = scenario::accepted();
    let traffic = scenario.traffic(&bench.issued, &mut bench.maker);
    let mut running = Vec::new();
    for contender in CONTENDERS.into_iter().filter(|one| chosen.contains(one)) {
        let worker = bench.stage.start(contender, &scenario.settings)?;
        send(&worker, &scenario, &traffic, bench.effort.warm_up)?;
        running.push((worker, Vec::new()));
    }
    let requests = usize::try_from(RATE * seconds / TURNS).unwrap_or(usize::MAX);
    for _ in 0..TURNS {
        for (worker, answered) in &mut running {
            let mut client = Client::connect(worker.address)?;
            let status = scenario.status_of(worker.contender);
            // The first request of a connection is no part of the figure.
            client.send(&traffic, 0..CONNECTIONS, status)?;
            rest();
            let turn = client.send_at(&traffic, requests, Duration::from_secs(1) / RATE, status);
            answered.extend(turn.with_context(|| worker.stopped())?);
        }
        if !running.is_empty() {
            running.rotate_left(1);
        }
    }
    running.sort_by_key(|(worker, _)| CONTENDERS.iter().position(|one| *one == worker.contender));
    let each = running.into_iter().map(|(worker, mut answered)| {
        answered.sort();
        Latency { contender: worker.contender, answered }
    });
    Ok(Latencies { seconds, each: each.collect() })
}

fn send(worker: &Worker, scenario: &Scenario, traffic: &Traffic, count: usize) -> Result<()> {
    let mut client = Client::connect(worker.address)?;
    let answered = client.send(traffic, 0..count, scenario.status_of(worker.contender));
    answered.with_context(|| worker.stopped())
}

impl Latency {
    /// In microseconds, of `percent` of the requests at most.
    fn percentile(&self, percent: usize) -> u128 {
        let at = (self.answered.len() * percent).div_ceil(100).saturating_sub(1);
        self.answered.get(at).map_or(0, Duration::as_micros)
    }
}

impl Latencies {
    pub(crate) fn print(&self) {
        println!(
            "\nlatency of accepted requests (--only {NAME}), in ms: {RATE} requests a second, whenever the answers come, for {} s \
             with each contender\n\n| | p50 | p99 |\n|---|---|---|",
            self.seconds
        );
        for one in &self.each {
            let [p50, p99] = [50, 99].map(|percent| millis(one.percentile(percent)));
            println!("| {} | {p50} | {p99} |", one.contender.name());
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        let contenders = self.each.iter().map(|one| {
            json!({
                "name": one.contender.name(),
                "requests": one.answered.len(),
                "p50_us": one.percentile(50),
                "p99_us": one.percentile(99),
            })
        });
        json!({
            "scenario": scenario::accepted().name,
            "requests_per_second": RATE,
            "seconds": self.seconds,
            "contenders": contenders.collect::<Value>(),
        })
    }
}

fn millis(micros: u128) -> String {
    format!("{}.{:02}", micros / 1000, micros % 1000 / 10)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Latency, millis};
    use crate::contender::Contender;

    #[test]
    fn percentiles_are_latencies_that_were_measured() {
        let of = |millis: std::ops::RangeInclusive<u64>| Latency {
            contender: Contender::Gate,
            answered: millis.map(Duration::from_millis).collect(),
        };
        assert_eq!([50, 99, 100].map(|percent| of(1..=200).percentile(percent)), [100_000, 198_000, 200_000]);
        assert_eq!(of(7..=7).percentile(99), 7000);
        assert_eq!(millis(1_239), "1.23");
    }
}
