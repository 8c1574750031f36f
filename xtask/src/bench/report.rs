//! The results, as a table and as JSON, and what they say of the bars.

use serde_json::{Value, json};

use crate::failure::Failure;

use super::contender::Contender;
use super::machine::Machine;
use super::rounds::{Effort, Measured};
use super::scenario::Scenario;

/// One scenario's results.
pub(super) struct Row {
    pub(super) scenario: Scenario,
    pub(super) measured: Vec<Measured>,
}

impl Row {
    pub(super) fn of(&self, contender: Contender) -> Option<&Measured> {
        self.measured.iter().find(|one| one.contender == contender)
    }

    /// How many times as much CPU `one` takes as `other`.
    fn ratio(&self, one: Contender, other: Contender) -> Option<f64> {
        Some(self.of(one)?.against(self.of(other)?, |one, other| one / other))
    }

    /// What `one` adds to the floor, as a share of what the handwritten Worker adds.
    fn overhead(&self, one: Contender) -> Option<f64> {
        let floor = self.of(self.scenario.floor())?;
        let added = |contender| Some(self.of(contender)?.against(floor, |one, floor| one - floor));
        Some(added(one)? / added(Contender::Handwritten)?)
    }

    pub(super) fn print(&self) {
        println!("\n{} (--only {})", self.scenario.title, self.scenario.name);
        println!(
            "  {:<12} {:>7} {:>15}  {:>8} {:>8} {:>8} {:>9}  {:>7} {:>7} {:>7}",
            "", "CPU µs", "quartiles", "×forward", "×hand", "×minimal", "overhead", "KV", "origin", "lines"
        );
        for one in &self.measured {
            let contender = one.contender;
            let (low, high) = one.spread();
            let ratio = |other| cell(self.ratio(contender, other));
            println!(
                "  {:<12} {:>7.1} {:>15}  {:>8} {:>8} {:>8} {:>9}  {:>7.2} {:>7.2} {:>7.2}",
                contender.name(),
                one.median(),
                format!("{low:.1} - {high:.1}"),
                ratio(Contender::Forward),
                ratio(Contender::Handwritten),
                ratio(Contender::Minimal),
                cell(self.overhead(contender)),
                one.counters().kv_reads,
                one.counters().origin_requests,
                one.counters().log_lines,
            );
        }
    }

    fn to_json(&self) -> Value {
        let contenders = self.measured.iter().map(|one| {
            let contender = one.contender;
            let (low, high) = one.spread();
            json!({
                "name": contender.name(),
                "what": contender.description(),
                "cpu_us": { "median": round(one.median()), "quartiles": [round(low), round(high)] },
                "to_forward": self.ratio(contender, Contender::Forward).map(round),
                "to_handwritten": self.ratio(contender, Contender::Handwritten).map(round),
                "to_minimal": self.ratio(contender, Contender::Minimal).map(round),
                "overhead_to_handwritten": self.overhead(contender).map(round),
                "kv_reads": round(one.counters().kv_reads),
                "origin_requests": round(one.counters().origin_requests),
                "log_lines": round(one.counters().log_lines),
            })
        });
        json!({
            "name": self.scenario.name,
            "title": self.scenario.title,
            "contenders": contenders.collect::<Value>(),
        })
    }
}

pub(super) fn print_head(machine: &Machine, effort: &Effort) {
    println!("{}", machine.line());
    println!(
        "CPU time of the contender's workerd process for one request, user and system: the median of {} rounds of {}\n\
         requests on 8 connections, in turn with the other contenders, which were started {} times. Ratios are medians of each round's ratio.\n\
         overhead: what is added to the floor (`forward`, or `refuse` for refusals), as a share of what `handwritten` adds.\n\
         KV, origin, lines: reads at the KV backend, requests at the origin and log lines, for one request.\n\
         No contender logs what it lets through; each logs a refusal as one line, into a file, unless its budget is spent.",
        effort.rounds, effort.requests, effort.starts
    );
    for contender in Contender::ALL {
        println!("  {:<12} {}", contender.name(), contender.description());
    }
}

pub(super) fn to_json(machine: &Machine, effort: &Effort, rows: &[Row]) -> Value {
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
        "bars": bars.collect::<Value>(),
    })
}

/// A figure that Keygate is not to exceed.
pub(super) struct Bar {
    pub(super) what: String,
    pub(super) value: f64,
    pub(super) limit: f64,
}

impl Bar {
    pub(super) fn is_held(&self) -> bool {
        self.value <= self.limit
    }

    pub(super) fn print(&self) {
        let verdict = if self.is_held() { "held" } else { "MISSED" };
        println!("  {verdict:<6} {:>6.2} of at most {:.2}  {}", self.value, self.limit, self.what);
    }
}

/// Prints the bars; what is counted does not depend on the machine, so a count that is too high is a failure.
pub(super) fn print_bars(rows: &[Row]) -> Result<(), Failure> {
    let bars = bars(rows);
    if !bars.is_empty() {
        println!("\nbars");
    }
    bars.iter().for_each(Bar::print);
    match bars.iter().find(|bar| bar.what.ends_with(COUNTED) && !bar.is_held()) {
        None => Ok(()),
        Some(bar) => Err(Failure::new(
            format!("{}: {:.2} for each request, of at most {:.2}", bar.what, bar.value, bar.limit),
            "see what made the gate read KV",
        )),
    }
}

/// How the names of bars end that are counted at the KV backend.
const COUNTED: &str = "KV reads";

/// Those that the run can say something about.
fn bars(rows: &[Row]) -> Vec<Bar> {
    use Contender::{Forward, Gate, Handwritten, Minimal};
    let row = |name: &str| rows.iter().find(|row| row.scenario.name == name);
    let mut bars = Vec::new();
    let mut bar = |what: String, value: Option<f64>, limit: f64| {
        bars.extend(value.map(|value| Bar { what, value, limit }));
    };
    if let Some(row) = row("accepted") {
        bar("accepted: overhead, to the handwritten Worker's".into(), row.overhead(Gate), 0.6);
        bar("accepted: CPU, to the minimal Worker's".into(), row.ratio(Gate, Minimal), 1.0);
        bar(format!("accepted: {COUNTED}"), row.of(Gate).map(|gate| gate.counters().kv_reads), 0.0);
    }
    for name in ["no-key", "forged"] {
        if let Some(row) = row(name) {
            bar(format!("{name}: CPU, to the handwritten Worker's"), row.ratio(Gate, Handwritten), 0.9);
            bar(format!("{name}: CPU, to the minimal Worker's"), row.ratio(Gate, Minimal), 1.0);
        }
    }
    for (name, limit) in [("forged", 0.0), ("guessed", 0.0), ("unknown", 1.0)] {
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
