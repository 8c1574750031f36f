//! A year of use of as many keys, in what `wrangler dev` keeps.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use keygate_core::key::KeyId;
use keygate_core::time::UnixSeconds;
use keygate_core::usage::{
    Bucket, Counts, Day, DaySums, FirstSeen, Hour, HourCounts, LastUse, LastUses, Row, RowName,
};
use keygate_testbed::checkout::Checkout;
use std::collections::BTreeMap;

/// Sums of days.
const DAYS: u64 = 365;
/// Days of which the hours are kept.
const HOURLY_DAYS: u64 = 90;
/// The hours of a day in which each key is used.
const USED_HOURS: [u64; 3] = [1, 9, 17];

/// What is bound to the gate.
pub(crate) const BINDING: &str = "\n[[durable_objects.bindings]]\nname = \"KEY_USAGE\"\nclass_name = \"Usage\"\nscript_name = \"keygate-control\"\n";

/// Whether the key was last used 60 days ago.
pub(crate) fn is_unused(number: usize) -> bool {
    number.is_multiple_of(10)
}

/// Fills the state in `place`, in whose KV there is a key already.
pub(crate) fn fill(checkout: &Checkout, place: &Path, keys: usize) -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let today = now / 86_400;
    let mut command = checkout.command("node");
    command.args(["--no-warnings", "bench/local_state.cjs"]).arg(place.join(".wrangler/state/v3"));
    command.args([keys.to_string(), (today - 2).to_string(), now.to_string()]);
    let mut process = command.stdin(Stdio::piped()).spawn()?;
    let mut rows = BufWriter::new(process.stdin.take().context("node has no standard input")?);
    let now = UnixSeconds::new(now).context("the clock is off")?;
    for ids in buckets(keys)?.values() {
        write_bucket(&mut rows, ids, now)?;
    }
    drop(rows.into_inner()?);
    ensure!(process.wait()?.success(), "bench/local_state.cjs failed");
    Ok(())
}

/// The keys of each bucket, with their numbers.
fn buckets(keys: usize) -> Result<BTreeMap<Bucket, Vec<(usize, KeyId)>>> {
    let mut buckets: BTreeMap<Bucket, Vec<_>> = BTreeMap::new();
    for number in 0..keys {
        let id: KeyId = format!("{number:012}").parse()?;
        buckets.entry(Bucket::of(id)).or_default().push((number, id));
    }
    Ok(buckets)
}

fn write_bucket(rows: &mut impl Write, ids: &[(usize, KeyId)], now: UnixSeconds) -> Result<()> {
    let Some((_, first)) = ids.first() else { return Ok(()) };
    let (bucket, today) = (Bucket::of(*first), Hour::of(now).day());
    let last_use = |number: usize| {
        let days = if is_unused(number) { 60 } else { 0 };
        let at = UnixSeconds::new(now.seconds() - days * 86_400);
        LastUse { accepted: at, refused: None, networks: FirstSeen::default() }
    };
    let last_uses = LastUses(ids.iter().map(|(number, id)| (*id, last_use(*number))).collect());
    write(rows, RowName::last_uses(bucket), &last_uses)?;
    let counts = |accepted| Counts { accepted, refused: BTreeMap::new() };
    let used = |ago: u64| ids.iter().filter(move |(number, _)| ago >= 60 || !is_unused(*number));
    for ago in 0..DAYS {
        let day = Day(today.0 - ago);
        if ago >= 2 {
            let sums = used(ago).map(|(number, id)| (*id, counts(3 * (*number as u64 % 100 + 1)))).collect();
            write(rows, RowName::day_sums(day, bucket), &DaySums(sums))?;
        }
        if ago < HOURLY_DAYS {
            let hours = |number: usize| {
                USED_HOURS.map(|hour| (Hour(day.0 * 24 + hour), counts(number as u64 % 100 + 1))).into()
            };
            let hours = used(ago).map(|(number, id)| (*id, hours(*number))).collect();
            write(rows, RowName::hour_counts(day, bucket), &HourCounts(hours))?;
        }
    }
    Ok(())
}

fn write(rows: &mut impl Write, name: RowName, row: &impl Row) -> Result<()> {
    let packed = row.pack()?;
    rows.write_all(&name.number().to_le_bytes())?;
    rows.write_all(&u32::try_from(packed.len())?.to_le_bytes())?;
    Ok(rows.write_all(&packed)?)
}
