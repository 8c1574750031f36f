use alloc::collections::{BTreeMap, BTreeSet};
use core::net::IpAddr;
use std::format;
use std::string::ToString as _;
use std::vec::Vec;

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};
use proptest::sample::select;

use super::{Age, Batch, ClientNetwork, Day, Event, Hour, NetworkSketch, Row, RowName, Tally, Usage, split};
use crate::response::Code;
use crate::time::UnixSeconds;

/// 2026-11-28T00:00:00Z
const START: u64 = 1_795_824_000;

fn event() -> impl Strategy<Value = Event> {
    let key = select(&["AAAAAAAAAAAA", "BBBBBBBBBBBB", "CCCCCCCCCCCC", "4fTz0Qw9Lr2K"][..]);
    let key = proptest::option::of(key.prop_map(|id| id.parse().unwrap()));
    let refused = proptest::option::of(select(&Code::ALL[..]));
    let client = proptest::option::of(any::<IpAddr>());
    (0..200_000u64, key, refused, client).prop_map(|(at, key, refused, client)| Event {
        at: UnixSeconds::new(START + at).unwrap(),
        key,
        refused,
        client,
    })
}

fn usage_of(events: &[Event]) -> Usage {
    let mut usage = Usage::default();
    for event in events {
        usage.count(event);
    }
    usage
}

fn total(usage: &Usage) -> u64 {
    let of_keys = usage.keys.values().flat_map(|key| key.hours.values());
    of_keys.chain(usage.without_key.values()).map(super::Counts::total).sum()
}

fn merged(parts: &[&Usage]) -> Usage {
    let mut all = Usage::default();
    for part in parts {
        all.merge(part);
    }
    all
}

/// A row may know of a last use that was not the last.
fn without_last(rows: &BTreeMap<RowName, Row>) -> BTreeMap<RowName, Row> {
    let mut rows = rows.clone();
    for usage in rows.values_mut().flat_map(|row| row.keys.values_mut()) {
        (usage.last_accepted, usage.last_refused) = (None, None);
    }
    rows
}

proptest! {
    #[test]
    fn it_does_not_matter_who_counts_and_merges_what_first(
        a in vec(event(), 0..40), b in vec(event(), 0..40), c in vec(event(), 0..40),
    ) {
        let at_once = usage_of(&[&a[..], &b, &c].concat());
        let [a, b, c] = [usage_of(&a), usage_of(&b), usage_of(&c)];
        prop_assert_eq!(&merged(&[&a, &b, &c]), &at_once);
        prop_assert_eq!(&merged(&[&c, &merged(&[&b, &a])]), &at_once);
    }

    #[test]
    fn every_event_is_counted_once(events in vec(event(), 0..80)) {
        let usage = usage_of(&events);
        prop_assert_eq!(total(&usage), events.len() as u64);
        let unknown = events.iter().filter(|e| e.key.is_none() && e.refused.is_some() && e.client.is_some()).count();
        prop_assert_eq!(usage.networks.values().map(NetworkSketch::total).sum::<u64>(), unknown as u64);
    }

    #[test]
    fn last_use_is_that_of_the_latest_accepted_request(events in vec(event(), 0..80)) {
        for (id, usage) in usage_of(&events).keys {
            let latest = |is_refused: bool| {
                let own = events.iter().filter(|e| e.key == Some(id) && e.refused.is_some() == is_refused);
                own.map(|e| e.at).max()
            };
            prop_assert_eq!((usage.last_accepted, usage.last_refused), (latest(false), latest(true)));
        }
    }

    #[test]
    fn batch_is_read_as_it_was_written(events in vec(event(), 0..40), lost in 0..9u64) {
        let made = UnixSeconds::new(START).unwrap();
        let batch = Batch { id: "b1".into(), made, usage: usage_of(&events), lost };
        let text = serde_json::to_string(&batch).unwrap();
        prop_assert_eq!(serde_json::from_str::<Batch>(&text).unwrap(), batch);
    }

    #[test]
    fn rows_hold_all_that_was_counted_and_merge_like_it(a in vec(event(), 0..40), b in vec(event(), 0..40)) {
        let mut rows = split(&usage_of(&a));
        for (name, row) in split(&usage_of(&b)) {
            rows.entry(name).or_default().merge(&row);
        }
        let all = usage_of(&[&a[..], &b].concat());
        prop_assert_eq!(without_last(&rows), without_last(&split(&all)));
        let counts = rows.values().flat_map(|row| row.keys.values().flat_map(|key| key.hours.values()).chain(row.without_key.values()));
        prop_assert_eq!(counts.map(super::Counts::total).sum::<u64>(), total(&all));
        for (name, row) in &rows {
            let text = serde_json::to_string(row).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Row>(&text).unwrap(), row, "{:?}", name);
        }
    }

    #[test]
    fn last_uses_of_all_days_are_those_that_were_counted(events in vec(event(), 0..80)) {
        let usage = usage_of(&events);
        let mut last = Row::default();
        for row in split(&usage).values() {
            last.merge(&row.last_uses());
        }
        let times = |keys: &BTreeMap<_, super::KeyUsage>| {
            keys.iter().map(|(id, key)| (*id, key.last_accepted, key.last_refused)).collect::<Vec<_>>()
        };
        prop_assert_eq!(times(&last.keys), times(&usage.keys));
    }

    #[test]
    fn days_are_the_sums_of_their_hours(events in vec(event(), 0..80)) {
        for (_, row) in split(&usage_of(&events)) {
            let mut daily = row.clone();
            daily.to_daily();
            for (id, usage) in &row.keys {
                let mut sums: BTreeMap<Day, u64> = BTreeMap::new();
                for (hour, counts) in &usage.hours {
                    *sums.entry(hour.day()).or_default() += counts.total();
                }
                let found = daily.keys[id].hours.iter().map(|(hour, counts)| (hour.day(), counts.total()));
                prop_assert_eq!(found.collect::<BTreeMap<_, _>>(), sums);
            }
        }
    }

    #[test]
    fn network_with_most_requests_of_its_cell_is_named(
        heavy in any::<IpAddr>(), others in vec(any::<IpAddr>(), 0..200), count in 201..400u64,
    ) {
        let mut sketch = NetworkSketch::default();
        let network = ClientNetwork::of(heavy);
        for _ in 0..count {
            sketch.count(network);
        }
        for other in &others {
            sketch.count(ClientNetwork::of(*other));
        }
        let most = sketch.top().into_iter().find(|(found, _)| *found == network).map(|(_, most)| most);
        prop_assert!(most.is_some_and(|most| (count..=count + others.len() as u64).contains(&most)), "{:?}", most);
    }

    #[test]
    fn what_a_tally_sends_is_what_it_counted_whatever_is_repeated(
        steps in vec((vec(event(), 0..20), any::<bool>(), any::<bool>()), 1..20),
    ) {
        let (mut tally, mut store, mut known) = (Tally::default(), Usage::default(), BTreeSet::new());
        let (mut made, mut events) = (0, Vec::new());
        let mut send = |tally: &mut Tally, arrives: bool, answers: bool| {
            made += 1;
            let Some(batch) = tally.batch(UnixSeconds::new(START).unwrap(), || format!("b{made}")).cloned() else { return };
            if arrives && known.insert(batch.id.clone()) {
                store.merge(&batch.usage);
            }
            if arrives && answers {
                tally.settled(&batch.id);
            }
        };
        for (counted, arrives, answers) in steps {
            for event in &counted {
                tally.count(event);
            }
            events.extend(counted);
            send(&mut tally, arrives, answers);
        }
        send(&mut tally, true, true);
        send(&mut tally, true, true);
        prop_assert_eq!(store, usage_of(&events));
    }
}

#[test]
fn the_five_hundredth_key_is_to_be_sent_at_once_and_more_than_5000_are_not_counted() {
    let mut tally = Tally::default();
    let at = UnixSeconds::new(START).unwrap();
    let at_once: Vec<_> = (0..5002)
        .filter(|number| {
            let key = format!("{number:012}").parse().ok();
            tally.count(&Event { at, key, refused: None, client: None })
        })
        .collect();
    assert_eq!(at_once, [499]);
    let batch = tally.batch(at, || "b".to_string()).unwrap();
    assert_eq!((batch.usage.keys.len(), batch.lost), (5000, 2));
}

#[test]
fn rows_are_hourly_for_90_days_and_daily_for_400() {
    let name = |day| RowName { day, bucket: 0 };
    for (day, age) in [
        (Some(Day(1000)), Age::Hourly),
        (Some(Day(911)), Age::Hourly),
        (Some(Day(910)), Age::Daily),
        (Some(Day(601)), Age::Daily),
        (Some(Day(600)), Age::Over),
        (Some(Day(1001)), Age::Hourly),
        (None, Age::Hourly),
    ] {
        assert_eq!(name(day).age(Day(1000)), age, "{day:?}");
    }
}

#[test]
fn only_the_network_of_a_client_is_kept() {
    for (address, network) in [
        ("203.0.113.7", "203.0.113.0/24"),
        ("::ffff:203.0.113.7", "203.0.113.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1::/48"),
        ("::1", "::/48"),
        ("0.0.0.1", "0.0.0.0/24"),
    ] {
        assert_eq!(ClientNetwork::of(address.parse().unwrap()).to_string(), network);
    }
}

#[test]
fn hours_and_days_begin_at_midnight_utc() {
    let at = |seconds| Hour::of(UnixSeconds::new(seconds).unwrap());
    assert_eq!((at(START), at(START - 1)), (Hour(498_840), Hour(498_839)));
    assert_eq!((at(START).day(), at(START - 1).day()), (Day(20_785), Day(20_784)));
}

#[test]
fn unknown_fields_and_shapes_of_a_batch_are_refused() {
    for text in [
        r#"{"id":"b","made":1,"usage":{},"more":1}"#,
        r#"{"id":"b","made":1,"usage":{"keys":{"short":{}}}}"#,
        r#"{"id":"b","made":-1,"usage":{}}"#,
        r#"{"id":"b","made":1,"usage":{"keys":{"AAAAAAAAAAAA":{"hours":{"1":{"accepted":-1}}}}}}"#,
    ] {
        assert!(serde_json::from_str::<Batch>(text).is_err(), "{text}");
    }
}
