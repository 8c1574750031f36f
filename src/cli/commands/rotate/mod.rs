//! `keygate rotate`: a new key in the place of an old one, without a moment in which neither works.

mod args;
pub(crate) mod delivered;
mod gate;
pub(crate) mod many;
mod pepper;
mod plain;
pub(crate) mod resume;
mod unfinished;

use keygate_core::key::KeyId;
use keygate_core::record::{Record, State};
use keygate_core::time::UnixSeconds;
use keygate_delivery::rotation::{self, Expiry};

use crate::args::StoreArgs;
use crate::context::Context;
use crate::error::Outcome;
use crate::fields;
use crate::output::Output;
use crate::staleness::Staleness;
use crate::time::{Span, When, in_words, utc, utc_or_never};
use crate::usage_source::{self, LastUsed, UsageArgs, still_used};
use crate::wrangler_config::WranglerConfig;

pub(crate) use args::RotateArgs;

/// Rotates.
pub(crate) fn run(context: &Context, args: &RotateArgs) -> Outcome<()> {
    args.to.check(args.resume || !args.to.to.is_empty())?;
    if args.resume || args.undo {
        resume::check_options(context, args)?;
    }
    if args.resume {
        return resume::resume(context, args);
    }
    if args.when_unused.is_some() {
        // Nothing is rotated that could not be retired.
        usage_source::needed(&context.config()?, &args.store, &args.usage)?.last_uses()?;
    }
    if let Some(when) = args.expires {
        fields::end(when, context.now)?;
    }
    if let Some(age) = args.all_older_than {
        return many::run(context, args, age);
    }
    // INVARIANT: clap asks for an id where neither of the two is given.
    let Some(old) = args.id else { return Ok(()) };
    if args.undo {
        return resume::undo(context, args, old);
    }
    if !args.to.to.is_empty() {
        return delivered::run(context, args, old);
    }
    // Another key in its place would be in the way of the one that is half delivered.
    if let Ok(folder) = rotation::folder(args.journal.as_deref())
        && rotation::unfinished(&folder)?.contains(&old.to_string())
    {
        return Err(rotation::not_finished(&folder, old.as_str()));
    }
    plain::run(context, args, old)
}

impl From<When> for Expiry {
    fn from(when: When) -> Self {
        match when {
            When::Never => Self::Never,
            When::In(span) => Self::In(span.seconds()),
            When::At(time) => Self::At(time.seconds()),
        }
    }
}

/// What is said of a new key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Made {
    Written,
    /// The entries are printed.
    Printed,
    /// Neither; what is made next has another id.
    Unseen,
}

/// What becomes of the old key, and when it was last used.
struct OldKey<'o> {
    /// `--when-unused`; also where a rotation with it is resumed.
    unused: Option<Span>,
    last_used: LastUsed,
    option: &'o str,
}

/// When a key was last accepted, where usage can be read.
fn last_used(
    out: Output,
    config: &WranglerConfig,
    store: &StoreArgs,
    usage: &UsageArgs,
    id: KeyId,
) -> LastUsed {
    let uses = usage_source::if_any(out, config, store, usage, |source| source.last_uses());
    uses.map_or(LastUsed::Unknown, |uses| LastUsed::of(&uses, id))
}

/// Says which command ends what stays valid until it is unused.
fn until_retired(what: &str, id: Option<KeyId>, unused: Span, option: &str) -> String {
    let id = id.map(|id| format!(" {id}")).unwrap_or_default();
    let span = unused.as_option();
    format!(
        "{what} until `keygate retire{id} --unused {span}{option}` finds that nobody used it for {}",
        in_words(unused.seconds())
    )
}

/// Says what works from now on, and until when.
fn announce(
    out: Output,
    new: &Record,
    old: &Record,
    now: UnixSeconds,
    staleness: Staleness,
    how: Made,
    end: &OldKey<'_>,
) {
    let stops = if how == Made::Written { "stops" } else { "would stop" };
    let made = match how {
        Made::Written => format!("made {}", new.id),
        Made::Printed => format!("would make {}", new.id),
        Made::Unseen => "would make a key".to_owned(),
    };
    // Not by this machine's clock, which may be fast.
    let ends = old.not_after.filter(|_| old.state != State::Revoked);
    out.note(format_args!(
        "{made} for {}: valid at once, expires {}",
        new.subject,
        utc_or_never(new.not_after),
    ));
    let left = ends.map_or(0, |ends| ends.seconds().saturating_sub(now.seconds()));
    let unused = end.unused.or((ends.is_none() && old.state != State::Revoked).then(Span::a_day));
    if let Some(unused) = unused {
        let works = if how == Made::Written { "works" } else { "would work" };
        let until = ends.map(|ends| format!(", and at most until {}", utc(ends))).unwrap_or_default();
        let what = format!("old key {} {works}", old.id);
        out.note(format_args!("{}{until}", until_retired(&what, Some(old.id), unused, end.option)));
    } else {
        let when = match ends {
            Some(ends) => format!("at {}, in {}", utc(ends), in_words(left)),
            None => "now: it is revoked".to_owned(),
        };
        out.note(format_args!("old key {} {stops} working {when}", old.id));
    }
    match end.last_used {
        LastUsed::At(last) => out.note(format_args!("old key {}: {}", old.id, still_used(last, now))),
        LastUsed::Never => out.note(format_args!("old key {}: no use was counted", old.id)),
        LastUsed::Unknown => {}
    }
    if unused.is_none() && staleness.worst_secs().is_none_or(|worst| left < worst) {
        // With a longer grace every gate has read the end before it comes, and keeps to it by its own clock.
        out.note(format_args!("staleness: {}", staleness.sentence()));
        if staleness.is_remote() {
            out.note(format_args!(
                "to refuse it within seconds: add {} to the secret DENIED_IDS (`wrangler secret put DENIED_IDS`)",
                old.id,
            ));
        }
    }
    if how != Made::Written {
        out.note("nothing was written");
    }
    if ends.is_some_and(|ends| new.not_after.is_some_and(|end| end <= ends)) {
        out.note("warning: the new key ends before the old one");
    }
}
