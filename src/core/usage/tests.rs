use alloc::collections::BTreeMap;
use core::net::IpAddr;
use core::ops::RangeInclusive;
use std::format;
use std::string::ToString as _;
use std::vec::Vec;

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};
use proptest::sample::select;

use uuid::Uuid;

use super::{
    Batch, Bucket, ClientNetwork, Collector, Commit, Counts, Day, Event, FirstSeen, Hour, HourCounts, Intake,
    Kind, NetworkSketch, Query, Received, Report, Row, RowName, Rows, Step, Tally, Usage,
};
use crate::key::KeyId;
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

fn merged(parts: &[&Usage]) -> Usage {
    let mut all = Usage::default();
    for part in parts {
        all.merge(part);
    }
    all
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
        prop_assert_eq!(usage.total(), events.len() as u64);
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
            prop_assert_eq!((usage.last.accepted, usage.last.refused), (latest(false), latest(true)));
        }
    }

    #[test]
    fn batch_is_read_as_it_was_written(events in vec(event(), 0..40)) {
        let made = UnixSeconds::new(START).unwrap();
        let batch = Batch { id: Uuid::from_u128(7), made, usage: usage_of(&events) };
        let text = serde_json::to_string(&batch).unwrap();
        prop_assert_eq!(serde_json::from_str::<Batch>(&text).unwrap(), batch);
    }

    #[test]
    fn rows_hold_all_that_was_counted_and_merge_like_it(a in vec(event(), 0..40), b in vec(event(), 0..40)) {
        let mut store = Stored::default();
        store.add(&usage_of(&a));
        store.add(&usage_of(&b));
        let mut at_once = Stored::default();
        at_once.add(&usage_of(&[&a[..], &b].concat()));
        prop_assert_eq!(&store.rows, &at_once.rows);
    }

    #[test]
    fn report_of_all_rows_is_what_was_counted(
        stored in vec(event(), 0..60), recent in vec(event(), 0..20), summed in proptest::option::of(0..4u64), by_hour in any::<bool>(),
    ) {
        let mut store = Stored::default();
        store.add(&usage_of(&stored));
        let summed = summed.map(|days| Day(20_785 + days));
        store.sum_up(summed);
        let all = usage_of(&[&stored[..], &recent].concat());
        let report = store.report(&all_of_three_days(by_hour), summed, &usage_of(&recent));
        let counted: BTreeMap<_, _> = report.keys.iter().map(|key| (key.id, key.counts.clone())).collect();
        prop_assert_eq!(counted, all.keys.iter().map(|(id, key)| (*id, sum(key.hours.values()))).collect());
        for key in &report.keys {
            let last = &all.keys[&key.id].last;
            prop_assert_eq!((key.last_accepted, key.last_refused), (last.accepted, last.refused));
            prop_assert_eq!(key.networks.len(), last.networks.iter().count());
        }
        let series = sum(report.series.iter().map(|point| &point.counts));
        prop_assert_eq!(series, sum(all.keys.values().flat_map(|key| key.hours.values())));
        let without_key = report.without_key.unwrap();
        prop_assert_eq!(without_key.counts, sum(all.without_key.values()));
    }

    #[test]
    fn report_of_one_key_reads_its_rows_alone(events in vec(event(), 0..80), by_hour in any::<bool>()) {
        let mut store = Stored::default();
        store.add(&usage_of(&events));
        store.sum_up(Some(Day(20_785)));
        let id: KeyId = "4fTz0Qw9Lr2K".parse().unwrap();
        let query = Query { keys: Some([id].into()), ..all_of_three_days(by_hour) };
        let report = store.report(&query, Some(Day(20_785)), &Usage::default());
        let own = usage_of(&events).keys.remove(&id).unwrap_or_default();
        prop_assert_eq!(report.keys.len(), 1);
        prop_assert_eq!(&report.keys[0].counts, &sum(own.hours.values()));
        prop_assert_eq!(report.without_key, None);
    }

    #[test]
    fn first_seen_networks_are_the_same_whoever_merges_first(
        seen in vec((any::<u8>(), 0..100u64), 0..80), cut in 0..80usize,
    ) {
        let network = |byte: u8| ClientNetwork::of(IpAddr::from([203, 0, byte, 1]));
        let at = |secs| UnixSeconds::new(START + secs).unwrap();
        let of = |seen: &[(u8, u64)]| {
            let mut all = FirstSeen::default();
            for (byte, secs) in seen {
                all.note(network(*byte), at(*secs));
            }
            all
        };
        let (a, b) = seen.split_at(cut.min(seen.len()));
        let (mut left, mut right) = (of(a), of(b));
        left.merge(&of(b));
        right.merge(&of(a));
        prop_assert_eq!(&left, &of(&seen));
        prop_assert_eq!(&right, &left);
        prop_assert!(left.iter().count() <= 16);
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
    fn what_is_stored_is_what_was_counted_whatever_is_repeated_lost_and_restarted(
        steps in vec((vec(event(), 0..20), any::<bool>(), any::<bool>(), any::<bool>()), 1..20),
    ) {
        let (mut tally, mut intake, mut commits) = (Tally::default(), Intake::default(), Vec::<Vec<u8>>::new());
        let (mut made, mut events) = (0, Vec::new());
        let now = UnixSeconds::new(START).unwrap();
        let mut send = |tally: &mut Tally, arrives: bool, answers: bool, restarts: bool| {
            made += 1;
            let Some(batch) = tally.batch(now, Uuid::from_u128(made)).cloned() else { return };
            if arrives {
                intake.receive(batch.clone(), now);
            }
            if restarts {
                // What was not stored is lost with its waiting callers.
                intake = Intake::default();
                for packed in &commits {
                    intake.committed(&Commit::unpack(packed).unwrap());
                }
                return;
            }
            let commit = intake.commit();
            commits.push(commit.pack().unwrap());
            intake.committed(&commit);
            if arrives && answers {
                assert!(intake.knows(&batch.id));
                tally.settled(&batch.id);
            }
        };
        for (counted, arrives, answers, restarts) in steps {
            for event in &counted {
                tally.count(event);
            }
            events.extend(counted);
            send(&mut tally, arrives, answers, restarts);
        }
        send(&mut tally, true, true, false);
        send(&mut tally, true, true, false);
        prop_assert_eq!(intake.recent(), &usage_of(&events));
    }
}

/// Rows by their number, as bytes.
#[derive(Default)]
pub(super) struct Stored {
    pub(super) rows: BTreeMap<u64, Vec<u8>>,
}

impl Stored {
    fn merge<R: Row>(&mut self, name: RowName, more: &R) {
        let packed = self.rows.entry(name.number()).or_insert_with(|| R::default().pack().unwrap());
        let mut row = R::unpack(packed).unwrap();
        row.merge(more);
        *packed = row.pack().unwrap();
    }

    pub(super) fn add(&mut self, usage: &Usage) {
        let rows = Rows::from(usage.clone());
        rows.last_uses.iter().for_each(|(bucket, row)| self.merge(RowName::last_uses(*bucket), row));
        rows.hour_counts
            .iter()
            .for_each(|((day, bucket), row)| self.merge(RowName::hour_counts(*day, *bucket), row));
        rows.without_key.iter().for_each(|(day, row)| self.merge(RowName::without_key(*day), row));
    }

    fn sum_up(&mut self, until: Option<Day>) {
        if let Some(until) = until {
            self.sum_up_days(Day(0)..=until);
        }
    }

    pub(super) fn sum_up_days(&mut self, days: RangeInclusive<Day>) {
        let rows = self.rows.range(RowName::of_days(Kind::HourCounts, days));
        let rows: Vec<_> = rows.map(|(number, packed)| (*number, packed.clone())).collect();
        for (number, packed) in rows {
            let sums = HourCounts::unpack(&packed).unwrap().sums();
            self.merge(RowName::of_number(number).unwrap().sums(), &sums);
        }
    }

    /// What is read at once, and in parts, which is the same.
    fn report(&self, query: &Query, summed: Option<Day>, recent: &Usage) -> Report {
        let read = |mut collector: Collector| {
            for rows in collector.rows(summed) {
                for (number, packed) in self.rows.range(rows) {
                    collector.add(*number, packed).unwrap();
                }
            }
            collector.add_recent(recent);
            collector.report()
        };
        let today = Day(20_787);
        let parts = query.parts().into_iter().map(|part| read(Collector::of_part(query, part, today)));
        let add = |mut report: Report, part| {
            report.add_other_keys(part, query.keys_max);
            report
        };
        let report = read(Collector::new(query.clone(), today));
        assert_eq!(parts.reduce(add).unwrap(), report);
        report
    }
}

fn all_of_three_days(by_hour: bool) -> Query {
    let by = if by_hour { Step::Hour } else { Step::Day };
    Query { keys: None, hours: Hour(498_840)..=Hour(498_840 + 71), by, keys_max: 100 }
}

fn sum<'c>(counts: impl Iterator<Item = &'c Counts>) -> Counts {
    let mut all = Counts::default();
    counts.for_each(|more| all.merge(more));
    all
}

#[test]
fn batches_that_are_too_old_or_of_the_future_are_refused() {
    for (made, received) in [
        (START, Received::Waiting),
        (START - 899, Received::Waiting),
        (START - 900, Received::Refused),
        (START + 600, Received::Waiting),
        (START + 601, Received::Refused),
    ] {
        let batch =
            Batch { id: Uuid::from_u128(1), made: UnixSeconds::new(made).unwrap(), usage: Usage::default() };
        let mut intake = Intake::default();
        assert_eq!(intake.receive(batch.clone(), UnixSeconds::new(START).unwrap()), received, "{made}");
        let commit = intake.commit();
        intake.committed(&commit);
        let until = UnixSeconds::new(commit.known_until().max(1)).unwrap();
        // As soon as it is forgotten, it is refused.
        intake.forget(until);
        assert!(!intake.knows(&batch.id));
        assert_eq!(intake.receive(batch, until), Received::Refused, "{made}");
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
    let usage = &tally.batch(at, Uuid::from_u128(1)).unwrap().usage;
    assert_eq!((usage.keys.len(), &usage.lost), (5000, &BTreeMap::from([(Day(20_785), 2)])));
}

#[test]
fn hours_are_kept_for_90_days_and_sums_for_400() {
    let today = Day(1000);
    let bucket = Bucket::of("4fTz0Qw9Lr2K".parse().unwrap());
    for (name, is_kept) in [
        (RowName::hour_counts(Day(911), bucket), true),
        (RowName::hour_counts(Day(910), bucket), false),
        (RowName::hour_counts(Day(0), bucket), false),
        (RowName::day_sums(Day(601), bucket), true),
        (RowName::day_sums(Day(600), bucket), false),
        (RowName::without_key(Day(601)), true),
        (RowName::without_key(Day(600)), false),
        (RowName::last_uses(bucket), true),
    ] {
        let is_expired = RowName::expired(today).iter().any(|rows| rows.contains(&name.number()));
        assert_eq!(!is_expired, is_kept, "{name:?}");
        assert_eq!(RowName::of_number(name.number()), Some(name));
    }
}

#[test]
fn no_more_rows_are_read_than_are_kept_whatever_is_asked() {
    let id: KeyId = "4fTz0Qw9Lr2K".parse().unwrap();
    for (by, days) in [(Step::Day, 401), (Step::Hour, 91)] {
        let query =
            Query { keys: Some([id].into()), hours: Hour(0)..=Hour(u64::MAX / 3600), by, keys_max: 1 };
        let rows = Collector::new(query, Day(20_785)).rows(None);
        // One for each day, and the last uses.
        assert_eq!(rows.len(), days + 1, "{by:?}");
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
fn batch_that_is_never_taken_is_reported_as_lost() {
    let (at, id) = (UnixSeconds::new(START).unwrap(), Uuid::from_u128);
    let mut tally = Tally::default();
    for key in [Some("AAAAAAAAAAAA".parse().unwrap()), None] {
        tally.count(&Event { at, key, refused: None, client: None });
    }
    tally.batch(at, id(1));
    tally.refused(&id(2));
    assert_eq!(tally.batch(at, id(3)).unwrap().id, id(1));
    tally.refused(&id(1));
    let next = tally.batch(at, id(4)).unwrap();
    assert_eq!((next.usage.total(), &next.usage.lost), (0, &BTreeMap::from([(Day(20_785), 2)])));
}

#[test]
fn batches_that_wait_are_stored_before_one_that_would_make_a_row_too_large() {
    let now = UnixSeconds::new(START).unwrap();
    let batch = |number: u128, keys: u32| {
        let mut usage = Usage::default();
        for key in 0..keys {
            let key = format!("{number:04}{key:08}").parse().ok();
            usage.count(&Event { at: now, key, refused: None, client: None });
        }
        Batch { id: Uuid::from_u128(number), made: now, usage }
    };
    let mut intake = Intake::default();
    for (number, keys, has_room) in [(1, 5000, true), (2, 1, false), (3, 0, true)] {
        let batch = batch(number, keys);
        assert_eq!(intake.has_room(&batch), has_room, "{number}");
        if !has_room {
            let commit = intake.commit();
            intake.committed(&commit);
        }
        intake.receive(batch, now);
    }
}

#[test]
fn a_time_of_which_nothing_is_kept_has_no_requests() {
    let mut recent = Usage::default();
    for at in [START, START + 90_000] {
        let (at, client) = (UnixSeconds::new(at).unwrap(), Some(IpAddr::from([203, 0, 113, 1])));
        recent.count(&Event { at, key: None, refused: Some(Code::KeyInvalid), client });
        recent.count(&Event { at, key: Some("AAAAAAAAAAAA".parse().unwrap()), refused: None, client });
        recent.lost.insert(Hour::of(at).day(), 1);
    }
    let today = Day(20_786);
    let long_ago = Hour((today.0 - 120) * 24);
    for hours in [Hour(0)..=Hour(0), long_ago..=long_ago, Hour(900_000)..=Hour(900_001)] {
        for by in [Step::Hour, Step::Day] {
            let query = Query { keys: None, hours: hours.clone(), by, keys_max: 10 };
            let mut collector = Collector::new(query, today);
            assert!(collector.rows(None).len() <= 4);
            collector.add_recent(&recent);
            let report = collector.report();
            assert_eq!(
                (report.keys_total, report.lost, report.series),
                (0, 0, Vec::new()),
                "{hours:?} {by:?}"
            );
        }
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
        r#"{"id":"67e55044-10b1-426f-9247-bb680e5fe0c8","made":1,"usage":{},"more":1}"#,
        r#"{"id":"67e55044-10b1-426f-9247-bb680e5fe0c8","made":1,"usage":{"keys":{"short":{}}}}"#,
        r#"{"id":"67e55044-10b1-426f-9247-bb680e5fe0c8","made":-1,"usage":{}}"#,
        r#"{"id":"67e55044-10b1-426f-9247-bb680e5fe0c8","made":1,"usage":{"keys":{"AAAAAAAAAAAA":{"hours":{"1":{"accepted":-1}}}}}}"#,
    ] {
        assert!(serde_json::from_str::<Batch>(text).is_err(), "{text}");
    }
}
