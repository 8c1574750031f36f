//! `keygate issue --to`: a first key into its places.
//!
//! Nobody relies on the key yet, so its record has a short end until every place holds it: whatever stops it half way,
//! the record dies by itself.

use keygate_core::record::Record;
use serde::Serialize;

use crate::context::Context;
use crate::entry::Entry;
use crate::error::Outcome;
use crate::output::printable;
use crate::places::{self, Holder, Template};
use crate::revision;
use crate::rotation::{PROVISIONAL_SECS, Targets};
use crate::store::{self, Store, Stored};
use crate::time::utc;

/// The secret stores that a key can be delivered to, as a dry run found.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Deliverable<'d> {
    subject: &'d str,
    places: &'d [String],
}

/// The places of a first key, which can be written.
pub(super) struct Delivery {
    targets: Targets,
    names: Vec<String>,
}

impl Delivery {
    /// # Errors
    /// A place cannot be written, or holds something that may not be overwritten.
    pub(super) fn checked(to: &[String], record: &Record, overwrite: bool) -> Outcome<Self> {
        let holder = Holder::of(record);
        let uris = to.iter().map(|text| Template::parse(text)?.of(&holder)).collect::<Outcome<Vec<_>>>()?;
        let targets = Targets::open(&uris, |uri| places::open_for(uri, &holder))?;
        targets.check_free(overwrite)?;
        Ok(Self { targets, names: uris.iter().map(ToString::to_string).collect() })
    }

    pub(super) fn places(&self) -> &[String] {
        &self.names
    }

    /// Says that it could be done.
    ///
    /// # Errors
    /// Standard output is closed or full.
    pub(super) fn say_checked(&self, context: &Context, record: &Record) -> Outcome<()> {
        let places = self.names.join(", ");
        context.out.result(
            &Deliverable { subject: record.subject.as_str(), places: &self.names },
            format_args!(
                "a key for {} can be delivered to {}\nnothing was written",
                record.subject,
                printable(&places)
            ),
        )
    }

    /// Writes the record with a short end, delivers the key, gives the record its real end.
    ///
    /// # Errors
    /// One of it failed; the record ends by itself.
    pub(super) fn carry_out(
        &self,
        context: &Context,
        store: &dyn Store,
        record: &Record,
        key: &str,
    ) -> Outcome<()> {
        let operator = context.operator.as_deref();
        let provisional = context.now.plus(PROVISIONAL_SECS);
        let short = record.not_after.map_or(provisional, |end| end.min(provisional));
        let id = record.id;
        let mut first = record.clone();
        first.not_after = Some(short);
        let ends = |error: crate::error::Error| {
            let remedy = format!(
                "{}; then issue again with --overwrite. To keep key {id} instead, see `keygate show {id}` and give it another end with `keygate update {id} --expires WHEN`",
                error.remedy()
            );
            error.and(format!("the record of key {id} ends by itself at {}", utc(short)), remedy)
        };
        let entry = Entry::of(&first, revision::next(store, None, operator))?;
        store::write_surely(store, &entry)
            .map_err(|error| if error.is_unanswered() { ends(error) } else { error })?;
        self.targets.fill(key).map_err(ends)?;
        if record.not_after == Some(short) {
            return Ok(());
        }
        let seen = store.entry(&entry.key).map_err(ends)?;
        // Delivering takes its time, and a key that somebody revoked meanwhile must not come back to life.
        if let Some(now) = seen.as_ref().filter(|now| now.value != entry.value) {
            let wrote = Stored { value: entry.value, metadata: entry.metadata };
            return Err(ends(revision::changed(&entry.key, &wrote, now)));
        }
        let whole = Entry::of(record, revision::next(store, seen.as_ref(), operator))?;
        store::write_surely(store, &whole).map_err(ends)
    }
}
