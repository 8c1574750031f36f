//! `keygate list`: all keys, from the metadata of their entries alone.

use std::fmt::Write as _;

use keygate_core::key::KV_NAME_PREFIX;
use keygate_core::record::UnixSeconds;
use serde::Serialize;

use crate::args::ListArgs;
use crate::context::{self, Context};
use crate::fault::Outcome;
use crate::output::printable;
use crate::standing::Standing;
use crate::store::{Listed, Store as _};
use crate::time::utc_or_never;

/// One line of the listing; as JSON under `--json`. The fields are null for an entry without metadata of ours.
#[derive(Serialize)]
struct Row<'l> {
    id: &'l str,
    subject: Option<&'l str>,
    name: Option<&'l str>,
    state: Option<Standing>,
    not_after: Option<u64>,
}

/// Lists keys.
pub(crate) fn run(context: &Context, args: &ListArgs) -> Outcome<()> {
    let store = context::store(&context.config()?, &args.store)?;
    let listed = store.list(KV_NAME_PREFIX)?;
    let rows: Vec<Row<'_>> =
        listed.iter().map(|entry| row(entry, context.now)).filter(|row| is_wanted(row, args)).collect();
    if context.out.is_json() {
        for row in &rows {
            context.out.result(row, "")?;
        }
    } else if !rows.is_empty() {
        context.out.result(&rows, table(&rows).trim_end())?;
    }
    let bare = rows.iter().filter(|row| row.state.is_none()).count();
    context.out.note(format_args!("{} of {} keys in {}", rows.len(), listed.len(), store.place()));
    if bare > 0 {
        context.out.note(format_args!(
            "{bare} without metadata of keygate's: see `keygate show ID`; any `keygate update ID` writes it"
        ));
    }
    Ok(())
}

fn row(entry: &Listed, now: UnixSeconds) -> Row<'_> {
    let metadata = entry.metadata.as_ref();
    Row {
        id: entry.id(),
        subject: metadata.map(|m| m.subject.as_str()),
        name: metadata.map(|m| m.name.as_str()),
        state: metadata.map(|m| Standing::of(m.state, None, m.not_after, now)),
        not_after: metadata.and_then(|m| m.not_after).map(Into::into),
    }
}

/// An entry without metadata passes every filter: what cannot be told must not be hidden.
fn is_wanted(row: &Row<'_>, args: &ListArgs) -> bool {
    let subject = match (&args.subject, row.subject) {
        (Some(wanted), Some(subject)) => wanted == subject,
        _ => true,
    };
    let state = match (args.state, row.state) {
        (Some(wanted), Some(standing)) => wanted.is(standing),
        _ => true,
    };
    subject && state
}

fn table(rows: &[Row<'_>]) -> String {
    let width = |cell: fn(&Row<'_>) -> String, head: &str| {
        let widest = rows.iter().map(|row| cell(row).chars().count()).max();
        widest.unwrap_or_default().max(head.len())
    };
    let subject = |row: &Row<'_>| printable(row.subject.unwrap_or("?"));
    let end = |row: &Row<'_>| utc_or_never(row.not_after.and_then(UnixSeconds::new));
    let wide = width(subject, "SUBJECT");
    let mut text = format!("{:<12}  {:<8}  {:<wide$}  {:<20}  NAME\n", "ID", "STATE", "SUBJECT", "NOT AFTER");
    for row in rows {
        let state = row.state.map_or("?", Standing::as_str);
        let name = printable(row.name.unwrap_or("?"));
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "{:<12}  {state:<8}  {:<wide$}  {:<20}  {name}",
            printable(row.id),
            subject(row),
            end(row),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{row, table};
    use crate::entry::Metadata;
    use crate::store::Listed;
    use keygate_core::record::{State, UnixSeconds};

    #[test]
    fn a_table_shows_what_the_metadata_says_and_a_mark_where_there_is_none() {
        let metadata = |state, not_after| Metadata {
            subject: "acme".into(),
            name: "Acme\u{1b}[2J".into(),
            state,
            not_after: UnixSeconds::new(not_after),
        };
        let listed = |name: &str, metadata| Listed { name: format!("key/{name}"), metadata };
        let entries = [
            listed("4fTz0Qw9Lr2K", Some(metadata(State::Active, 100))),
            listed("7hVbT1mWcZk3", Some(metadata(State::Revoked, u64::MAX))),
            listed("000000000000", None),
        ];
        let now = UnixSeconds::new(100).unwrap();
        let rows: Vec<_> = entries.iter().map(|entry| row(entry, now)).collect();
        assert_eq!(
            table(&rows),
            "ID            STATE     SUBJECT  NOT AFTER             NAME\n\
             4fTz0Qw9Lr2K  expired   acme     1970-01-01T00:01:40Z  Acme\u{fffd}[2J\n\
             7hVbT1mWcZk3  revoked   acme     never                 Acme\u{fffd}[2J\n\
             000000000000  ?         ?        never                 ?\n"
        );
    }
}
