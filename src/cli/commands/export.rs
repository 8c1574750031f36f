//! `keygate export`: every record, one a line.

use std::process::ExitCode;

use clap::Args;

use crate::args::StoreArgs;
use crate::context::{self, Context};
use crate::error::Outcome;
use crate::output::printable;
use crate::store;

/// Write all records to standard output, one JSON object a line
#[derive(Args, Debug)]
#[command(
    after_help = "Holds digests, never keys. `keygate import --format jsonl` makes the same records of it.\n\nExample:\n  keygate export --remote > records.jsonl"
)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    store: StoreArgs,
}

/// Exports all records.
pub(crate) fn run(context: &Context, args: &ExportArgs) -> Outcome<ExitCode> {
    let store = context::store(&context.config()?, &args.store)?;
    let mut lines = context.out.lines();
    let (mut written, mut bad, mut gone) = (0_usize, 0_usize, 0_usize);
    store::each_entry(&*store, "exported", &mut |progress, listed, stored| {
        match stored.map(|stored| listed.record(&stored.value)) {
            None => gone += 1,
            Some(Ok(record)) => {
                lines.add(&record)?;
                written += 1;
            }
            Some(Err(problem)) => {
                progress.aside(|| context.out.note(printable(&format!("{}: {problem}", listed.name))));
                bad += 1;
            }
        }
        Ok(())
    })?;
    lines.finish()?;
    context.out.note(format_args!("{written} records from {}, {bad} that are none", store.place()));
    if gone > 0 {
        // An export may be all that is left one day: what it lacks is not passed over.
        context.out.note(format_args!(
            "{gone} were listed, and could not be read a moment later: deleted in between, or not seen everywhere yet; export again"
        ));
    }
    Ok(ExitCode::from(u8::from(bad + gone > 0)))
}
