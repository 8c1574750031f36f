//! `keygate issue`: a new key, or the record of a foreign one.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use keygate_core::key::digest::Digest;
use keygate_core::key::{KeyId, NewKey, PepperId};
use keygate_core::record::Record;
use keygate_core::record::token::Subject;
use keygate_delivery::rotation::{Targets, deliver_first_key};
use keygate_delivery::{Holder, KeyStatus, Template, entropy};
use serde::Serialize;

use crate::args::{KeyOutArgs, PepperArgs, StoreArgs, ToArgs, WriteArgs};
use crate::clock;
use crate::context::{self, Context};
use crate::control_config::control_config;
use crate::entry::Entry;
use crate::error::{Error, Outcome};
use crate::fields::{self, FieldArgs};
use crate::imported;
use crate::key_out::KeyOut;
use crate::key_records::StoreRecords;
use crate::known_peppers::all_others;
use crate::output::printable;
use crate::revision;
use crate::secrets;
use crate::static_keys;
use crate::store::{self, Store};
use crate::time::{When, utc, utc_or_never};
use crate::usage_source::LastUsed;
use crate::wrangler_config::WranglerConfig;

/// Make a key, write its record, print the key once
#[derive(Args, Debug)]
#[command(
    after_help = "The record is written before the key is printed: a printed key works. Without --expires it never expires, without --ip it may be used from anywhere.\n\nExamples:\n  keygate issue --subject acme --name \"Acme production\" --scope reports:read --expires 90d\n  keygate issue --remote --subject acme --ip 203.0.113.0/24 --expires 2027-01-31\n  keygate issue --subject acme --to file:/run/keys/acme --remote\n  keygate issue --subject ops --scope admin:read --static admin-keys.json --config control/wrangler.jsonc\n  keygate issue --subject old-client --import-stdin < imported-key"
)]
pub(crate) struct IssueArgs {
    /// Who holds the key; stays the same when the key is rotated
    #[arg(long)]
    subject: Subject,
    #[command(flatten)]
    fields: FieldArgs,
    /// When the key begins to be valid; written like --expires
    #[arg(long, value_name = "WHEN")]
    not_before: Option<When>,
    /// Take a key that another system issued from standard input, instead of making one
    ///
    /// It is digested, never stored or printed; its clients keep it. The gate needs `IMPORTED_KEYS = true`.
    #[arg(long, conflicts_with_all = ["key_out", "pepper_file", "pepper_from", "to"])]
    import_stdin: bool,
    /// Add the record to the JSON array in this file instead of writing it to KV; the file is made if it is not there
    ///
    /// For the gate's secret `STATIC_KEYS`, and for `ADMIN_KEYS` of the control Worker.
    #[arg(long = "static", value_name = "FILE", conflicts_with_all = ["to", "import_stdin", "dry_run"])]
    static_file: Option<PathBuf>,
    /// Over whatever the secret stores of --to hold already
    #[arg(long, requires = "to")]
    overwrite: bool,
    #[command(flatten)]
    to: ToArgs,
    #[command(flatten)]
    key_out: KeyOutArgs,
    #[command(flatten)]
    pepper: PepperArgs,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    write: WriteArgs,
}

/// A new key. `key` is there where it is not in a file or a secret store; `entries` in a dry run.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Replaced {
    pub(crate) id: String,
    pub(crate) state: KeyStatus,
    /// Null as well for a key that ends when it is unused.
    pub(crate) not_after: Option<u64>,
    /// When it was last accepted, null for never; absent where no usage can be read.
    #[serde(skip_serializing_if = "LastUsed::is_unknown")]
    #[cfg_attr(test, schemars(with = "Option<u64>"))]
    pub(crate) last_used: LastUsed,
    pub(crate) staleness_seconds: Option<u64>,
}

/// Issues a key.
pub(crate) fn run(context: &Context, args: &IssueArgs) -> Outcome<()> {
    args.to.check(!args.to.to.is_empty())?;
    let config = context.config()?;
    if let Some(file) = &args.static_file {
        return issue_static(context, args, &config, file);
    }
    let store = context::store(&config, &args.store)?;
    if args.import_stdin {
        return import(context, args, &config, &*store);
    }
    let prefix = config.key_prefix()?;
    let found = secrets::pepper(&args.pepper, &config, args.store.remote)?;
    let (dry_run, to_stores) = (args.write.dry_run, !args.to.to.is_empty());
    let mut key_out =
        KeyOut::open(args.key_out.key_out.as_deref(), dry_run && !to_stores, context.out.is_json())?;

    let pepper = &found.peppers.current;
    let key = NewKey::from_entropy(&prefix, pepper, entropy)?;
    let record = args.record(context, key.id(), pepper.digest(&key.as_presented()))?;
    if args.store.remote {
        warn_of_another_pepper(context, &*store, pepper.id());
    }
    clock::check_to_come(record.not_after, context.now)?;
    if to_stores {
        let holder = Holder::of(&record);
        let uris =
            args.to.to.iter().map(|text| Template::parse(text)?.of(&holder)).collect::<Outcome<Vec<_>>>()?;
        let targets = Targets::open(&uris, &secrets::command_environment().of_holder(&holder))?;
        targets.check_free(args.overwrite, store.option())?;
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
    } else {
        let entry = Entry::of(&record, revision::next(&*store, None, context.operator.as_deref()))?;
        if !dry_run {
            store::write_surely(&*store, &entry)
                .map_err(|error| unsure(error, &*store, record.id.as_str()))?;
        }
        let entries = [entry];
        show(context, &mut key_out, issued(&record), key.reveal(), dry_run.then_some(&entries))
            .map_err(|error| if dry_run { error } else { lost(error, &*store, record.id.as_str()) })?;
    }
    announce(context, &record, &*store, dry_run);
    context.out.note(found.made_with());
    fields::warn_of_limits(context, &config, record.plan.as_ref(), record.quota);
    if found.not_a_local_one {
        context.out.note("warning: PEPPER in .dev.vars is another one; the local gate will refuse this key");
    }
    Ok(())
}

/// Issues a key whose record goes into a file, for a secret.
fn issue_static(context: &Context, args: &IssueArgs, config: &WranglerConfig, file: &Path) -> Outcome<()> {
    let prefix = config.key_prefix()?;
    let found = secrets::pepper(&args.pepper, config, args.store.remote)?;
    let mut key_out = KeyOut::open(args.key_out.key_out.as_deref(), false, context.out.is_json())?;
    let pepper = &found.peppers.current;
    let key = NewKey::from_entropy(&prefix, pepper, entropy)?;
    let record = args.record(context, key.id(), pepper.digest(&key.as_presented()))?;
    static_keys::add(file, &record)?;
    show(context, &mut key_out, issued(&record), key.reveal(), None).map_err(|error| {
        error.and(
            format!("the record of key {} was added to {}, but the key is lost", record.id, file.display()),
            "take the record out of the file, then issue another key",
        )
    })?;
    context.out.note(format_args!(
        "issued {} for {}: expires {}, its record is in {}; it is valid once the Worker has the file as its secret: `wrangler secret put STATIC_KEYS < FILE`, or `wrangler secret put ADMIN_KEYS -c {} < FILE` for the control Worker",
        record.id,
        record.subject,
        utc_or_never(record.not_after),
        printable(&file.display().to_string()),
        control_config(config),
    ));
    context.out.note(found.made_with());
    Ok(())
}

/// Warns where all other keys were made with another pepper: the gate may refuse this one.
fn warn_of_another_pepper(context: &Context, store: &dyn Store, pepper: PepperId) {
    match all_others(store, pepper) {
        Ok(Some(known)) => context.out.note(format_args!(
            "warning: all other keys were made with pepper {known}, and this one is made with {pepper}; the gate refuses it unless it has that pepper (`keygate pepper status --remote`)"
        )),
        Ok(None) => {}
        Err(error) => context.out.note(format_args!("not looked at: the pepper of the other keys: {}", error.problem())),
    }
}

/// The secret stores that a key can be delivered to, as a dry run found.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Deliverable<'d> {
    subject: &'d str,
    places: &'d [String],
}

/// Says that the key could be delivered.
fn say_deliverable(context: &Context, record: &Record, places: &[String]) -> Outcome<()> {
    context.out.result(
        &Deliverable { subject: record.subject.as_str(), places },
        format_args!(
            "a key for {} can be delivered to {}\nnothing was written",
            record.subject,
            printable(&places.join(", "))
        ),
    )
}

/// Hands the key over, once: into its file, or as the result; in a dry run with the entries.
pub(crate) fn show(
    context: &Context,
    key_out: &mut KeyOut,
    issued: Issued<'_>,
    key: &str,
    entries: Option<&[Entry]>,
) -> Outcome<()> {
    key_out.fill(key)?;
    let key_file = key_out.path();
    let result = Issued { key: key_file.is_none().then_some(key), key_file, entries, ..issued };
    match entries {
        Some(entries) => context.out.result(&result, context::bulk_json(entries)),
        None if key_file.is_some() && !context.out.is_json() => Ok(()),
        None => context.out.result(&result, key),
    }
}

/// A key that could not be shown is lost; its record is not. Says so.
pub(crate) fn lost(error: Error, store: &dyn Store, id: &str) -> Error {
    error.and(
        format!("the record of key {id} was written, but the key could not be handed over and is lost"),
        format!("`keygate revoke {id}{}`, then issue another", store.option()),
    )
}

/// A record whose writing got no answer may be there, and nobody has its key. Says so.
pub(crate) fn unsure(error: Error, store: &dyn Store, id: &str) -> Error {
    if !error.is_unanswered() {
        return error;
    }
    error.and(
        format!("the record of key {id} may have been written, and nobody has been given the key"),
        format!(
            "look with `keygate show {id}{0}`; if it is there, `keygate revoke {id}{0}`; then run the command again",
            store.option()
        ),
    )
}

/// Writes the record of a key that standard input holds.
fn import(context: &Context, args: &IssueArgs, config: &WranglerConfig, store: &dyn Store) -> Outcome<()> {
    let key = {
        let text = imported::read_line(io::stdin().lock())?;
        imported::import(&text, &config.key_prefix()?, false)?
    };
    let pepper = secrets::pepper(&args.pepper, config, args.store.remote)?.peppers.current;
    let record = args.record(context, key.id(), pepper.imported_digest(&key))?;
    let entries = [Entry::of(&record, revision::next(store, None, context.operator.as_deref()))?];
    // The id of an imported key follows from the key, so its record may be there, revoked even.
    if !args.write.dry_run && store.entry(&key.id().kv_name())?.is_some() {
        return Err(Error::failed(
            format!("this key has a record already: {}", key.id()),
            format!(
                "see `keygate show {0}{1}`; change it with `keygate update {0}{1}`",
                key.id(),
                store.option()
            ),
        ));
    }
    if !args.write.dry_run {
        store.write(&entries)?;
    }
    let result = Issued { entries: args.write.dry_run.then_some(&entries), ..issued(&record) };
    if args.write.dry_run {
        context.out.result(&result, context::bulk_json(&entries))?;
    } else {
        context.out.result(&result, key.id())?;
    }
    announce(context, &record, store, args.write.dry_run);
    fields::warn_of_limits(context, config, record.plan.as_ref(), record.quota);
    imported::warn_unless_read(context, config);
    Ok(())
}

impl IssueArgs {
    /// The record that the options describe.
    fn record(&self, context: &Context, id: KeyId, digest: Digest) -> Outcome<Record> {
        let mut record = Record::new(id, self.subject.clone(), digest, context.now);
        self.fields.set(&mut record, context.now)?;
        record.not_before = self.not_before.and_then(|when| when.from(context.now));
        Ok(record)
    }
}

/// The result without the parts that depend on where the key went.
pub(crate) fn issued(record: &Record) -> Issued<'_> {
    Issued {
        id: record.id.as_str(),
        key: None,
        key_file: None,
        subject: record.subject.as_str(),
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
        "{} {} for {}: valid{from}, expires {}, {}",
        if dry_run { "would issue" } else { "issued" },
        record.id,
        record.subject,
        utc_or_never(record.not_after),
        if dry_run { "nothing was written".to_owned() } else { format!("in {}", store.place()) },
    ));
}
