//! One scenario: all contenders in turn, round after round, so that a busy moment of the machine meets all of them.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use keygate_core::key::NewKey;
use keygate_testbed::checkout::Checkout;
use keygate_testbed::kv::KvBackend;

use crate::contender::{Contender, Stage, Worker};
use crate::keys::KeyMaker;
use crate::load::{Client, Traffic};
use crate::origin::Origin;
use crate::place::Place;
use crate::scenario::Scenario;
use crate::verify::VerifyApi;

/// How much is sent.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    /// In all.
    pub(crate) rounds: usize,
    /// How often the contenders are started anew: where a process happens to have its memory and code stays with it for life.
    pub(crate) starts: usize,
    /// To each contender in each round.
    pub(crate) requests: usize,
    /// Before the first round, so that records are cached and hot code is in its final form, which wasm takes late.
    pub(crate) warm_up: usize,
    /// How many keys there are.
    pub(crate) keys: usize,
    /// How long each contender is sent requests at a fixed rate.
    pub(crate) latency_secs: u32,
}

/// Short rounds and many of them: what the neighbours do changes from second to second.
pub(crate) const FULL: Effort =
    Effort { rounds: 120, starts: 3, requests: 250, warm_up: 30_000, keys: 100_000, latency_secs: 20 };
pub(crate) const QUICK: Effort =
    Effort { rounds: 21, starts: 1, requests: 250, warm_up: 3000, keys: 10_000, latency_secs: 5 };
pub(crate) const BRIEF: Effort =
    Effort { rounds: 1, starts: 1, requests: 250, warm_up: 250, keys: 1000, latency_secs: 1 };

pub(crate) struct Measured {
    pub(crate) contender: Contender,
    /// CPU of the runtime's process for one request, in microseconds, a figure for each round, in their order.
    pub(crate) cpu_us: Vec<f64>,
    total: Totals,
}

/// What was seen at the backends and in the log, for one request.
pub(crate) struct Counters {
    pub(crate) kv_reads: f64,
    pub(crate) verify_calls: f64,
    pub(crate) origin_requests: f64,
    pub(crate) log_lines: f64,
}

impl Measured {
    /// The same contender's next start.
    fn go_on(&mut self, next: Self) {
        self.cpu_us.extend(next.cpu_us);
        self.total.requests += next.total.requests;
        self.total.kv_reads += next.total.kv_reads;
        self.total.verify_calls += next.total.verify_calls;
        self.total.origin_requests += next.total.origin_requests;
        self.total.log_lines += next.total.log_lines;
    }

    pub(crate) fn counters(&self) -> Counters {
        let Totals { requests, kv_reads, verify_calls, origin_requests, log_lines } = self.total;
        Counters {
            kv_reads: per(kv_reads, requests),
            verify_calls: per(verify_calls, requests),
            origin_requests: per(origin_requests, requests),
            log_lines: per(log_lines, requests),
        }
    }

    pub(crate) fn median(&self) -> f64 {
        quantile(self.cpu_us.clone(), 2)
    }

    /// The quartiles: half of the rounds are between them.
    pub(crate) fn spread(&self) -> (f64, f64) {
        (quantile(self.cpu_us.clone(), 1), quantile(self.cpu_us.clone(), 3))
    }

    /// The median of what `relate` makes of this one's figure and another's in the same round: a slow moment of the
    /// machine meets both.
    pub(crate) fn against(&self, other: &Self, relate: impl Fn(f64, f64) -> f64) -> f64 {
        quantile(
            self.cpu_us.iter().zip(&other.cpu_us).map(|(this, other)| relate(*this, *other)).collect(),
            2,
        )
    }
}

/// The figure that `quarter` quarters of all are below.
pub(crate) fn quantile(mut figures: Vec<f64>, quarter: usize) -> f64 {
    figures.sort_by(f64::total_cmp);
    let at = figures.len().saturating_sub(1) * quarter / 4;
    figures.get(at).copied().unwrap_or(f64::NAN)
}

pub(crate) struct Bench<'a> {
    pub(crate) stage: Stage<'a>,
    pub(crate) kv: KvBackend,
    pub(crate) verify_api: VerifyApi,
    pub(crate) origin: Origin,
    pub(crate) maker: KeyMaker,
    pub(crate) issued: Vec<NewKey>,
    pub(crate) effort: Effort,
}

struct Runner {
    worker: Worker,
    /// How many requests it has had: the next one takes the next key.
    sent: usize,
    cpu_us: Vec<f64>,
    total: Totals,
}

#[derive(Clone, Copy, Default)]
struct Totals {
    /// Only those of measured rounds, as everything here.
    requests: u64,
    kv_reads: u64,
    verify_calls: u64,
    origin_requests: u64,
    log_lines: u64,
}

impl<'a> Bench<'a> {
    /// Builds the gate and the contenders, makes the keys and starts what is behind the contenders.
    pub(crate) fn set_up(
        checkout: &Checkout,
        place: &'a Place,
        effort: Effort,
        contenders: &[Contender],
    ) -> Result<Self> {
        let mut maker = KeyMaker::new()?;
        let issued = maker.make(effort.keys);
        let kv = KvBackend::start(maker.entries(&issued))?;
        let origin = Origin::start(&place.0)?;
        let verify_api = VerifyApi::start(&issued)?;
        let stage =
            Stage::set(checkout, &place.0, contenders, origin.address, kv.address, verify_api.address)?;
        Ok(Self { stage, kv, verify_api, origin, maker, issued, effort })
    }

    pub(crate) fn run(
        &mut self,
        scenario: &Scenario,
        wanted: impl Fn(Contender) -> bool,
    ) -> Result<Vec<Measured>> {
        let traffic = scenario.traffic(&self.issued, &mut self.maker);
        // To go once through all keys takes longer than all rounds.
        let starts = if scenario.all_keys { 1 } else { self.effort.starts };
        let mut finished: Vec<Measured> = Vec::new();
        for start in 0..starts {
            let rounds = self.effort.rounds * (start + 1) / starts - self.effort.rounds * start / starts;
            for (at, measured) in self.run_once(scenario, &traffic, rounds, &wanted)?.into_iter().enumerate()
            {
                match finished.get_mut(at) {
                    Some(before) => before.go_on(measured),
                    None => finished.push(measured),
                }
            }
        }
        Ok(finished)
    }

    /// From the start of the contenders to their end.
    fn run_once(
        &self,
        scenario: &Scenario,
        traffic: &Traffic,
        rounds: usize,
        wanted: impl Fn(Contender) -> bool,
    ) -> Result<Vec<Measured>> {
        let mut runners = Vec::new();
        for contender in scenario.contenders().filter(|contender| wanted(*contender)) {
            let worker = self.stage.start(contender, &scenario.settings)?;
            let mut runner = Runner { worker, sent: 0, cpu_us: Vec::new(), total: Totals::default() };
            let mut client = Client::connect(runner.worker.address)?;
            if scenario.all_keys {
                runner.send(&mut client, scenario, traffic, self.issued.len())?;
            }
            runner.send(&mut client, scenario, traffic, self.effort.warm_up / scenario.thinned)?;
            runners.push(runner);
        }
        for _ in 0..rounds {
            for runner in &mut runners {
                self.round(runner, scenario, traffic)?;
            }
            // Whoever follows on the most expensive contender is not always the same.
            if !runners.is_empty() {
                runners.rotate_left(1);
            }
        }
        runners.sort_by_key(|runner| Contender::ALL.iter().position(|one| *one == runner.worker.contender));
        Ok(runners.into_iter().map(Runner::finish).collect())
    }

    fn round(&self, runner: &mut Runner, scenario: &Scenario, traffic: &Traffic) -> Result<()> {
        let requests = self.effort.requests / scenario.thinned;
        // The runtime drops connections that idle while it is another's turn; making new ones, on both sides, is no part of
        // a request's cost.
        let mut client = Client::connect(runner.worker.address)?;
        runner.send(&mut client, scenario, traffic, requests / 10)?;
        rest();
        runner.worker.new_log_lines()?;
        let (kv_reads, verify_calls) = (self.kv.reads(), self.verify_api.calls());
        let origin_requests = self.origin.requests()?;
        let cpu_before = runner.worker.process.cpu_nanos()?;
        runner.send(&mut client, scenario, traffic, requests)?;
        rest();
        let cpu_nanos = runner.worker.process.cpu_nanos()? - cpu_before;
        runner.cpu_us.push(per(cpu_nanos, requests as u64) / 1000.0);
        runner.total.requests += requests as u64;
        runner.total.kv_reads += self.kv.reads() - kv_reads;
        runner.total.verify_calls += self.verify_api.calls() - verify_calls;
        runner.total.origin_requests += self.origin.requests()? - origin_requests;
        runner.total.log_lines += runner.worker.new_log_lines()?;
        Ok(())
    }
}

impl Runner {
    fn send(
        &mut self,
        client: &mut Client,
        scenario: &Scenario,
        traffic: &Traffic,
        count: usize,
    ) -> Result<()> {
        let contender = self.worker.contender;
        let numbers = self.sent..self.sent + count;
        self.sent += count;
        let sent = client.send(traffic, numbers, scenario.status_of(contender));
        sent.with_context(|| format!("{} in scenario {}", self.worker.stopped(), scenario.name))
    }

    fn finish(self) -> Measured {
        Measured { contender: self.worker.contender, cpu_us: self.cpu_us, total: self.total }
    }
}

/// What a contender does after its last answer is still its own work.
pub(crate) fn rest() {
    thread::sleep(Duration::from_millis(10));
}

#[expect(clippy::cast_precision_loss, reason = "the figures of a run are far below 2^52")]
pub(crate) fn per(sum: u64, requests: u64) -> f64 {
    sum as f64 / requests as f64
}

#[cfg(test)]
mod tests {
    use super::{Measured, Totals, quantile};
    use crate::contender::Contender;

    #[test]
    fn quantiles_are_figures_that_were_measured() {
        for (figures, quartiles) in [
            (&[7.0][..], [7.0, 7.0, 7.0]),
            (&[3.0, 1.0, 2.0], [1.0, 2.0, 2.0]),
            (&[5.0, 4.0, 3.0, 2.0, 1.0], [2.0, 3.0, 4.0]),
        ] {
            let found = [1, 2, 3].map(|quarter| quantile(figures.to_vec(), quarter));
            assert_eq!(found.map(f64::to_bits), quartiles.map(f64::to_bits));
        }
        assert!(quantile(Vec::new(), 2).is_nan());
    }

    #[test]
    fn a_slow_moment_that_meets_both_changes_no_ratio() {
        let of = |cpu_us: &[f64]| Measured {
            contender: Contender::Gate,
            cpu_us: cpu_us.to_vec(),
            total: Totals::default(),
        };
        let (this, other) = (of(&[2.0, 20.0, 2.0, 20.0, 20.0]), of(&[1.0, 10.0, 1.0, 10.0, 10.0]));
        assert_eq!(this.against(&other, |this, other| this / other).to_bits(), 2.0_f64.to_bits());
    }
}
