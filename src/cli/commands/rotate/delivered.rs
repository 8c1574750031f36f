//! `keygate rotate --to`, `--resume` and `--undo`: the key goes where it is kept.

use keygate_core::key::KeyId;
use keygate_core::record::Record;
use keygate_delivery::rotation::{self, Finished, Journal, Notes, check_in_use, lifetime};
use keygate_delivery::{Holder, StoreUri, Template};
use serde::Serialize;

use crate::commands::issue::{Issued, Replaced, issued};
use crate::commands::rotate::RotateArgs;
use crate::commands::rotate::announce;
use crate::commands::rotate::gate::{Gate, targets};
use crate::context::Context;
use crate::error::{Error, Outcome};
use crate::key_out::KeyOut;
use crate::store;
use crate::time;

/// A key that can be rotated, as a dry run found.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Rotatable<'r> {
    id: &'r str,
    places: &'r [String],
}

/// A rotation that was taken back.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Undone<'u> {
    id: &'u str,
    undone: bool,
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
    let notes = Notes::new(old.id, gate.reference.clone(), args.grace_secs(), expiry, &names(uris));
    // The lock comes first: what is looked at under it stays as it was seen, as far as this machine goes.
    let journal = Journal::begin(&folder, notes)?;
    check(context, gate, old, uris)?;
    gate.rotation(&gate.records(), journal)?.finish(show)
}

fn check(context: &Context, gate: &Gate, old: &Record, uris: &[StoreUri]) -> Outcome<()> {
    check_in_use(old, context.now)?;
    targets(uris, old)?.check(old, &gate.of_records(&gate.records()))
}

/// Finishes what was left unfinished: of one key, or all of it.
pub(super) fn resume(context: &Context, args: &RotateArgs) -> Outcome<()> {
    let folder = rotation::folder(args.journal.as_deref())?;
    let ids = match &args.id {
        Some(id) => vec![crate::fields::id(id)?.to_string()],
        None => rotation::unfinished(&folder)?,
    };
    if ids.is_empty() {
        context.out.note(format_args!("no rotation is unfinished, says the journal in {}", folder.display()));
        return Ok(());
    }
    if ids.len() > 1 && (args.key_out.key_out.is_some() || args.to.print) {
        return Err(Error::usage(
            "more than one rotation is unfinished",
            "name the key: `keygate rotate --resume ID`",
        ));
    }
    let mut key_out = KeyOut::open(args.key_out.key_out.as_deref(), false, context.out.is_json())?;
    for id in ids {
        let journal = Journal::open(&folder, &id)?;
        let places = journal.notes().stores();
        let gate = Gate::of_reference(context, journal.notes().gate().clone(), &args.pepper)?;
        let records = gate.records();
        let rotation = gate.rotation(&records, journal)?;
        if rotation.is_undoing() {
            rotation.undo()?;
            undone(context, &id)?;
            continue;
        }
        let mut told = Told::default();
        let mut is_shown = !args.to.print && key_out.path().is_none();
        let finished = rotation.finish(&mut |_, key| {
            key_out.fill(key)?;
            told.keep(args.to.print, key);
            is_shown = true;
            Ok(())
        })?;
        if !is_shown {
            return Err(not_shown(&finished));
        }
        told.key_file = key_out.path().map(ToOwned::to_owned);
        report(context, &gate, &finished, &places, &told)?;
    }
    Ok(())
}

/// The rotation was over but for its journal, and the process that knew the key is gone.
fn not_shown(finished: &Finished) -> Error {
    let (new, old) = (finished.new.id, finished.old.id);
    Error::failed(
        format!(
            "every secret store was given key {new}, and key {old} has its end, but the key cannot be shown: no secret store that can be read has it"
        ),
        format!("take it from where a command put it, or make another: `keygate rotate {new}`"),
    )
}

/// Takes an unfinished rotation back.
pub(super) fn undo(context: &Context, args: &RotateArgs, old: KeyId) -> Outcome<()> {
    let folder = rotation::folder(args.journal.as_deref())?;
    let journal = Journal::open(&folder, old.as_str())?;
    let gate = Gate::of_reference(context, journal.notes().gate().clone(), &args.pepper)?;
    gate.rotation(&gate.records(), journal)?.undo()?;
    undone(context, old.as_str())
}

fn undone(context: &Context, old: &str) -> Outcome<()> {
    if context.out.is_json() {
        context.out.result(&Undone { id: old, undone: true }, "")?;
    }
    context.out.note(format_args!(
        "the rotation of key {old} is undone: the new key is revoked, and no secret store is left with it"
    ));
    Ok(())
}

/// What is said of the key itself.
// Absent on purpose: Debug.
#[derive(Default)]
struct Told {
    key: Option<zeroize::Zeroizing<String>>,
    key_file: Option<std::path::PathBuf>,
}

impl Told {
    fn keep(&mut self, print: bool, key: &str) {
        self.key = print.then(|| zeroize::Zeroizing::new(key.to_owned()));
    }
}

/// The new key's id as the result, or the key where it is asked for.
fn report(
    context: &Context,
    gate: &Gate,
    finished: &Finished,
    places: &[String],
    told: &Told,
) -> Outcome<()> {
    let Finished { new, old, diverged } = finished;
    let ends = old.not_after.unwrap_or(context.now);
    let key = told.key.as_ref().map(|key| key.as_str());
    let result = Issued {
        key,
        key_file: told.key_file.as_deref(),
        replaces: Some(Replaced {
            id: old.id.to_string(),
            not_after: ends.seconds(),
            staleness_seconds: gate.staleness.worst_secs(),
        }),
        places: Some(places),
        ..issued(new)
    };
    context.out.result(&result, key.unwrap_or(new.id.as_str()))?;
    for place in places {
        context.out.note(format_args!("delivered to {}", crate::output::printable(place)));
    }
    announce(context.out, new, old, ends, time::now()?, gate.staleness, false);
    gate.static_keys.warn(context.out, &[old]);
    if *diverged {
        context.out.note(format_args!(
            "warning: key {0} was changed while the new one was delivered; see `keygate show {0}`, and `keygate update {1}` or `keygate revoke {1}` if that holds for the new key too",
            old.id, new.id
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
