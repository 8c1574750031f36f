//! `keygate issue`: a new key, or the record of a foreign one.

use std::io;
use std::path::Path;

use keygate_core::key::digest::ImportedKey;
use keygate_core::record::Record;
use keygate_core::record::token::Subject;
use keygate_delivery::rotation::{Targets, deliver_first_key};
use keygate_delivery::{Holder, Template, new_key};
use serde::Serialize;

use crate::args::IssueArgs;
use crate::context::{self, Context};
use crate::entry::Entry;
use crate::fault::{Fault, Outcome};
use crate::fields;
use crate::imported;
use crate::key_out::KeyOut;
use crate::key_records::StoreRecords;
use crate::output::printable;
use crate::revision;
use crate::secrets;
use crate::store::{self, Store};
use crate::time::{utc, utc_or_never};
use crate::wrangler_toml::WranglerToml;

/// The result, as `--json` prints it.
#[derive(Serialize)]
pub(crate) struct Issued<'i> {
    pub(crate) id: &'i str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<&'i str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key_file: Option<&'i Path>,
    pub(crate) subject: &'i str,
    pub(crate) not_before: Option<u64>,
    pub(crate) not_after: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) replaces: Option<Replaced>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) places: Option<&'i [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) entries: Option<&'i [Entry]>,
}

/// The key that a new one takes the place of.
#[derive(Serialize)]
pub(crate) struct Replaced {
    pub(crate) id: String,
    pub(crate) not_after: u64,
    pub(crate) staleness_seconds: Option<u64>,
}

/// Issues a key.
pub(crate) fn run(context: &Context, args: &IssueArgs) -> Outcome<()> {
    let config = context.config()?;
    let store = context::store(&config, &args.store)?;
    if args.import_stdin {
        return import(context, args, &config, &*store);
    }
    let prefix = config.key_prefix()?;
    let found = secrets::pepper(&args.pepper, &config, args.store.remote)?;
    let pepper = &found.pepper;
    let dry_run = args.write.dry_run;
    let to_stores = !args.to.to.is_empty();
    let mut key_out =
        KeyOut::open(args.key_out.key_out.as_deref(), dry_run && !to_stores, context.out.is_json())?;

    let key = new_key(&prefix, pepper)?;
    let digest = pepper.digest(&key.as_presented());
    let subject = fields::subject(&args.subject)?;
    let record = filled(context, args, Record::new(key.id(), subject, digest, context.now))?;
    if to_stores {
        let holder = Holder::of(&record);
        let uris = args
            .to
            .to
            .iter()
            .map(|text| Template::parse(text)?.of(&holder))
            .collect::<keygate_delivery::Result<Vec<_>>>()?;
        let targets = Targets::open(&uris, &secrets::command_environment().of_holder(&holder))?;
        targets.check_free(args.overwrite)?;
        let places: Vec<String> = uris.iter().map(ToString::to_string).collect();
        if dry_run {
            return say_deliverable(context, &record, &places);
        }
        let records = StoreRecords::new(&*store, context.operator.as_deref());
        deliver_first_key(&records, &targets, &record, key.reveal())?;
        key_out.fill(key.reveal())?;
        let printed = args.to.print.then(|| key.reveal());
        let result =
            Issued { key: printed, key_file: key_out.path(), places: Some(&places), ..issued(&record) };
        context.out.result(&result, printed.unwrap_or(record.id.as_str()))?;
        announce(context, &record, &*store, false);
        context.out.note(format_args!("made with pepper {} from {}", pepper.id(), found.source));
        return Ok(());
    }
    let entries = [Entry::of(&record, revision::next(&*store, None, context.operator.as_deref()))?];
    let id = key.id();
    if !dry_run {
        let [entry] = &entries;
        store::write_surely(&*store, entry).map_err(|fault| unsure(fault, id.as_str()))?;
    }

    let mut say = || {
        key_out.fill(key.reveal())?;
        let in_file = key_out.path().is_some();
        let issued = Issued {
            id: id.as_str(),
            key: (!in_file).then(|| key.reveal()),
            key_file: key_out.path(),
            entries: args.write.dry_run.then_some(&entries),
            ..issued(&record)
        };
        if args.write.dry_run {
            context.out.result(&issued, context::bulk_json(&entries))
        } else if in_file && !context.out.is_json() {
            Ok(())
        } else {
            context.out.result(&issued, key.reveal())
        }
    };
    say().map_err(|fault| lost(fault, id.as_str(), args.write.dry_run))?;

    announce(context, &record, &*store, args.write.dry_run);
    context.out.note(format_args!("made with pepper {} from {}", pepper.id(), found.source));
    if found.not_the_local_one {
        context.out.note("warning: PEPPER in .dev.vars is another one; the local gate will refuse this key");
    }
    Ok(())
}

/// Says that the key could be delivered.
fn say_deliverable(context: &Context, record: &Record, places: &[String]) -> Outcome<()> {
    context.out.result(
        &serde_json::json!({ "subject": record.subject.as_str(), "places": places }),
        format_args!(
            "a key for {} can be delivered to {}\nnothing was written",
            record.subject,
            printable(&places.join(", "))
        ),
    )
}

/// A key that could not be shown is lost; its record is not. Says so.
pub(crate) fn lost(fault: Fault, id: &str, dry_run: bool) -> Fault {
    if dry_run {
        return fault;
    }
    fault.and(
        format!("the record of key {id} was written, but the key could not be handed over and is lost"),
        format!("`keygate revoke {id}`, then issue another"),
    )
}

/// A record whose writing got no answer may be there, and nobody has its key. Says so.
pub(crate) fn unsure(fault: Fault, id: &str) -> Fault {
    if !fault.is_unanswered() {
        return fault;
    }
    fault.and(
        format!("the record of key {id} may have been written, and nobody has been given the key"),
        format!(
            "look with `keygate show {id}`; if it is there, `keygate revoke {id}`; then run the command again"
        ),
    )
}

/// Writes the record of a key that standard input holds.
fn import(context: &Context, args: &IssueArgs, config: &WranglerToml, store: &dyn Store) -> Outcome<()> {
    let key: ImportedKey = {
        let text = imported::read_line(io::stdin().lock())?;
        imported::import(&text, &config.key_prefix()?, false)?
    };
    let subject = fields::subject(&args.subject)?;
    let digest = secrets::pepper(&args.pepper, config, args.store.remote)?.pepper.imported_digest(&key);
    let record = filled(context, args, Record::new(key.id(), subject, digest, context.now))?;
    let entries = [Entry::of(&record, revision::next(store, None, context.operator.as_deref()))?];
    // The id of an imported key follows from the key, so its record may be there, revoked even.
    if !args.write.dry_run && store.entry(&key.id().kv_name())?.is_some() {
        return Err(Fault::failed(
            format!("this key has a record already: {}", key.id()),
            format!("see `keygate show {0}`; change it with `keygate update {0}`", key.id()),
        ));
    }
    context::write(store, &entries, args.write.dry_run)?;
    let issued = Issued { entries: args.write.dry_run.then_some(&entries), ..issued(&record) };
    if args.write.dry_run {
        context.out.result(&issued, context::bulk_json(&entries))?;
    } else {
        context.out.result(&issued, key.id())?;
    }
    announce(context, &record, store, args.write.dry_run);
    imported::warn_unless_read(context, config);
    Ok(())
}

/// The record with everything that the options say.
fn filled(context: &Context, args: &IssueArgs, mut record: Record) -> Outcome<Record> {
    fields::set(&mut record, &args.fields, context.now)?;
    record.not_before = args.not_before.and_then(|when| when.from(context.now));
    Ok(record)
}

/// The result without the parts that depend on where the key went.
pub(crate) fn issued(record: &Record) -> Issued<'_> {
    let subject: &Subject = &record.subject;
    Issued {
        id: record.id.as_str(),
        key: None,
        key_file: None,
        subject: subject.as_str(),
        not_before: record.not_before.map(Into::into),
        not_after: record.not_after.map(Into::into),
        replaces: None,
        places: None,
        entries: None,
    }
}

fn announce(context: &Context, record: &Record, store: &dyn Store, dry_run: bool) {
    let from = record.not_before.map(|start| format!(" from {}", utc(start))).unwrap_or_default();
    context.out.note(format_args!(
        "{} {} for {}: good{from}, expires {}, {}",
        if dry_run { "would issue" } else { "issued" },
        record.id,
        record.subject,
        utc_or_never(record.not_after),
        if dry_run { "nothing was written".to_owned() } else { format!("in {}", store.place()) },
    ));
}
