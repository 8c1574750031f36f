//! `keygate list`: all keys, from the metadata of their entries alone.

use std::io::{self, Write as _};

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use keygate_core::key::KV_NAME_PREFIX;
use keygate_core::time::UnixSeconds;
use keygate_delivery::KeyStatus;
use serde::Serialize;
use tabwriter::TabWriter;

use crate::args::StoreArgs;
use crate::context::{self, Context};
use crate::error::Outcome;
use crate::output::{not_written, printable};
use crate::progress::Progress;
use crate::store::Listed;
use crate::time::{Span, utc_or_never};

/// List keys
#[derive(Args, Debug)]
#[command(
    after_help = "Reads the entries' metadata alone, not the records. With --json: one object a line. An entry whose metadata does not say what a filter asks for is listed.\n\nExamples:\n  keygate list --subject acme --state active\n  keygate list --remote --expiring 14d --json"
)]
pub(crate) struct ListArgs {
    /// Only this holder's keys
    #[arg(long)]
    subject: Option<String>,
    /// Only keys in this state
    #[arg(long, value_parser = state())]
    state: Option<KeyStatus>,
    /// Only keys with this permission
    #[arg(long)]
    scope: Option<String>,
    /// Only keys in use that expire within this time: 14d, 12h
    #[arg(long, value_name = "SPAN")]
    expiring: Option<Span>,
    #[command(flatten)]
    store: StoreArgs,
}

/// The states that an entry's metadata tells.
fn state() -> impl TypedValueParser<Value = KeyStatus> {
    let states = [KeyStatus::Active, KeyStatus::Expired, KeyStatus::Disabled, KeyStatus::Revoked];
    PossibleValuesParser::new(states.map(KeyStatus::as_str))
        .try_map(move |word| states.into_iter().find(|state| state.as_str() == word).ok_or("is no state"))
}

/// A key; with `--json` one object a line. The fields are null for an entry without metadata of ours.
#[derive(Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ListedKey {
    id: String,
    subject: Option<String>,
    name: Option<String>,
    state: Option<KeyStatus>,
    created: Option<u64>,
    not_after: Option<u64>,
    /// Null as well when there are so many that the metadata does not hold them.
    scopes: Option<Vec<String>>,
    /// The pepper that the key depends on; null for an imported one.
    pepper: Option<String>,
    rev: Option<u64>,
    by: Option<String>,
}

/// Lists keys.
pub(crate) fn run(context: &Context, args: &ListArgs) -> Outcome<()> {
    let store = context::store(&context.config()?, &args.store)?;
    let progress = Progress::counting("listed", None);
    let mut lines = context.out.lines();
    // A table is as wide as its widest cell, so its rows wait for the last page.
    let mut rows: Vec<ListedKey> = Vec::new();
    let (mut all, mut wanted, mut bare) = (0, 0, 0);
    store.list(KV_NAME_PREFIX, &mut |page| {
        all += page.len();
        progress.add(page.len());
        for row in page.into_iter().map(|entry| row(entry, context.now)) {
            if !is_wanted(&row, args, context.now) {
                continue;
            }
            wanted += 1;
            bare += usize::from(row.state.is_none());
            if context.out.is_json() {
                lines.add(&row)?;
            } else {
                rows.push(row);
            }
        }
        Ok(())
    })?;
    if !rows.is_empty() {
        lines.add_text(table(&rows).map_err(|e| not_written(&e))?.trim_end())?;
    }
    lines.finish()?;
    progress.finish();
    context.out.note(format_args!("{wanted} of {all} keys in {}", store.place()));
    if bare > 0 {
        let option = store.option();
        context.out.note(format_args!(
            "{bare} without metadata of keygate's: see `keygate show ID{option}`; any `keygate update ID{option}` writes it"
        ));
    }
    Ok(())
}

fn row(entry: Listed, now: UnixSeconds) -> ListedKey {
    let id = entry.id().to_owned();
    let Some(metadata) = entry.metadata else {
        return ListedKey { id, ..ListedKey::default() };
    };
    ListedKey {
        id,
        state: Some(KeyStatus::of(metadata.state, None, metadata.not_after, now)),
        subject: Some(metadata.subject),
        name: Some(metadata.name),
        created: metadata.created.map(Into::into),
        not_after: metadata.not_after.map(Into::into),
        scopes: metadata.scopes,
        pepper: metadata.pepper,
        rev: metadata.rev,
        by: metadata.by,
    }
}

/// What the metadata does not say passes the filter: what cannot be told must not be hidden.
fn is_wanted(row: &ListedKey, args: &ListArgs, now: UnixSeconds) -> bool {
    let Some(status) = row.state else {
        return true;
    };
    let subject = args.subject.is_none() || args.subject == row.subject;
    let state = args.state.is_none_or(|state| state == status);
    let scope = match (&args.scope, &row.scopes) {
        (Some(wanted), Some(scopes)) => scopes.contains(wanted),
        _ => true,
    };
    let expiring = args.expiring.is_none_or(|span| {
        let by = now.plus(span.seconds()).seconds();
        status == KeyStatus::Active && row.not_after.is_some_and(|end| end <= by)
    });
    subject && state && scope && expiring
}

fn table(rows: &[ListedKey]) -> io::Result<String> {
    let text = |cell: &Option<String>| printable(cell.as_deref().unwrap_or("?"));
    let mut table = TabWriter::new(Vec::new());
    writeln!(table, "ID\tSTATE\tSUBJECT\tNOT AFTER\tNAME")?;
    for row in rows {
        let state = row.state.map_or("?", KeyStatus::as_str);
        let end = utc_or_never(row.not_after.and_then(UnixSeconds::new));
        let (id, subject, name) = (printable(&row.id), text(&row.subject), text(&row.name));
        writeln!(table, "{id}\t{state}\t{subject}\t{end}\t{name}")?;
    }
    let table = table.into_inner().map_err(|e| io::Error::other(e.to_string()))?;
    String::from_utf8(table).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::{ListArgs, is_wanted, row, table};
    use crate::entry::Metadata;
    use crate::store::Listed;
    use clap::{Args as _, Command, FromArgMatches as _};
    use keygate_core::record::State;
    use keygate_core::time::UnixSeconds;

    fn listed(id: &str, metadata: Option<Metadata>) -> Listed {
        Listed { name: format!("key/{id}"), metadata }
    }

    fn metadata(state: State, not_after: u64) -> Metadata {
        Metadata {
            subject: "acme".into(),
            name: "Acme\u{1b}[2J".into(),
            state,
            created: None,
            not_after: UnixSeconds::new(not_after),
            pepper: None,
            scopes: Some(vec!["read".into()]),
            rev: None,
            by: None,
        }
    }

    #[test]
    fn a_table_shows_what_the_metadata_says_and_a_mark_where_there_is_none() {
        let entries = [
            listed("4fTz0Qw9Lr2K", Some(metadata(State::Active, 100))),
            listed("7hVbT1mWcZk3", Some(metadata(State::Revoked, u64::MAX))),
            listed("000000000000", None),
        ];
        let now = UnixSeconds::new(100).unwrap();
        let rows: Vec<_> = entries.into_iter().map(|entry| row(entry, now)).collect();
        assert_eq!(
            table(&rows).unwrap(),
            "ID            STATE    SUBJECT  NOT AFTER             NAME\n\
             4fTz0Qw9Lr2K  expired  acme     1970-01-01T00:01:40Z  Acme\u{fffd}[2J\n\
             7hVbT1mWcZk3  revoked  acme     never                 Acme\u{fffd}[2J\n\
             000000000000  ?        ?        never                 ?\n"
        );
    }

    #[test]
    fn filters_go_by_the_metadata_and_never_hide_what_it_does_not_say() {
        let now = UnixSeconds::new(100).unwrap();
        let wanted = |options: &[&str], metadata: Option<Metadata>| {
            let line = ["list"].iter().chain(options);
            let matches = ListArgs::augment_args(Command::new("list")).get_matches_from(line);
            let args = ListArgs::from_arg_matches(&matches).unwrap();
            is_wanted(&row(listed("4fTz0Qw9Lr2K", metadata), now), &args, now)
        };
        let active = |not_after| Some(metadata(State::Active, not_after));
        for (options, entry, expected) in [
            (&[][..], active(200), true),
            (&["--subject", "acme"], active(200), true),
            (&["--subject", "other"], active(200), false),
            (&["--scope", "read"], active(200), true),
            (&["--scope", "rea"], active(200), false),
            (&["--state", "active"], active(200), true),
            (&["--state", "active"], active(100), false),
            (&["--expiring", "100s"], active(200), true),
            (&["--expiring", "99s"], active(200), false),
            (&["--expiring", "99s"], active(100), false),
            (&["--expiring", "99s"], active(u64::MAX), false),
            (&["--expiring", "99s"], Some(metadata(State::Disabled, 101)), false),
            (&["--subject", "x", "--scope", "y", "--state", "revoked", "--expiring", "0"], None, true),
        ] {
            assert_eq!(wanted(options, entry), expected, "{options:?}");
        }
        let mut many = metadata(State::Active, 200);
        many.scopes = None;
        assert!(wanted(&["--scope", "read"], Some(many)));
    }
}
