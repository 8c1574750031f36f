//! The object: it takes batches, stores those of a second together, and moves them into rows every ten minutes.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use gloo_timers::future::TimeoutFuture;
use keygate_core::time::UnixSeconds;
use keygate_core::usage::{
    AnomalyCollector, AnomalyReport, Batch, Bucket, Collector, Hour, Intake, LastUses, LastUsesReport, Query,
    Received, Report, Row as _, RowName,
};
use worker::{DurableObject, Env, Error, Method, Request, Response, Result, State, durable_object};

use super::store::Store;
use crate::{not_found, runtime};

/// Batches of so long are stored as one row.
const TOGETHER_MS: u32 = 1000;
/// How often what was taken is moved into rows. Until then it is in memory, and in the table `commits`.
const MOVE_EVERY: Duration = Duration::from_mins(10);

/// Stores what the gates count.
#[durable_object(alarm)]
pub struct UsageObject {
    state: State,
    /// Opened by the first call.
    opened: RefCell<Option<(Store, Intake)>>,
    has_alarm: Cell<bool>,
}

impl DurableObject for UsageObject {
    fn new(state: State, _env: Env) -> Self {
        runtime::log_panics();
        Self { state, opened: RefCell::default(), has_alarm: Cell::default() }
    }

    async fn fetch(&self, request: Request) -> Result<Response> {
        runtime::answered(self.answer(request).await)
    }

    async fn alarm(&self) -> Result<Response> {
        self.has_alarm.set(false);
        runtime::answered(self.with(move_into_rows).and_then(|()| Response::empty()))
    }
}

impl UsageObject {
    async fn answer(&self, mut request: Request) -> Result<Response> {
        match (request.method(), request.path().as_str()) {
            (Method::Post, "/batches") => self.take(&request.text().await?).await,
            (Method::Post, "/reports") => self.report(&request.text().await?).await,
            (Method::Get, "/last-uses") => self.last_uses().await,
            (Method::Post, "/anomalies") => self.anomalies().await,
            _ => not_found(),
        }
    }

    /// Takes a batch, and answers once it is stored.
    async fn take(&self, json: &str) -> Result<Response> {
        let Ok(batch) = serde_json::from_str::<Batch>(json) else {
            return Response::error("this is not a batch", 400);
        };
        let id = batch.id;
        let now = runtime::now().seconds();
        if !self.with(|_, intake| Ok(intake.has_room(&batch)))? {
            self.with(commit)?;
        }
        match self.with(|_, intake| Ok(intake.receive(batch, now)))? {
            Received::Refused => return Response::error("this batch was made too long ago", 400),
            Received::Known => return Ok(Response::empty()?.with_status(204)),
            Received::Waiting => {}
        }
        TimeoutFuture::new(TOGETHER_MS).await;
        // Unless it was stored with a batch that came before.
        if !self.with(|_, intake| Ok(intake.knows(&id)))? {
            self.with(commit)?;
            self.set_alarm().await?;
        }
        // A failure of another call may have dropped what waited.
        if !self.with(|_, intake| Ok(intake.knows(&id)))? {
            return Response::error("this batch was not stored", 503);
        }
        Ok(Response::empty()?.with_status(204))
    }

    /// Reads a part at a time, as the other questions do, so that batches are taken between.
    async fn report(&self, json: &str) -> Result<Response> {
        let Ok(query) = serde_json::from_str::<Query>(json) else {
            return Response::error("this is not a query", 400);
        };
        let today = Hour::of(runtime::now().seconds()).day();
        let mut report: Option<Report> = None;
        for part in query.parts() {
            let of_part = self.look(|store, intake| {
                let mut collector = Collector::of_part(&query, part, today);
                let rows = collector.rows(store.moved()?.summed());
                store.each_row(&rows, |number, packed| collector.add(number, packed))?;
                collector.add_recent(intake.recent());
                Ok(collector.report())
            })?;
            match &mut report {
                Some(report) => report.add_other_keys(of_part, query.keys_max),
                None => report = Some(of_part),
            }
            TimeoutFuture::new(0).await;
        }
        // Nobody asks for no key at all.
        let report = report.unwrap_or_else(|| Collector::new(query, today).report());
        Response::from_json(&report)
    }

    async fn last_uses(&self) -> Result<Response> {
        let first = self.look(|store, intake| {
            let recent = intake.recent().first_hour().map(Hour::day);
            Ok(store.first_day()?.into_iter().chain(recent).min())
        })?;
        let since = first.and_then(|day| UnixSeconds::new(day.0 * 86_400));
        let mut report = LastUsesReport { since, ..LastUsesReport::default() };
        for bucket in Bucket::all() {
            self.look(|store, intake| {
                let number = RowName::last_uses(bucket).number();
                store.each_row(&[number..=number], |_, packed| {
                    report.add(LastUses::unpack(packed)?.0.iter());
                    Ok(())
                })?;
                let recent = intake.recent().keys.iter().filter(|(id, _)| Bucket::of(**id) == bucket);
                report.add(recent.map(|(id, key)| (id, &key.last)));
                Ok(())
            })?;
            TimeoutFuture::new(0).await;
        }
        Response::from_json(&report)
    }

    async fn anomalies(&self) -> Result<Response> {
        let now = runtime::now().seconds();
        let mut signals = Vec::new();
        for bucket in Bucket::all() {
            let found = self.look(|store, intake| {
                let mut collector = AnomalyCollector::of_bucket(bucket, now);
                let rows = collector.rows(store.moved()?.summed());
                store.each_row(&rows, |number, packed| collector.add(number, packed))?;
                collector.add_recent(intake.recent());
                Ok(collector.signals())
            })?;
            signals.extend(found);
            TimeoutFuture::new(0).await;
        }
        Response::from_json(&AnomalyReport::of(signals))
    }

    async fn set_alarm(&self) -> Result<()> {
        if !self.has_alarm.replace(true) {
            let storage = self.state.storage();
            if storage.get_alarm().await?.is_none() {
                storage.set_alarm(MOVE_EVERY).await?;
            }
        }
        Ok(())
    }

    /// Looks at what is stored; a failure changes nothing.
    fn look<T>(&self, work: impl FnOnce(&Store, &Intake) -> Result<T>) -> Result<T> {
        self.with(|store, intake| Ok(work(store, intake)))?
    }

    /// Works on what is stored. After a failure it is read anew: what is in memory may not be what is stored.
    fn with<T>(&self, work: impl FnOnce(&Store, &mut Intake) -> Result<T>) -> Result<T> {
        let mut opened = self.opened.try_borrow_mut().map_err(|error| Error::RustError(error.to_string()))?;
        let (store, mut intake) = if let Some(opened) = opened.take() {
            opened
        } else {
            let store = Store::open(&self.state)?;
            let intake = store.intake()?;
            (store, intake)
        };
        let done = work(&store, &mut intake)?;
        *opened = Some((store, intake));
        Ok(done)
    }
}

fn commit(store: &Store, intake: &mut Intake) -> Result<()> {
    let commit = intake.commit();
    store.commit(&commit)?;
    intake.committed(&commit);
    if intake.is_heavy() { move_into_rows(store, intake) } else { Ok(()) }
}

fn move_into_rows(store: &Store, intake: &mut Intake) -> Result<()> {
    let now = runtime::now().seconds();
    store.move_into_rows(intake.take_recent(), now)?;
    intake.forget(now);
    Ok(())
}
