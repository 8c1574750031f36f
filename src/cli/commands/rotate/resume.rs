//! `keygate rotate --resume` and `--undo`: on with a rotation that was interrupted, or back.

use std::path::Path;

use keygate_core::key::KeyId;
use keygate_delivery::rotation::{self, Finished, Journal};
use serde::Serialize;

use crate::commands::rotate::RotateArgs;
use crate::commands::rotate::delivered::{Told, names, report, templates, uris};
use crate::commands::rotate::gate::{Gate, targets};
use crate::commands::rotate::unfinished::Unfinished;
use crate::context::Context;
use crate::error::{Error, Outcome};
use crate::key_out::KeyOut;
use crate::output::printable;
use crate::store;

/// A rotation that was taken back.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct TakenBack<'u> {
    id: &'u str,
    undone: bool,
    /// Secret stores that may hold the new key, which is revoked.
    not_looked_at: &'u [String],
}

/// Finishes what was left unfinished: of one key, or all of this gate.
pub(super) fn resume(context: &Context, args: &RotateArgs) -> Outcome<()> {
    let folder = rotation::folder(args.journal.as_deref())?;
    rotation::tidy(&folder);
    let ids = match &args.id {
        Some(id) => vec![id.to_string()],
        None => of_this_gate(context, &folder)?,
    };
    if ids.len() > 1 && (args.key_out.key_out.is_some() || args.to.print) {
        let option = rotation::option(&folder);
        let commands: Vec<_> =
            ids.iter().map(|id| format!("`keygate rotate --resume {id}{option}`")).collect();
        return Err(Error::usage(
            "more than one rotation is unfinished",
            format!("name the key: {}", commands.join(", ")),
        ));
    }
    let mut key_out = KeyOut::open(args.key_out.key_out.as_deref(), false, context.out.is_json())?;
    let mut failed = None;
    for id in ids {
        // One that cannot be finished is not in the way of the others.
        if let Err(error) = resume_one(context, args, &folder, &id, &mut key_out)
            && let Some(earlier) = failed.replace(error)
        {
            context.out.failure(&earlier);
        }
    }
    failed.map_or(Ok(()), Err)
}

/// The ids of this gate's unfinished rotations; others are named.
fn of_this_gate(context: &Context, folder: &Path) -> Outcome<Vec<String>> {
    let Unfinished { ours, others } = Unfinished::find(context, folder)?;
    if ours.is_empty() {
        let of = if others.is_empty() { "" } else { " of this gate" };
        context
            .out
            .note(format_args!("no rotation{of} is unfinished, says the journal in {}", folder.display()));
    }
    for other in others {
        context.out.note(format_args!("left as it is: the rotation of {other}"));
    }
    Ok(ours)
}

fn resume_one(
    context: &Context,
    args: &RotateArgs,
    folder: &Path,
    id: &str,
    key_out: &mut KeyOut,
) -> Outcome<()> {
    let mut journal = Journal::open(folder, id)?;
    let gate = Gate::of_reference(context, journal.notes().gate().clone(), &args.pepper)?;
    if !args.to.to.is_empty() {
        correct(context, args, &gate, folder, &mut journal)?;
    }
    let (places, left_out) = (journal.notes().stores(), journal.notes().left_out());
    let records = gate.records();
    let rotation = gate.rotation(&records, journal)?;
    if rotation.is_undoing() {
        return undone(context, id, &rotation.undo()?);
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
        return Err(not_shown(&finished, gate.store.option()));
    }
    told.key_file = key_out.path().map(ToOwned::to_owned);
    report(context, args, &gate, &finished, &places, &told)?;
    for place in left_out {
        context.out.note(format_args!(
            "left out: {} may hold the new key {}, which works, or still key {}, which ends; see that nobody depends on it",
            printable(&place),
            finished.new.id,
            finished.old.id
        ));
    }
    Ok(())
}

/// Puts the stores of a corrected `--to` in the place of those that failed.
fn correct(
    context: &Context,
    args: &RotateArgs,
    gate: &Gate,
    folder: &Path,
    journal: &mut Journal,
) -> Outcome<()> {
    let notes = journal.notes();
    let old = notes.old()?;
    if notes.is_past_delivery() {
        return Err(Error::usage(
            format!("nothing is delivered any more in the rotation of key {old}"),
            format!("leave --to out: `keygate rotate --resume {old}{}`", rotation::option(folder)),
        ));
    }
    let (record, _) = store::record(&*gate.store, old)?;
    let uris = uris(&templates(args)?, &record)?;
    let (known, holding) = (notes.stores(), notes.holding());
    let (_, fresh): (Vec<_>, Vec<_>) = uris.iter().cloned().partition(|uri| known.contains(&uri.to_string()));
    // Each can be opened, and is named once.
    targets(&uris, &record)?;
    let records = gate.records();
    let of_records = gate.of_records(&records);
    if let Some(key) = targets(&fresh, &record)?.check(&record, &of_records)? {
        journal.hide(&key, &of_records)?;
    }
    journal.correct(&names(&uris))?;
    for place in holding {
        context.out.note(format_args!("{} holds the new key already, and keeps it", printable(&place)));
    }
    Ok(())
}

/// Which store is meant is said by the journal, not by an option.
///
/// # Errors
/// An option says it.
pub(super) fn check_options(context: &Context, args: &RotateArgs) -> Outcome<()> {
    let option = if args.resume { "--resume" } else { "--undo" };
    let store = &args.store;
    let given = [
        ("--local", store.local),
        ("--remote", store.remote),
        ("--account", store.account.is_some()),
        ("--namespace", store.namespace.is_some()),
        ("--persist-to", store.persist_to.is_some()),
    ];
    if let Some((given, _)) = given.into_iter().find(|(_, is_given)| *is_given) {
        let folder = rotation::folder(args.journal.as_deref())?;
        let journal = rotation::option(&folder);
        let command = match &args.id {
            Some(id) => format!("`keygate rotate {option} {id}{journal}`"),
            None => format!("`keygate rotate {option}{journal}`"),
        };
        let unfinished = match Unfinished::find(context, &folder) {
            Ok(unfinished) => format!("; unfinished: {unfinished}"),
            // Without a wrangler.toml it is said by the command itself.
            Err(_) => String::new(),
        };
        return Err(Error::usage(
            format!("{option} takes no {given}: the journal of the rotation names the store"),
            format!("type {command}{unfinished}"),
        ));
    }
    if args.resume && args.id.is_none() && !args.to.to.is_empty() {
        return Err(Error::usage(
            "with --resume and --to it has to be said which rotation is meant",
            format!(
                "name the key: `keygate rotate ID --resume --to URI{}`",
                rotation::option(&rotation::folder(args.journal.as_deref())?)
            ),
        ));
    }
    Ok(())
}

/// The rotation was over but for its journal, and the pepper of the new key is not known any more.
fn not_shown(finished: &Finished, option: &str) -> Error {
    let (new, old) = (finished.new.id, finished.old.id);
    Error::failed(
        format!(
            "every secret store was given key {new}, which has replaced key {old}, but the key cannot be shown: it was made with another pepper than those that are known here"
        ),
        format!("take it from a secret store, or make another: `keygate rotate {new}{option}`"),
    )
}

/// Takes an unfinished rotation back.
pub(super) fn undo(context: &Context, args: &RotateArgs, old: KeyId) -> Outcome<()> {
    let folder = rotation::folder(args.journal.as_deref())?;
    rotation::tidy(&folder);
    let journal = Journal::open(&folder, old.as_str())?;
    let gate = Gate::of_reference(context, journal.notes().gate().clone(), &args.pepper)?;
    let undone_rotation = gate.rotation(&gate.records(), journal)?.undo()?;
    undone(context, old.as_str(), &undone_rotation)
}

fn undone(context: &Context, old: &str, undone: &rotation::Undone) -> Outcome<()> {
    let rotation::Undone { new, meant, unseen } = undone;
    context.out.json_result(&TakenBack { id: old, undone: true, not_looked_at: unseen })?;
    let revoked = new.map(|new| format!(": the new key {new} is revoked")).unwrap_or_default();
    let nowhere = if unseen.is_empty() { ", and no secret store is left with it" } else { "" };
    context.out.note(format_args!("the rotation of key {old} is undone{revoked}{nowhere}"));
    for place in unseen {
        let remedy = match meant {
            Some(key) => format!("see that it holds key {key}"),
            None => format!("key {old} is not in use: see that it holds a key that is"),
        };
        context.out.note(format_args!(
            "not looked at: {} may hold the new key, which is refused from now on; {remedy}",
            printable(place)
        ));
    }
    Ok(())
}
