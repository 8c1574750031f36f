//! What `list` takes.

use clap::{Args, ValueEnum};

use crate::args::StoreArgs;
use crate::key_status::KeyStatus;
use crate::time::Span;

#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// Only this holder's keys
    #[arg(long)]
    pub(crate) subject: Option<String>,
    /// Only keys in this state
    #[arg(long, value_enum)]
    pub(crate) state: Option<ListedState>,
    /// Only keys with this permission
    #[arg(long)]
    pub(crate) scope: Option<String>,
    /// Only keys in use that end within this time: 14d, 12h
    #[arg(long, value_name = "SPAN")]
    pub(crate) expiring: Option<Span>,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// The states that an entry's metadata can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListedState {
    Active,
    Expired,
    Disabled,
    Revoked,
}

impl ListedState {
    /// Whether a key of this status is meant.
    pub(crate) fn is(self, status: KeyStatus) -> bool {
        match self {
            Self::Active => matches!(status, KeyStatus::Active | KeyStatus::Pending),
            Self::Expired => status == KeyStatus::Expired,
            Self::Disabled => status == KeyStatus::Disabled,
            Self::Revoked => status == KeyStatus::Revoked,
        }
    }
}
