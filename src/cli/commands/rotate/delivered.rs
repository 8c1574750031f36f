//! `keygate rotate --to`: the key goes where it is kept.

use std::path::PathBuf;

use keygate_core::key::KeyId;
use keygate_core::record::Record;
use keygate_delivery::rotation::{self, Finished, Journal, Notes, check_in_use, lifetime};
use keygate_delivery::{Holder, KeyStatus, StoreUri, Template};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::clock;
use crate::commands::issue::{Issued, Replaced, issued};
use crate::commands::rotate::RotateArgs;
use crate::commands::rotate::gate::{Gate, targets};
use crate::commands::rotate::{Made, announce};
use crate::context::Context;
use crate::error::{Error, Outcome};
use crate::key_out::KeyOut;
use crate::output::printable;
use crate::store;
use crate::time;

/// A key that can be rotated, as a dry run found.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Rotatable<'r> {
    id: &'r str,
    places: &'r [String],
}

/// Rotates one key.
pub(super) fn run(context: &Context, args: &RotateArgs, old: KeyId) -> Outcome<()> {
    let templates = templates(args)?;
    if args.write.dry_run && (args.key_out.key_out.is_some() || args.to.print) {
        return Err(Error::usage(
            "with --dry-run and --to no key is made",
            "leave --key-out and --print out: the secret stores are looked at, and nothing else is done",
        ));
    }
    let gate = Gate::of_options(context, &args.store, &args.pepper)?;
    let (record, _) =
        store::record(&*gate.store, old).map_err(|error| gate.static_keys.explain(old, error))?;
    let uris = uris(&templates, &record)?;
    gate.check_pepper(args, &[&record])?;
    if args.write.dry_run {
        check(context, &gate, &record, &uris)?;
        let places = names(&uris);
        return context.out.result(
            &Rotatable { id: old.as_str(), places: &places },
            format_args!("{old} can be rotated: {} can be written, and hold it where that can be seen\nnothing was written", places.join(", ")),
        );
    }
    let mut key_out = KeyOut::open(args.key_out.key_out.as_deref(), false, context.out.is_json())?;
    let mut told = Told::default();
    let finished = one(context, args, &gate, &record, &uris, &mut |_, key| {
        key_out.fill(key)?;
        told.keep(args.to.print, key);
        Ok(())
    })?;
    told.key_file = key_out.path().map(ToOwned::to_owned);
    report(context, &gate, &finished, &names(&uris), &told)
}

/// The secret stores of one key, checked; then the whole rotation.
pub(super) fn one(
    context: &Context,
    args: &RotateArgs,
    gate: &Gate,
    old: &Record,
    uris: &[StoreUri],
    show: &mut dyn FnMut(&Record, &str) -> Outcome<()>,
) -> Outcome<Finished> {
    let folder = rotation::folder(args.journal.as_deref())?;
    let expiry = lifetime(old, args.expires.map(Into::into));
    clock::check_to_come(expiry.from(context.now), context.now)?;
    let (reference, pepper) = (gate.reference.clone(), gate.pepper());
    let notes = Notes::new(old.id, reference, pepper, args.grace_secs(), expiry, &names(uris));
    // The lock comes first: what is looked at under it stays as it was seen, as far as this machine goes.
    let mut journal = Journal::begin(&folder, notes)?;
    if let Some(key) = check(context, gate, old, uris)? {
        journal.hide(&key, &gate.of_records(&gate.records()))?;
    }
    gate.rotation(&gate.records(), journal)?.finish(show)
}

fn check(
    context: &Context,
    gate: &Gate,
    old: &Record,
    uris: &[StoreUri],
) -> Outcome<Option<Zeroizing<String>>> {
    check_in_use(old, context.now, gate.store.option())?;
    targets(uris, old)?.check(old, &gate.of_records(&gate.records()))
}

/// What is said of the key itself.
// Absent on purpose: Debug.
#[derive(Default)]
pub(super) struct Told {
    key: Option<Zeroizing<String>>,
    pub(super) key_file: Option<PathBuf>,
}

impl Told {
    pub(super) fn keep(&mut self, print: bool, key: &str) {
        self.key = print.then(|| Zeroizing::new(key.to_owned()));
    }
}

/// The new key's id as the result, or the key where it is asked for.
pub(super) fn report(
    context: &Context,
    gate: &Gate,
    finished: &Finished,
    places: &[String],
    told: &Told,
) -> Outcome<()> {
    let Finished { new, old, diverged } = finished;
    let key = told.key.as_ref().map(|key| key.as_str());
    let result = Issued {
        key,
        key_file: told.key_file.as_deref(),
        replaces: Some(Replaced {
            id: old.id.to_string(),
            state: KeyStatus::of_record(old, time::now()?),
            not_after: old.not_after.map(Into::into),
            staleness_seconds: gate.staleness.worst_secs(),
        }),
        places: Some(places),
        ..issued(new)
    };
    context.out.result(&result, key.unwrap_or(new.id.as_str()))?;
    for place in places {
        context.out.note(format_args!("delivered to {}", printable(place)));
    }
    announce(context.out, new, old, time::now()?, gate.staleness, Made::Written);
    gate.static_keys.warn(context.out, &[old]);
    if *diverged {
        context.out.note(format_args!(
            "warning: key {0} was changed while the new one was delivered; see `keygate show {0}{2}`, and `keygate update {1}{2}` or `keygate revoke {1}{2}` if that holds for the new key too",
            old.id,
            new.id,
            gate.store.option()
        ));
    }
    context.out.note(&gate.made_with);
    Ok(())
}

pub(super) fn templates(args: &RotateArgs) -> Outcome<Vec<Template>> {
    args.to.to.iter().map(|text| Template::parse(text)).collect()
}

pub(super) fn uris(templates: &[Template], record: &Record) -> Outcome<Vec<StoreUri>> {
    let holder = Holder::of(record);
    templates.iter().map(|template| template.of(&holder)).collect()
}

pub(super) fn names(uris: &[StoreUri]) -> Vec<String> {
    uris.iter().map(ToString::to_string).collect()
}
