//! The rows of usage, in SQLite.
//!
//! | table | a row is | written |
//! |---|---|---|
//! | `commits` | batches that were stored together, with their ids | at most once a second |
//! | `rows` | keys of a day, or their last uses: `keygate_core::usage::RowName` | every ten minutes |
//! | `moved` | up to where commits are in `rows`, and days have sums | every ten minutes |

use core::ops::RangeInclusive;

use keygate_core::time::UnixSeconds;
use keygate_core::usage::{
    Commit, Day, Hour, HourCounts, Intake, Kind, LastUses, Row, RowError, RowName, Rows, Usage,
};
use serde::Deserialize;
use serde_bytes::ByteBuf;
use worker::{Error, Result, SqlStorage, SqlStorageValue, State, Storage};

use crate::runtime::in_transaction;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS commits (number INTEGER PRIMARY KEY, known_until INTEGER NOT NULL, packed BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS rows (name INTEGER PRIMARY KEY, packed BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS moved (only INTEGER PRIMARY KEY CHECK (only = 0), commits INTEGER NOT NULL, summed_day INTEGER NOT NULL);
    INSERT OR IGNORE INTO moved VALUES (0, 0, 0);
";

/// The tables of an object.
pub(super) struct Store {
    storage: Storage,
    sql: SqlStorage,
}

/// Up to where commits are in rows, and days have sums.
#[derive(Clone, Copy, Deserialize)]
pub(super) struct Moved {
    commits: u64,
    summed_day: u64,
}

impl Moved {
    /// The last day that has sums.
    pub(super) fn summed(self) -> Option<Day> {
        (self.summed_day > 0).then_some(Day(self.summed_day))
    }
}

#[derive(Deserialize)]
struct StoredCommit {
    number: u64,
    packed: ByteBuf,
}

#[derive(Deserialize)]
struct StoredRow {
    name: u64,
    packed: ByteBuf,
}

#[derive(Deserialize)]
struct Named {
    name: u64,
}

impl Store {
    /// Opens the tables, and makes them if there are none.
    pub(super) fn open(state: &State) -> Result<Self> {
        let storage = state.storage();
        let sql = storage.sql();
        sql.exec(SCHEMA, None)?;
        Ok(Self { storage, sql })
    }

    /// What was taken before, as far as it is to be remembered.
    pub(super) fn intake(&self) -> Result<Intake> {
        let moved = self.moved()?.commits;
        let mut intake = Intake::default();
        let commits = self.sql.exec("SELECT number, packed FROM commits", None)?;
        for stored in commits.next::<StoredCommit>() {
            let stored = stored?;
            let commit = Commit::unpack(&stored.packed).map_err(unreadable)?;
            if stored.number > moved {
                intake.committed(&commit);
            } else {
                intake.know(&commit);
            }
        }
        Ok(intake)
    }

    /// Stores batches.
    pub(super) fn commit(&self, commit: &Commit) -> Result<()> {
        let packed = commit.pack().map_err(unreadable)?;
        let values = vec![number(commit.known_until()), packed.into()];
        self.sql.exec("INSERT INTO commits (known_until, packed) VALUES (?, ?)", values)?;
        Ok(())
    }

    /// Moves what was taken into rows, sums up the days before yesterday, and deletes what is not kept.
    pub(super) fn move_into_rows(&self, recent: Usage, now: UnixSeconds) -> Result<()> {
        let rows = Rows::from(recent);
        in_transaction(self.storage.as_raw(), || {
            let moved = self.moved()?;
            for (bucket, row) in &rows.last_uses {
                self.merge(RowName::last_uses(*bucket), row)?;
            }
            for ((day, bucket), row) in &rows.hour_counts {
                self.merge(RowName::hour_counts(*day, *bucket), row)?;
                if day.0 <= moved.summed_day {
                    self.merge(RowName::day_sums(*day, *bucket), &row.sums())?;
                }
            }
            for (day, row) in &rows.without_key {
                self.merge(RowName::without_key(*day), row)?;
            }
            let today = Hour::of(now).day();
            let summed = Day(today.0.saturating_sub(2)).max(Day(moved.summed_day));
            if summed.0 > moved.summed_day {
                self.sum_up(Day(moved.summed_day + 1)..=summed)?;
                self.forget_unused(now)?;
            }
            for expired in RowName::expired(today) {
                let values = vec![number(*expired.start()), number(*expired.end())];
                self.sql.exec("DELETE FROM rows WHERE name BETWEEN ? AND ?", values)?;
            }
            self.sql.exec(
                "UPDATE moved SET commits = (SELECT coalesce(max(number), 0) FROM commits), summed_day = ?",
                vec![number(summed.0)],
            )?;
            // The last one stays, so that its number is not given again.
            self.sql.exec(
                "DELETE FROM commits WHERE known_until <= ? AND number < (SELECT max(number) FROM commits)",
                vec![number(now.seconds())],
            )?;
            Ok(())
        })
    }

    /// Up to where commits are in rows, and days have sums.
    pub(super) fn moved(&self) -> Result<Moved> {
        let rows: Vec<Moved> = self.sql.exec("SELECT commits, summed_day FROM moved", None)?.to_array()?;
        rows.first().copied().ok_or_else(|| Error::RustError("the table `moved` is empty".into()))
    }

    /// Calls `with` with the rows of these numbers: one statement, however many ranges there are.
    pub(super) fn each_row(
        &self,
        numbers: &[RangeInclusive<u64>],
        mut with: impl FnMut(u64, &[u8]) -> core::result::Result<(), RowError>,
    ) -> Result<()> {
        let ranges: Vec<_> = numbers.iter().map(|range| (range.start(), range.end())).collect();
        let query = "SELECT name, packed FROM json_each(?) AS range CROSS JOIN rows
            WHERE name BETWEEN range.value ->> 0 AND range.value ->> 1";
        let rows = self.sql.exec(query, vec![serde_json::to_string(&ranges)?.into()])?;
        for row in rows.next::<StoredRow>() {
            let row = row?;
            with(row.name, &row.packed).map_err(unreadable)?;
        }
        Ok(())
    }

    /// The first day that there are rows of.
    pub(super) fn first_day(&self) -> Result<Option<Day>> {
        let mut first = None;
        for kind in [Kind::DaySums, Kind::HourCounts] {
            let numbers = RowName::of_days(kind, Day(0)..=Day(u32::MAX.into()));
            let values = vec![number(*numbers.start()), number(*numbers.end())];
            let query = "SELECT name FROM rows WHERE name BETWEEN ? AND ? ORDER BY name LIMIT 1";
            let rows: Vec<Named> = self.sql.exec(query, values)?.to_array()?;
            let day = rows.first().and_then(|row| RowName::of_number(row.name)).map(RowName::day);
            first = first.into_iter().chain(day).min();
        }
        Ok(first)
    }

    fn sum_up(&self, days: RangeInclusive<Day>) -> Result<()> {
        let mut names = Vec::new();
        self.each_row(&[RowName::of_days(Kind::HourCounts, days)], |name, _| {
            names.extend(RowName::of_number(name));
            Ok(())
        })?;
        for name in names {
            let hours: HourCounts = self.read(name)?;
            self.merge(name.sums(), &hours.sums())?;
        }
        Ok(())
    }

    /// Also of keys in whose bucket none is used any more.
    fn forget_unused(&self, now: UnixSeconds) -> Result<()> {
        let mut changed = Vec::new();
        self.each_row(&[RowName::all_last_uses()], |name, packed| {
            let mut row = LastUses::unpack(packed)?;
            if row.forget_unused(now) {
                changed.push((name, row.pack()?));
            }
            Ok(())
        })?;
        for (name, packed) in changed {
            self.write(name, packed)?;
        }
        Ok(())
    }

    fn read<R: Row>(&self, name: RowName) -> Result<R> {
        let mut read = R::default();
        self.each_row(&[name.number()..=name.number()], |_, packed| {
            read = R::unpack(packed)?;
            Ok(())
        })?;
        Ok(read)
    }

    fn merge<R: Row>(&self, name: RowName, more: &R) -> Result<()> {
        let mut row: R = self.read(name)?;
        row.merge(more);
        self.write(name.number(), row.pack().map_err(unreadable)?)
    }

    fn write(&self, name: u64, packed: Vec<u8>) -> Result<()> {
        self.sql.exec("INSERT OR REPLACE INTO rows VALUES (?, ?)", vec![number(name), packed.into()])?;
        Ok(())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` calls it so")]
fn unreadable(error: RowError) -> Error {
    Error::RustError(error.to_string())
}

/// SQLite's integers are signed; all of ours are below 2^53.
fn number(value: u64) -> SqlStorageValue {
    SqlStorageValue::Integer(i64::try_from(value).unwrap_or(i64::MAX))
}
