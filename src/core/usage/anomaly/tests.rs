use alloc::collections::BTreeMap;
use alloc::string::ToString as _;
use core::net::IpAddr;
use std::format;
use std::vec::Vec;

use proptest::prelude::{any, prop_assert_eq, proptest};

use super::{Anomaly, AnomalyCollector, AnomalyReport, SIGNALS_MAX, Signal};
use crate::key::KeyId;
use crate::response::Code;
use crate::time::UnixSeconds;
use crate::usage::tests::Stored;
use crate::usage::{Bucket, Counts, Day, Event, Hour, Usage};

/// 2026-11-28T07:00:00Z
const NOW: u64 = 1_795_849_200;
const DAY: u64 = 86_400;

fn id() -> KeyId {
    "4fTz0Qw9Lr2K".parse().unwrap()
}

/// Accepted and refused requests, so many seconds ago.
type Requests<'r> = &'r [(u64, u64, u64)];

fn usage(requests: Requests<'_>) -> Usage {
    let mut usage = Usage::default();
    for (ago, accepted, refused) in requests {
        let counts = Counts {
            accepted: *accepted,
            refused: BTreeMap::from([(Code::ScopeMissing.row().code.into(), *refused)]),
        };
        let hour = Hour((NOW - ago) / 3600);
        usage.keys.entry(id()).or_default().hours.entry(hour).or_default().merge(&counts);
    }
    usage
}

fn report(usage: &Usage) -> AnomalyReport {
    let mut collector = AnomalyCollector::new(UnixSeconds::new(NOW).unwrap());
    collector.add_recent(usage);
    collector.report()
}

fn kinds(report: &AnomalyReport) -> Vec<&'static str> {
    let kind = |signal: &Signal| match signal.anomaly {
        Anomaly::NewNetwork { .. } => "network",
        Anomaly::Refusals { .. } => "refusals",
        Anomaly::Volume { .. } => "volume",
    };
    report.signals.iter().map(kind).collect()
}

#[test]
fn what_was_not_usual_in_the_days_before_is_a_signal() {
    let week = 9 * DAY;
    for (requests, expected) in [
        // The busiest day before has 200 requests.
        (&[(week, 200, 0), (3600, 701, 0)][..], &["volume"][..]),
        (&[(week, 200, 0), (3600, 700, 0)], &[]),
        // It is a day of the five weeks.
        (&[(36 * DAY, 200, 0), (3600, 701, 0)], &["volume"]),
        (&[(37 * DAY, 200, 0), (3600, 701, 0)], &[]),
        // Less than a week is no history.
        (&[(8 * DAY, 200, 0), (3600, 701, 0)], &["volume"]),
        (&[(7 * DAY, 200, 0), (3600, 701, 0)], &[]),
        // The last 24 hours alone are judged, up to this hour.
        (&[(week, 200, 0), (23 * 3600, 701, 0)], &["volume"]),
        (&[(week, 200, 0), (24 * 3600, 701, 0)], &[]),
        (&[(week, 200, 0), (0, 701, 0)], &["volume"]),
        // Refusals: more than 50, one in 100 requests, and a share that has grown.
        (&[(week, 200, 0), (3600, 200, 51)], &["refusals"]),
        (&[(week, 200, 0), (3600, 200, 50)], &[]),
        (&[(week, 200_000, 0), (3600, 200_000, 1000)], &[]),
        (&[(week, 200_000, 0), (3600, 200_000, 2100)], &["refusals"]),
        (&[(week, 10, 90), (3600, 39, 331)], &[]),
        (&[(week, 10, 90), (3600, 60, 540)], &["volume"]),
    ] {
        assert_eq!(kinds(&report(&usage(requests))), expected, "{requests:?}");
    }
}

#[test]
fn numbers_of_a_signal_are_those_of_the_key() {
    let report = report(&usage(&[(9 * DAY, 200, 2), (8 * DAY, 150, 5), (3600, 900, 80), (7200, 1, 0)]));
    let refusals = Anomaly::Refusals {
        refused: 80,
        code: "scope_missing".into(),
        requests: 981,
        most_before: 5,
        days: 8,
    };
    let volume = Anomaly::Volume { requests: 981, most_before: 202, days: 8 };
    let expected = [refusals, volume].map(|anomaly| Signal { id: id(), anomaly });
    assert_eq!(report, AnomalyReport { signals: expected.into(), more: 0 });
}

#[test]
fn network_is_new_to_a_key_that_did_not_roam() {
    for (seen, expected) in [
        // Days ago, from networks 0, 1, …
        (&[60, 0][..], &["203.0.1.0/24"][..]),
        (&[60, 36, 0], &["203.0.2.0/24"]),
        // The last hours are of the last 24; all of them are named.
        (&[60, 0, 0], &["203.0.1.0/24", "203.0.2.0/24"]),
        (&[60, 1], &[]),
        // It roams, or was not known before.
        (&[60, 35, 0], &[]),
        (&[35, 0], &[]),
        (&[0], &[]),
        (&[60, 60], &[]),
        // With 16 some may be forgotten.
        (&[60; 15], &[]),
        (&[60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 0], &["203.0.14.0/24"]),
        (&[60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 0], &[]),
    ] {
        let mut usage = Usage::default();
        for (network, days_ago) in seen.iter().enumerate() {
            let client = IpAddr::from([203, 0, u8::try_from(network).unwrap(), 7]);
            let at = UnixSeconds::new(NOW - days_ago * DAY - 1800).unwrap();
            usage.count(&Event { at, key: Some(id()), refused: None, client: Some(client) });
        }
        let found: Vec<_> = report(&usage)
            .signals
            .into_iter()
            .map(|signal| match signal.anomaly {
                Anomaly::NewNetwork { network, known_networks, .. } => {
                    assert_eq!(known_networks, seen.iter().filter(|days_ago| **days_ago > 0).count());
                    network
                }
                other => other.rank().0.to_string(),
            })
            .collect();
        assert_eq!(found, expected, "{seen:?}");
    }
}

#[test]
fn at_most_a_thousand_signals_are_reported_and_the_others_counted() {
    let mut all = Usage::default();
    let [one] =
        [usage(&[(9 * DAY, 1, 0), (3600, 500, 0)])].map(|mut usage| usage.keys.remove(&id()).unwrap());
    for number in 0..1200 {
        all.keys.insert(format!("{number:012}").parse().unwrap(), one.clone());
    }
    let report = report(&all);
    assert_eq!((report.signals.len(), report.more), (SIGNALS_MAX, 200));
}

#[test]
fn signal_is_read_as_it_was_written() {
    for (json, anomaly) in [
        (
            r#"{"id":"4fTz0Qw9Lr2K","kind":"new_network","network":"203.0.1.0/24","first_seen":1795849200,"known_networks":2}"#,
            Anomaly::NewNetwork {
                network: "203.0.1.0/24".into(),
                first_seen: UnixSeconds::new(NOW).unwrap(),
                known_networks: 2,
            },
        ),
        (
            r#"{"id":"4fTz0Qw9Lr2K","kind":"volume","requests":9,"most_before":1,"days":8}"#,
            Anomaly::Volume { requests: 9, most_before: 1, days: 8 },
        ),
    ] {
        let signal = Signal { id: id(), anomaly };
        assert_eq!(serde_json::to_string(&signal).unwrap(), json);
        assert_eq!(serde_json::from_str::<Signal>(json).unwrap(), signal);
    }
}

proptest! {
    #[test]
    fn it_does_not_matter_what_of_the_usage_is_in_rows(
        hours in proptest::collection::vec((0..50 * 24u64, 0..400u64, 0..100u64), 1..60), stored in 0..60usize, summed in any::<bool>(),
    ) {
        let requests: Vec<_> = hours.into_iter().map(|(hours_ago, accepted, refused)| (hours_ago * 3600, accepted, refused)).collect();
        let (stored, recent) = requests.split_at(stored.min(requests.len()));
        let mut store = Stored::default();
        store.add(&usage(stored));
        let summed = summed.then_some(Day(NOW / DAY - 2));
        if let Some(summed) = summed {
            store.sum_up_days(Day(0)..=summed);
        }
        let mut collector = AnomalyCollector::new(UnixSeconds::new(NOW).unwrap());
        for rows in collector.rows(summed) {
            for (number, packed) in store.rows.range(rows) {
                collector.add(*number, packed).unwrap();
            }
        }
        collector.add_recent(&usage(recent));
        prop_assert_eq!(collector.report(), report(&usage(&requests)));
        // And of all buckets, one by one.
        let mut signals = Vec::new();
        for bucket in Bucket::all() {
            let mut collector = AnomalyCollector::of_bucket(bucket, UnixSeconds::new(NOW).unwrap());
            for rows in collector.rows(summed) {
                for (number, packed) in store.rows.range(rows) {
                    collector.add(*number, packed).unwrap();
                }
            }
            collector.add_recent(&usage(recent));
            signals.extend(collector.signals());
        }
        prop_assert_eq!(AnomalyReport::of(signals), report(&usage(&requests)));
    }
}
