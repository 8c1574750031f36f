//! `keygate list`: all keys, from the metadata of their entries alone.

use std::cmp::Reverse;
use std::fmt::Write as _;
use std::panic::resume_unwind;
use std::thread;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use keygate_core::key::{KV_NAME_PREFIX, KeyId};
use keygate_core::time::UnixSeconds;
use keygate_core::usage::LastUsesReport;
use keygate_delivery::KeyStatus;
use serde::Serialize;

use crate::args::StoreArgs;
use crate::context::{self, Context};
use crate::error::Outcome;
use crate::output::{aligned, printable};
use crate::progress::Progress;
use crate::store::Listed;
use crate::time::{Span, ago, in_words, utc_or_never};
use crate::usage_source::{self, LastUsed, UsageArgs, or_note, still_used};
use crate::wrangler_config::WranglerConfig;

/// List keys
#[derive(Args, Debug)]
#[command(
    after_help = "Reads the entries' metadata alone, not the records. With --json: one object a line. An entry whose metadata does not say what a filter asks for is listed.\n\nExamples:\n  keygate list --subject acme --state active\n  keygate list --remote --expiring 14d --json\n  keygate list --unused 30d --sort last-used"
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
    /// Only keys in use that were not accepted for this time, or never: 30d; keys that were issued since are left out
    ///
    /// A key that was accepted only before usage was counted is among them.
    #[arg(long, value_name = "SPAN")]
    unused: Option<Span>,
    /// Sort by last use, the latest first
    #[arg(long, value_enum, value_name = "BY")]
    sort: Option<Sort>,
    #[command(flatten)]
    usage: UsageArgs,
    #[command(flatten)]
    store: StoreArgs,
}

impl ListArgs {
    /// Whether the keys cannot be listed as asked without their last uses.
    fn needs_usage(&self) -> bool {
        self.unused.is_some() || self.sort.is_some()
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Sort {
    /// When the key was last accepted
    LastUsed,
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
    /// The key that took its place, since entries say it.
    replaced_by: Option<String>,
    rev: Option<u64>,
    by: Option<String>,
    /// When it was last accepted, null for never; absent where no usage can be read.
    #[serde(skip_serializing_if = "LastUsed::is_unknown")]
    #[cfg_attr(test, schemars(with = "Option<u64>"))]
    last_used: LastUsed,
}

/// Lists keys.
pub(crate) fn run(context: &Context, args: &ListArgs) -> Outcome<()> {
    let config = context.config()?;
    let store = context::store(&config, &args.store)?;
    let progress = Progress::counting("listed", None);
    let (entries, last_uses) = thread::scope(|scope| {
        let last_uses = scope.spawn(|| last_uses(args, &config));
        let mut entries = Vec::new();
        let listed = store.list(KV_NAME_PREFIX, &mut |page| {
            progress.add(page.len());
            entries.extend(page);
            Ok(())
        });
        (listed.map(|()| entries), last_uses.join().unwrap_or_else(|panic| resume_unwind(panic)))
    });
    let last_uses = if args.needs_usage() { last_uses? } else { or_note(context.out, last_uses) };
    let entries = entries?;
    let all = entries.len();
    let mut rows: Vec<ListedKey> = Vec::new();
    let (mut bare, mut since) = (0, 0);
    for mut row in entries.into_iter().map(|entry| row(entry, context.now)) {
        row.last_used = last_uses.as_ref().map_or(LastUsed::Unknown, |uses| last_used(uses, &row.id));
        if !is_wanted(&row, args, context.now) {
            continue;
        }
        if args.unused.is_some_and(|span| row.created > Some(before(context.now, span))) {
            since += 1;
            continue;
        }
        bare += usize::from(row.state.is_none());
        rows.push(row);
    }
    let wanted = rows.len();
    let mut lines = context.out.lines();
    if args.sort.is_some() {
        rows.sort_by_key(|row| Reverse(row.last_used));
    }
    if context.out.is_json() {
        rows.iter().try_for_each(|row| lines.add(row))?;
    } else if !rows.is_empty() {
        lines.add_text(table(&rows, context.now).trim_end())?;
    }
    lines.finish()?;
    progress.finish();
    context.out.note(format_args!("{wanted} of {all} keys in {}", store.place()));
    if let Some(span) = args.unused.filter(|_| since > 0) {
        context.out.note(format_args!(
            "{since} more were not accepted since, and are left out: they were issued in the last {}",
            in_words(span.seconds())
        ));
    }
    if bare > 0 {
        let option = store.option();
        context.out.note(format_args!(
            "{bare} without metadata of keygate's: see `keygate show ID{option}`; any `keygate update ID{option}` writes it"
        ));
    }
    Ok(())
}

/// When keys were last used, where that is known.
///
/// # Errors
/// It cannot be read, or is not known and needed.
fn last_uses(args: &ListArgs, config: &WranglerConfig) -> Outcome<Option<LastUsesReport>> {
    if args.needs_usage() {
        return usage_source::needed(config, &args.store, &args.usage)?.last_uses().map(Some);
    }
    usage_source::read_if_any(config, &args.store, &args.usage, |source| source.last_uses())
}

fn last_used(uses: &LastUsesReport, id: &str) -> LastUsed {
    id.parse::<KeyId>().map_or(LastUsed::Never, |id| LastUsed::of(uses, id))
}

fn before(now: UnixSeconds, span: Span) -> u64 {
    now.seconds().saturating_sub(span.seconds())
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
        replaced_by: metadata.replaced_by,
        last_used: LastUsed::Unknown,
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
    let unused = args.unused.is_none_or(|span| {
        let is_used = row.last_used.time().is_some_and(|last| last.seconds() > before(now, span));
        status == KeyStatus::Active && !is_used
    });
    subject && state && scope && expiring && unused
}

fn table(rows: &[ListedKey], now: UnixSeconds) -> String {
    let text = |cell: &Option<String>| printable(cell.as_deref().unwrap_or("?"));
    // With usage all of them have it.
    let has_usage = rows.iter().any(|row| !row.last_used.is_unknown());
    let last_used = if has_usage { "LAST USED\t" } else { "" };
    let mut table = format!("ID\tSTATE\tSUBJECT\tNOT AFTER\t{last_used}NAME\n");
    for row in rows {
        let state = row.state.map_or("?", KeyStatus::as_str);
        let end = utc_or_never(row.not_after.and_then(UnixSeconds::new));
        let (id, subject, name) = (printable(&row.id), text(&row.subject), text(&row.name));
        let used = if has_usage { format!("{}\t", use_of(row, now)) } else { String::new() };
        // Writing to a String does not fail.
        let _ = writeln!(table, "{id}\t{state}\t{subject}\t{end}\t{used}{name}");
    }
    aligned(&table)
}

/// When the key was last used; of one that another one replaces it says that it still is.
fn use_of(row: &ListedKey, now: UnixSeconds) -> String {
    let is_replaced = row.replaced_by.is_some() && row.state == Some(KeyStatus::Active);
    match row.last_used.time() {
        None => "never".to_owned(),
        Some(last) if is_replaced => still_used(last, now),
        Some(last) => ago(last, now),
    }
}

#[cfg(test)]
mod tests {
    use super::{ListArgs, ListedKey, is_wanted, row, table};
    use crate::entry::Metadata;
    use crate::store::Listed;
    use crate::usage_source::LastUsed;
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
            replaced_by: None,
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
            table(&rows, now),
            "ID            STATE    SUBJECT  NOT AFTER             NAME\n\
             4fTz0Qw9Lr2K  expired  acme     1970-01-01T00:01:40Z  Acme\u{fffd}[2J\n\
             7hVbT1mWcZk3  revoked  acme     never                 Acme\u{fffd}[2J\n\
             000000000000  ?        ?        never                 ?\n"
        );
    }

    #[test]
    fn last_use_is_shown_where_it_is_known() {
        let now = UnixSeconds::new(100_000).unwrap();
        let shown = |state, replaced_by: Option<&str>, last_used| {
            let metadata =
                Metadata { replaced_by: replaced_by.map(str::to_owned), ..metadata(state, 200_000) };
            super::use_of(&ListedKey { last_used, ..row(listed("4fTz0Qw9Lr2K", Some(metadata)), now) }, now)
        };
        let at = |seconds| LastUsed::At(UnixSeconds::new(seconds).unwrap());
        for (state, replaced_by, last_used, text) in [
            (State::Active, None, LastUsed::Never, "never"),
            (State::Active, None, at(99_820), "3 minutes ago"),
            (State::Active, Some("7hVbT1mWcZk3"), at(99_820), "still used, 3 minutes ago"),
            (State::Active, Some("7hVbT1mWcZk3"), LastUsed::Never, "never"),
            (State::Active, Some("7hVbT1mWcZk3"), at(100_000 - 86_400), "1 day ago"),
            (State::Revoked, Some("7hVbT1mWcZk3"), at(99_820), "3 minutes ago"),
        ] {
            assert_eq!(shown(state, replaced_by, last_used), text);
        }
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
