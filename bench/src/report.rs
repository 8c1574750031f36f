//! The results, as a table and as JSON, and what they say of the bars.

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};

use crate::contender::Contender;
use crate::latency::Latencies;
use crate::machine::Machine;
use crate::rounds::{Counters, Effort, Measured};
use crate::scenario::Scenario;

// The platform's prices beyond what the paid plan includes:
// <https://developers.cloudflare.com/workers/platform/pricing/>, <https://developers.cloudflare.com/kv/platform/pricing/>.
const DOLLARS_PER_MILLION_REQUESTS: f64 = 0.30;
const DOLLARS_PER_MILLION_CPU_MILLIS: f64 = 0.02;
const DOLLARS_PER_MILLION_KV_READS: f64 = 0.50;

/// One scenario's results.
pub(crate) struct Row {
    pub(crate) scenario: Scenario,
    pub(crate) measured: Vec<Measured>,
}

impl Row {
    pub(crate) fn of(&self, contender: Contender) -> Option<&Measured> {
        self.measured.iter().find(|one| one.contender == contender)
    }

    /// How many times as much CPU `one` takes as `other`.
    fn ratio(&self, one: Contender, other: Contender) -> Option<f64> {
        Some(self.of(one)?.against(self.of(other)?, |one, other| one / other))
    }

    /// What the platform charges for a million requests, in dollars, beyond what the plan includes.
    fn dollars_per_million(&self, contender: Contender) -> Option<f64> {
        let one = self.of(contender)?;
        // One microsecond a request is 1,000 ms for a million requests.
        let cpu_millis = one.median() * 1000.0;
        let kv_reads = one.counters().kv_reads;
        Some(
            DOLLARS_PER_MILLION_REQUESTS
                + cpu_millis / 1e6 * DOLLARS_PER_MILLION_CPU_MILLIS
                + kv_reads * DOLLARS_PER_MILLION_KV_READS,
        )
    }

    pub(crate) fn print(&self) {
        println!("\n{} (--only {})", self.scenario.title, self.scenario.name);
        println!(
            "  {:<12} {:>7} {:>15}  {:>8} {:>8}  {:>7} {:>7} {:>7} {:>7}",
            "", "CPU µs", "quartiles", "×forward", "×hand", "KV", "verify", "origin", "lines"
        );
        for one in &self.measured {
            let contender = one.contender;
            let (low, high) = one.spread();
            let ratio = |other| cell(self.ratio(contender, other));
            let Counters { kv_reads, verify_calls, origin_requests, log_lines } = one.counters();
            println!(
                "  {:<12} {:>7.1} {:>15}  {:>8} {:>8}  {kv_reads:>7.2} {verify_calls:>7.2} {origin_requests:>7.2} {log_lines:>7.2}",
                contender.name(),
                one.median(),
                format!("{low:.1} - {high:.1}"),
                ratio(Contender::Forward),
                ratio(Contender::Handwritten),
            );
        }
    }

    fn to_json(&self) -> Value {
        let contenders = self.measured.iter().map(|one| {
            let contender = one.contender;
            let (low, high) = one.spread();
            let Counters { kv_reads, verify_calls, origin_requests, log_lines } = one.counters();
            json!({
                "name": contender.name(),
                "what": contender.description(),
                "cpu_us": { "median": round(one.median()), "quartiles": [round(low), round(high)] },
                "to_forward": self.ratio(contender, Contender::Forward).map(round),
                "to_handwritten": self.ratio(contender, Contender::Handwritten).map(round),
                "dollars_per_million": self.dollars_per_million(contender).map(round),
                "kv_reads": round(kv_reads),
                "verify_calls": round(verify_calls),
                "origin_requests": round(origin_requests),
                "log_lines": round(log_lines),
            })
        });
        json!({
            "name": self.scenario.name,
            "title": self.scenario.title,
            "contenders": contenders.collect::<Value>(),
        })
    }
}

pub(crate) fn print_head(machine: &Machine, effort: &Effort, contenders: &[Contender]) {
    println!("{}", machine.line());
    println!(
        "CPU time of the contender's workerd process for one request, user and system: the median of {} rounds of {}\n\
         requests on 8 connections, in turn with the other contenders, which were started {} times. Ratios are medians of each round's ratio.\n\
         KV, verify, origin, lines: reads at the KV backend, calls of the verify API, requests at the origin and log lines, for one\n\
         request. All but `forward` and `refuse` log each accepted request, and at most 600 refusals a minute, into a file.",
        effort.rounds, effort.requests, effort.starts
    );
    for contender in contenders {
        println!("  {:<12} {}", contender.name(), contender.description());
    }
}

pub(crate) fn to_json(
    machine: &Machine,
    effort: &Effort,
    rows: &[Row],
    latencies: Option<&Latencies>,
) -> Value {
    let bars = bars(rows).into_iter().map(|bar| {
        json!({ "what": bar.what, "limit": bar.limit, "value": round(bar.value), "held": bar.is_held() })
    });
    json!({
        "machine": machine.to_json(),
        "rounds": effort.rounds,
        "starts": effort.starts,
        "requests_per_round": effort.requests,
        "keys": effort.keys,
        "figure": "CPU microseconds of the workerd process for one request, median over rounds",
        "scenarios": rows.iter().map(Row::to_json).collect::<Value>(),
        "latency": latencies.map(Latencies::to_json),
        "bars": bars.collect::<Value>(),
    })
}

/// The table of PERFORMANCE.md, with a column for each contender that took part.
pub(crate) fn print_table(rows: &[Row]) {
    let contenders: Vec<Contender> =
        Contender::ALL.into_iter().filter(|one| rows.iter().any(|row| row.of(*one).is_some())).collect();
    let names: Vec<&str> = contenders.iter().map(|one| one.name()).collect();
    let names = names.join(" | ");
    let lines = "|---".repeat(contenders.len() + 2);
    println!(
        "\n| CPU µs for one request | {names} | gate ÷ handwritten | $ per million, gate |\n|---{lines}|"
    );
    for row in rows {
        let figure =
            |one: &Contender| row.of(*one).map_or(String::new(), |one| format!("{:.0}", one.median()));
        let figures = contenders.iter().map(figure).collect::<Vec<_>>().join(" | ");
        let ratio = cell(row.ratio(Contender::Gate, Contender::Handwritten));
        let dollars = row.dollars_per_million(Contender::Gate);
        let dollars = dollars.map_or(String::new(), |dollars| format!("{dollars:.3}"));
        println!("| {} | {figures} | **{ratio}** | {dollars} |", row.scenario.title);
    }
}

/// A figure that Keygate is not to exceed.
pub(crate) struct Bar {
    pub(crate) what: String,
    pub(crate) value: f64,
    pub(crate) limit: f64,
}

impl Bar {
    pub(crate) fn is_held(&self) -> bool {
        self.value <= self.limit
    }

    pub(crate) fn print(&self) {
        let verdict = if self.is_held() { "held" } else { "MISSED" };
        println!("  {verdict:<6} {:>6.2} of at most {:.2}  {}", self.value, self.limit, self.what);
    }
}

/// Prints the bars; what is counted does not depend on the machine, so a count that is too high is a failure.
pub(crate) fn print_bars(rows: &[Row], effort: &Effort) -> Result<()> {
    let mut bars = bars(rows);
    // One round is no measurement.
    bars.retain(|bar| effort.rounds > 1 || bar.what.ends_with(COUNTED));
    if !bars.is_empty() {
        println!("\nbars");
    }
    bars.iter().for_each(Bar::print);
    if let Some(Bar { what, value, limit }) =
        bars.iter().find(|bar| bar.what.ends_with(COUNTED) && !bar.is_held())
    {
        bail!("{what}: {value:.2} for each request, of at most {limit:.2}; see what made the gate read KV");
    }
    rows.iter().try_for_each(compare_lines)
}

/// Whoever does the gate's job has to write its lines.
fn compare_lines(row: &Row) -> Result<()> {
    const TOLERANCE: f64 = 0.05;
    let lines = |contender| row.of(contender).map(|one| one.counters().log_lines);
    // Of a capped minute, rounds see more or less by chance.
    if let (Some(gate), Some(handwritten)) = (lines(Contender::Gate), lines(Contender::Handwritten))
        && !row.scenario.has_capped_log()
    {
        ensure!(
            (gate - handwritten).abs() <= TOLERANCE,
            "{}: the gate logs {gate:.2} lines for a request, and the handwritten Worker {handwritten:.2}; \
             have bench/contenders/lib/log.js log what the gate logs",
            row.scenario.name
        );
    }
    Ok(())
}

/// How the names of bars end that are counted at the KV backend.
const COUNTED: &str = "KV reads";

/// Those that the run can say something about.
fn bars(rows: &[Row]) -> Vec<Bar> {
    use Contender::{Forward, Gate, Handwritten};
    let row = |name: &str| rows.iter().find(|row| row.scenario.name == name);
    let mut bars = Vec::new();
    let mut bar = |what: String, value: Option<f64>, limit: f64| {
        bars.extend(value.map(|value| Bar { what, value, limit }));
    };
    for row in rows {
        bar(
            format!("{}: CPU, to the handwritten Worker's", row.scenario.name),
            row.ratio(Gate, Handwritten),
            1.0,
        );
    }
    for (name, limit) in [("accepted", 0.0), ("forged", 0.0), ("guessed", 0.0), ("unknown", 1.0)] {
        let reads = row(name).and_then(|row| row.of(Gate)).map(|gate| gate.counters().kv_reads);
        bar(format!("{name}: {COUNTED}"), reads, limit);
    }
    // Each against the floor of its own rounds, because the scenarios ran at different moments.
    let base = row("accepted").and_then(|row| row.ratio(Gate, Forward));
    for name in ["keys", "routes"] {
        let grown = row(name).and_then(|row| row.ratio(Gate, Forward));
        let growth = grown.zip(base).map(|(grown, base)| grown / base);
        bar(format!("{name}: CPU, to that with 10 keys and 1 route"), growth, 1.1);
    }
    bars
}

fn cell(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"))
}

fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
