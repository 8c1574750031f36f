//! `keygate pepper apply`: imported keys whose digests an earlier version stored without a pepper get keyed ones.

use keygate_core::key::KV_NAME_PREFIX;
use keygate_core::key::digest::{Digest, ImportedKey};
use keygate_core::record::Record;
use serde::Serialize;

use crate::args::PepperApplyArgs;
use crate::context::{self, Context};
use crate::entry::{self, Entry};
use crate::error::Outcome;
use crate::fields;
use crate::progress::Progress;
use crate::revision;
use crate::secrets;
use crate::store::{Store, Stored};

/// The result, as `--json` prints it.
#[derive(Serialize)]
struct Applied {
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
pub(super) fn run(context: &Context, args: &PepperApplyArgs) -> Outcome<()> {
    let config = context.config()?;
    let pepper = secrets::pepper(&args.pepper, &config, args.store.remote)?.pepper;
    let store = context::store(&config, &args.store)?;
    let mut upgrades = Vec::new();
    let progress = Progress::counting("looked at", None);
    store.list(KV_NAME_PREFIX, &mut |page| {
        let names: Vec<String> = page.into_iter().map(|listed| listed.name).collect();
        progress.add(names.len());
        for (name, stored) in names.iter().zip(store.entries(&names)?) {
            let Some(seen) = stored else { continue };
            let id = fields::id(name.strip_prefix(KV_NAME_PREFIX).unwrap_or(name))?;
            let mut record = entry::read(id, &seen.value)?;
            if let Digest::ImportedBare(sha256) = record.digest {
                record.digest = pepper.imported_digest(&ImportedKey::of_sha256(sha256));
                upgrades.push(Upgrade { name: name.clone(), seen, record });
            }
        }
        Ok(())
    })?;
    progress.finish();
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
