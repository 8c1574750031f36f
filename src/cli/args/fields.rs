//! What `issue` and `update` say about a key.

use clap::Args;

use crate::time::When;

/// The fields of a record that an operator sets.
#[derive(Args, Debug, Default, PartialEq, Eq)]
pub(crate) struct FieldArgs {
    /// What the key is for
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// A permission; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    pub(crate) scopes: Vec<String>,
    /// A network or an address that the key may be used from; may be repeated
    #[arg(long = "ip", value_name = "CIDR")]
    pub(crate) ips: Vec<String>,
    /// When the key ends: 90d, 12h, 2027-01-31 (its first second, UTC), an RFC 3339 time, or never
    #[arg(long, value_name = "WHEN")]
    pub(crate) expires: Option<When>,
    /// Which limits hold for the key: a plan of the policy's PLANS
    #[arg(long)]
    pub(crate) plan: Option<String>,
    /// A note for operators; may be repeated
    #[arg(long = "meta", value_name = "NAME=VALUE")]
    pub(crate) meta: Vec<String>,
}
