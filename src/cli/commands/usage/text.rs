//! Usage for a reader: a table of keys, a bar for each step, and what came without a key.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};

use keygate_core::time::UnixSeconds;
use keygate_core::usage::{Anomaly, AnomalyReport, Counts, Signal, Step};

use super::{UsageOfKey, UsageOfKeys};
use crate::output::{aligned, printable};
use crate::time::{ago, utc};

const BAR_WIDTH: u64 = 40;
/// Of a bar's last character, in eighths.
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
/// So many networks of requests without a key are named.
const NETWORKS_SHOWN: usize = 5;

/// The text; `is_one_key` where one key was asked for.
pub(super) fn of(shown: &UsageOfKeys, is_one_key: bool, now: UnixSeconds) -> String {
    let mut text = String::new();
    let mut line = |line: &dyn std::fmt::Display| {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{line}");
    };
    line(&keys(shown, now));
    let left_out = shown.keys_total - shown.keys.len();
    if left_out > 0 {
        line(&format_args!("… and {left_out} more (--all)\n"));
    }
    line(&bars(shown, io::stdout().is_terminal()));
    if let (true, [key]) = (is_one_key, &shown.keys[..]) {
        line(&details(key));
    }
    if let Some(without) = &shown.without_key {
        line(&format_args!(
            "without a known key: {} accepted, {}",
            without.counts.accepted,
            refused(&without.counts)
        ));
        for network in without.networks.iter().take(NETWORKS_SHOWN) {
            line(&format_args!("  from {}: at most {} refused", network.network, network.refused_at_most));
        }
    }
    if shown.lost > 0 {
        line(&format_args!("{} requests of these days were not counted", shown.lost));
    }
    text
}

/// A line for each signal.
pub(super) fn anomalies(report: &AnomalyReport) -> String {
    if report.signals.is_empty() {
        return "nothing is unusual about the last 24 hours".to_owned();
    }
    let mut text = String::new();
    for Signal { id, anomaly } in &report.signals {
        let said = match anomaly {
            Anomaly::NewNetwork { network, first_seen, known_networks } => {
                let before = if *known_networks == 1 { "one".to_owned() } else { known_networks.to_string() };
                format!("used from {} since {}; from {before} before", printable(network), utc(*first_seen))
            }
            Anomaly::Refusals { refused, code, requests, most_before, days } => format!(
                "{refused} of {requests} requests refused, mostly {}; at most {most_before} on each of {days} days before",
                printable(code)
            ),
            Anomaly::Volume { requests, most_before, days } => {
                format!("{requests} requests; at most {most_before} on each of {days} days before")
            }
        };
        // Writing to a String does not fail.
        let _ = writeln!(text, "{id}  {said}");
    }
    if report.more > 0 {
        let _ = writeln!(text, "… and {} more", report.more);
    }
    text
}

fn keys(shown: &UsageOfKeys, now: UnixSeconds) -> String {
    let mut rows = String::from("ID\tSUBJECT\tNAME\tACCEPTED\tREFUSED\tLAST USED\n");
    for UsageOfKey { subject, name, total } in &shown.keys {
        let text = |cell: &Option<String>| printable(cell.as_deref().unwrap_or("?"));
        let last = total.last_accepted.map_or_else(|| "never".to_owned(), |last| ago(last, now));
        let (accepted, refused) = (total.counts.accepted, refused_total(&total.counts));
        let (subject, name) = (text(subject), text(name));
        let _ = writeln!(rows, "{}\t{subject}\t{name}\t{accepted}\t{refused}\t{last}", total.id);
    }
    if shown.keys.is_empty() {
        return "no key was used\n".to_owned();
    }
    aligned(&rows)
}

fn bars(shown: &UsageOfKeys, is_terminal: bool) -> String {
    let (length, date) = match shown.by {
        Step::Hour => (3600, 16),
        Step::Day => (86_400, 10),
    };
    let points: BTreeMap<u64, &Counts> =
        shown.series.iter().map(|point| (point.start.seconds(), &point.counts)).collect();
    let most = points.values().map(|counts| counts.total()).max().unwrap_or_default();
    if most == 0 {
        return String::new();
    }
    let mut rows = String::new();
    let mut start = shown.from;
    while start < shown.to {
        let step: String = UnixSeconds::new(start).map(utc).unwrap_or_default().chars().take(date).collect();
        let counts = points.get(&start);
        let (accepted, refused) = counts.map_or((0, 0), |counts| (counts.accepted, refused_total(counts)));
        let refused = if refused > 0 { format!(", {refused} refused") } else { String::new() };
        let bar = bar(counts.map_or(0, |counts| counts.total()), most, is_terminal);
        let _ = writeln!(rows, "{}\t{bar} {accepted}{refused}", step.replace('T', " "));
        start += length;
    }
    aligned(&rows)
}

fn bar(count: u64, most: u64, is_terminal: bool) -> String {
    let eighths =
        usize::try_from(count * BAR_WIDTH * 8 / most).unwrap_or_default().max(usize::from(count > 0));
    if is_terminal {
        return "█".repeat(eighths / 8) + EIGHTHS.get(eighths % 8).unwrap_or(&"");
    }
    "#".repeat(eighths.div_ceil(8))
}

fn details(key: &UsageOfKey) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}", refused(&key.total.counts));
    for network in &key.total.networks {
        let _ = writeln!(text, "first used from {} on {}", network.network, utc(network.first_seen));
    }
    text
}

/// `3 refused: key_expired 2, rate_limited 1`.
pub(crate) fn refused(counts: &Counts) -> String {
    let mut codes: Vec<_> = counts.refused.iter().collect();
    codes.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let codes: Vec<_> =
        codes.into_iter().map(|(code, count)| format!("{} {count}", printable(code))).collect();
    let total = refused_total(counts);
    if codes.is_empty() {
        format!("{total} refused")
    } else {
        format!("{total} refused: {}", codes.join(", "))
    }
}

pub(crate) fn refused_total(counts: &Counts) -> u64 {
    counts.total() - counts.accepted
}

#[cfg(test)]
mod tests {
    use super::bar;

    #[test]
    fn bars_are_as_long_as_their_share_and_never_empty_for_a_request() {
        for (count, most, unicode, plain) in [
            (0, 8, String::new(), String::new()),
            (1, 1_000_000, "▏".to_owned(), "#".to_owned()),
            (4, 8, "█".repeat(20), "#".repeat(20)),
            (5, 64, "███▏".to_owned(), "####".to_owned()),
            (8, 8, "█".repeat(40), "#".repeat(40)),
        ] {
            assert_eq!((bar(count, most, true), bar(count, most, false)), (unicode, plain), "{count}");
        }
    }
}
