//! What `revoke`, `disable`, `enable` and `update` take.

use clap::{Args, ValueEnum};

use crate::args::{StoreArgs, WriteArgs};
use crate::time::When;

/// What a change is decided on.
#[derive(Args, Debug)]
pub(crate) struct GuardArgs {
    /// Change nothing unless the entry is at this revision still, as `keygate show` printed it
    #[arg(long, value_name = "N", requires = "remote")]
    pub(crate) if_rev: Option<u64>,
}

#[derive(Args, Debug)]
pub(crate) struct ChangeArgs {
    /// The key's id: the 12 characters after the prefix
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) guard: GuardArgs,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) write: WriteArgs,
}

#[derive(Args, Debug)]
pub(crate) struct UpdateArgs {
    /// The key's id: the 12 characters after the prefix
    pub(crate) id: String,
    /// What the key is for
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// A permission; may be repeated; replaces the whole list
    #[arg(long = "scope", value_name = "SCOPE")]
    pub(crate) scopes: Vec<String>,
    /// A network or an address; may be repeated; replaces the whole list
    #[arg(long = "ip", value_name = "CIDR")]
    pub(crate) ips: Vec<String>,
    /// When the key ends: 90d, 12h, 2027-01-31 (its first second, UTC), an RFC 3339 time, or never
    #[arg(long, value_name = "WHEN")]
    pub(crate) expires: Option<When>,
    /// Which limits hold for the key
    #[arg(long)]
    pub(crate) plan: Option<String>,
    /// A note to set; may be repeated; other notes stay
    #[arg(long = "meta", value_name = "NAME=VALUE")]
    pub(crate) meta: Vec<String>,
    /// A field to empty first; may be repeated
    #[arg(long, value_enum, value_name = "FIELD")]
    pub(crate) clear: Vec<Clearable>,
    #[command(flatten)]
    pub(crate) guard: GuardArgs,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) write: WriteArgs,
}

/// Fields that `update --clear` empties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Clearable {
    /// No permission at all
    Scopes,
    /// From anywhere
    Ips,
    /// No plan
    Plan,
    /// No notes
    Meta,
    /// Good from its issue on
    NotBefore,
}
