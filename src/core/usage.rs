//! Usage: how often each key was accepted and refused, by hour, and when last.
//!
//! The gate counts in memory and sends what it counted, as a [`Batch`], to the one place that stores it, an [`Intake`], which
//! moves it into [`Rows`]; a [`Collector`] and an [`AnomalyCollector`] read them. Merging is associative and commutative, so that it does not
//! matter who merges what first. A batch has an id, by which the store recognizes a repeated one: nothing is counted twice. What an isolate
//! had not sent when it ended is lost; the numbers are for charts, last use and anomalies, not for invoices.
//!
//! Nothing of a secret is counted, and no whole address of a client: only its /24 or /48, in a [`NetworkSketch`] of bounded size.

mod anomaly;
mod batch;
mod collector;
mod counts;
mod intake;
mod networks;
mod report;
mod row;

pub use anomaly::{Anomaly, AnomalyCollector, AnomalyReport, Signal};
pub use batch::{Batch, Tally};
pub use collector::Collector;
pub use counts::{Counts, Day, Event, Hour, KeyUsage, LastUse, Usage};
pub use intake::{Commit, Intake, Received};
pub use networks::{ClientNetwork, FirstSeen, NetworkSketch};
pub use report::{
    KeyTotal, LastUseTimes, LastUsesReport, Part, Point, Query, RefusedNetwork, Report, SeenNetwork, Step,
    WithoutKeyTotal,
};
pub use row::{Bucket, DaySums, HourCounts, Kind, LastUses, Row, RowError, RowName, Rows, WithoutKey};

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
