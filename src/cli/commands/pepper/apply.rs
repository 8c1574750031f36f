//! `keygate pepper apply`: imported keys whose digests an earlier version stored without a pepper get keyed ones.

use clap::Args;
use keygate_core::key::digest::{Digest, ImportedKey};
use keygate_core::record::Record;
use serde::Serialize;

use crate::args::{PepperArgs, StoreArgs};
use crate::context::{self, Context};
use crate::entry::Entry;
use crate::error::Outcome;
use crate::revision;
use crate::secrets;
use crate::store::{self, Store, Stored};

/// Give imported keys whose digests have no pepper keyed digests
#[derive(Args, Debug)]
#[command(
    after_help = "Earlier versions stored an imported key as its plain SHA-256. Deploy the gate first: an older one answers 503 to a keyed digest of an imported key.\n\nExamples:\n  keygate pepper apply --dry-run\n  keygate pepper apply --remote"
)]
pub(super) struct ApplyArgs {
    /// Write nothing; name the keys
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    pepper: PepperArgs,
    #[command(flatten)]
    store: StoreArgs,
}

/// The imported keys whose digests got a pepper.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Applied {
    pepper: String,
    written: Vec<String>,
}

/// A record to be written, and the entry that it was read from.
struct Upgrade {
    name: String,
    seen: Stored,
    record: Record,
}

/// Writes the keyed digests; the old ones hold all that is needed.
pub(super) fn run(context: &Context, args: &ApplyArgs) -> Outcome<()> {
    let config = context.config()?;
    let pepper = secrets::pepper(&args.pepper, &config, args.store.remote)?.peppers.current;
    let store = context::store(&config, &args.store)?;
    let mut upgrades = Vec::new();
    store::each_record(&*store, &|_| true, &mut |mut record, seen| {
        if let Digest::ImportedBare(sha256) = record.digest {
            record.digest = pepper.imported_digest(&ImportedKey::of_sha256(sha256));
            upgrades.push(Upgrade { name: record.id.kv_name(), seen, record });
        }
    })?;
    write(context, &*store, &upgrades, args.dry_run)?;
    let applied = Applied {
        pepper: pepper.id().to_string(),
        written: upgrades.iter().map(|upgrade| upgrade.record.id.to_string()).collect(),
    };
    if context.out.is_json() || !applied.written.is_empty() {
        context.out.result(&applied, applied.written.join("\n"))?;
    }
    let count = upgrades.len();
    context.out.note(if args.dry_run {
        format!("{count} records would get a digest with pepper {}; nothing was written", applied.pepper)
    } else {
        format!("{count} records have a digest with pepper {} now", applied.pepper)
    });
    Ok(())
}

fn write(context: &Context, store: &dyn Store, upgrades: &[Upgrade], dry_run: bool) -> Outcome<()> {
    let mut entries = Vec::with_capacity(upgrades.len());
    for Upgrade { name, seen, record } in upgrades {
        revision::unchanged(store, name, seen)?;
        let revision = revision::next(store, Some(seen), context.operator.as_deref());
        entries.push(Entry::of(record, revision)?);
    }
    if dry_run || entries.is_empty() { Ok(()) } else { store.write(&entries) }
}
