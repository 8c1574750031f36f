//! `keygate export`: every record, one a line.

use std::process::ExitCode;

use keygate_core::key::{KV_NAME_PREFIX, KeyId};
use keygate_core::record::Record;

use crate::args::ExportArgs;
use crate::context::{self, Context};
use crate::error::Outcome;
use crate::output::printable;
use crate::progress::Progress;
use crate::store::Listed;

/// Exports all records.
pub(crate) fn run(context: &Context, args: &ExportArgs) -> Outcome<ExitCode> {
    let store = context::store(&context.config()?, &args.store)?;
    let progress = Progress::counting("exported", None);
    let mut lines = context.out.lines();
    let (mut written, mut bad, mut gone) = (0_usize, 0_usize, 0_usize);
    store.list(KV_NAME_PREFIX, &mut |page: Vec<Listed>| {
        let names: Vec<String> = page.into_iter().map(|listed| listed.name).collect();
        for (name, entry) in names.iter().zip(store.entries(&names)?) {
            let Some(entry) = entry else {
                gone += 1;
                continue;
            };
            match record(name, &entry.value) {
                Ok(record) => {
                    lines.add(&record)?;
                    written += 1;
                }
                Err(problem) => {
                    progress.aside(|| context.out.note(printable(&format!("{name}: {problem}"))));
                    bad += 1;
                }
            }
        }
        progress.add(names.len());
        Ok(())
    })?;
    lines.finish()?;
    progress.finish();
    context.out.note(format_args!("{written} records from {}, {bad} that are none", store.place()));
    if gone > 0 {
        // An export may be all that is left one day: what it lacks is not passed over.
        context.out.note(format_args!(
            "{gone} were listed, and could not be read a moment later: deleted in between, or not seen everywhere yet; export again"
        ));
    }
    Ok(ExitCode::from(u8::from(bad + gone > 0)))
}

fn record(name: &str, value: &str) -> Result<Record, String> {
    let id = name.strip_prefix(KV_NAME_PREFIX).unwrap_or(name);
    let id = id.parse::<KeyId>().map_err(|e| e.to_string())?;
    Record::parse_entry(id, value).map_err(|error| format!("is not a valid record: {error}"))
}
