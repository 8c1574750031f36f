//! The options of `keygate rotate`.

use std::path::PathBuf;

use clap::Args;
use keygate_core::key::KeyId;

use crate::args::{KeyOutArgs, PepperArgs, StoreArgs, ToArgs, WriteArgs, key_id};
use crate::time::{Span, When};
use crate::usage_source::UsageArgs;

/// The text below the options in the help.
const HELP: &str = "\
The new key has the old one's subject, name, scopes, networks, plan, quota and notes. Unless --expires says otherwise it lives \
as long as the old one was made to live: without an expiry, or for the old one's time from its issue to its expiry.

Without --to the new record is written first, then the new key is printed, then the old record gets its expiry. With \
--to every secret store is read first, and must hold the old key; the old record gets its expiry when every secret store \
holds the new one. Whatever stops it half way, every secret store has a key that works; `rotate --resume` goes on, `rotate \
--undo` takes it back.

Examples:
  keygate rotate 4fTz0Qw9Lr2K
  keygate rotate 4fTz0Qw9Lr2K --remote --to vault:secret/reports#api_key --to 'exec:gh secret set API_KEY -R acme/reports'
  keygate rotate 4fTz0Qw9Lr2K --remote --now
  keygate rotate 4fTz0Qw9Lr2K --when-unused 24h
  keygate rotate --resume
  keygate rotate 4fTz0Qw9Lr2K --resume --to 'exec:gh secret set API_KEY -R acme/reports'
  keygate rotate --all-older-than 90d --remote --to 'file:/run/keys/{subject}'";

/// The many keys that are rotated, in place of the one.
const MANY: &str = "Many keys";
/// What is left of an earlier run.
const AFTERWARDS: &str = "After an interruption";

/// Make a key that takes another's place, and give the old one its expiry
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(crate) struct RotateArgs {
    /// The old key's id: the 12 characters after the prefix
    #[arg(value_parser = key_id, required_unless_present_any = ["resume", "all_older_than"], conflicts_with = "all_older_than")]
    pub(crate) id: Option<KeyId>,
    /// How long the old key still works: 24h, 7d; with 0 it is revoked
    #[arg(long, value_name = "SPAN", default_value = "24h")]
    pub(crate) grace: Span,
    /// The old key has leaked: it is revoked as soon as the new one is handed over
    #[arg(long, conflicts_with = "grace")]
    pub(crate) now: bool,
    /// The old key stays valid until it has not been used for this time: 24h, 7d; `keygate retire` ends it then
    ///
    /// Needs usage, which a control Worker counts: docs/usage.md.
    #[arg(long, value_name = "SPAN", conflicts_with_all = ["grace", "now"])]
    pub(crate) when_unused: Option<Span>,
    #[command(flatten)]
    pub(crate) usage: UsageArgs,
    /// When the new key expires: 90d, 12h, 2027-01-31 (its first second, UTC), an RFC 3339 time, or never
    #[arg(long, value_name = "WHEN")]
    pub(crate) expires: Option<When>,
    #[command(flatten)]
    pub(crate) to: ToArgs,
    /// The folder of the journal, by which a rotation with --to is resumed [default: `KEYGATE_JOURNAL`, else keygate/journal in the folder for state: `XDG_STATE_HOME`, else ~/.local/state]
    #[arg(long, value_name = "DIR")]
    pub(crate) journal: Option<PathBuf>,
    /// Finish the rotation of this key, or all of this gate that are unfinished; the store is the one that the journal names
    ///
    /// With --to, and the key's id, these secret stores take the place of those that do not hold the new key yet.
    #[arg(long, help_heading = AFTERWARDS, conflicts_with_all = ["grace", "now", "when_unused", "expires", "dry_run", "all_older_than", "new_pepper"])]
    pub(crate) resume: bool,
    /// Take the unfinished rotation of this key back: the old key into its secret stores again, the new one revoked
    #[arg(long, help_heading = AFTERWARDS, requires = "id", conflicts_with_all = ["resume", "grace", "now", "when_unused", "expires", "to", "dry_run", "key_out", "print", "new_pepper"])]
    pub(crate) undo: bool,
    /// Rotate each key in use that was issued longer ago than this: 90d, 0
    #[arg(long, help_heading = MANY, value_name = "SPAN", requires = "to", conflicts_with_all = ["key_out", "print"])]
    pub(crate) all_older_than: Option<Span>,
    /// Of these, only this holder's keys
    #[arg(long, help_heading = MANY, requires = "all_older_than")]
    pub(crate) subject: Option<String>,
    /// Of these, only keys with this permission
    #[arg(long, help_heading = MANY, requires = "all_older_than")]
    pub(crate) scope: Option<String>,
    /// Of these, only keys that were made with this pepper, by its id
    #[arg(long, help_heading = MANY, value_name = "PEPPER_ID", requires = "all_older_than")]
    pub(crate) made_with: Option<String>,
    #[command(flatten)]
    pub(crate) key_out: KeyOutArgs,
    #[command(flatten)]
    pub(crate) pepper: PepperArgs,
    #[command(flatten)]
    pub(crate) pepper_override: PepperOverride,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) write: WriteArgs,
}

/// What an operator knows of the gate's pepper, and cannot be told from here.
#[derive(Args, Debug)]
pub(crate) struct PepperOverride {
    /// The gate has this pepper, although the old key was made with another one that is not the one before
    #[arg(long)]
    pub(crate) new_pepper: bool,
}

impl RotateArgs {
    /// How long the old key still works; `None`: until it is unused.
    pub(crate) fn grace_secs(&self) -> Option<u64> {
        match self.when_unused {
            Some(_) => None,
            None if self.now => Some(0),
            None => Some(self.grace.seconds()),
        }
    }
}
