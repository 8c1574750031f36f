//! What `revoke`, `disable`, `enable` and `update` take.

use clap::{Args, ValueEnum};

use crate::args::{FieldArgs, StoreArgs, WriteArgs};

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
    #[command(flatten)]
    pub(crate) fields: FieldArgs,
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
