//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::standing::Standing;
use crate::time::{Span, When};

/// Issues, rotates and revokes the keys of a Keygate gate.
///
/// Results go to standard output, everything said to a reader to standard error.
///
/// Exit codes: 0 done, 1 failed (for verify and check: not permitted, not valid), 2 wrong usage.
#[derive(Debug, Parser)]
#[command(name = "keygate", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) gate: GateArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The options that every command has stand together, after its own.
const GATE: &str = "Gate and output";

/// Which gate a command is about.
#[derive(Args, Debug)]
pub(crate) struct GateArgs {
    /// The gate's wrangler.toml
    #[arg(long, global = true, help_heading = GATE, value_name = "FILE", default_value = "wrangler.toml")]
    pub(crate) config: PathBuf,
    /// The environment in wrangler.toml, as for wrangler
    #[arg(long, global = true, help_heading = GATE, value_name = "NAME", env = "CLOUDFLARE_ENV", hide_env_values = true)]
    pub(crate) env: Option<String>,
    /// Print results as JSON
    #[arg(long, global = true, help_heading = GATE)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a pepper, the gate's secret PEPPER
    #[command(after_help = "Example:\n  echo \"PEPPER=$(keygate pepper)\" >> .dev.vars")]
    Pepper,
    /// Make a key, write its record, print the key once
    #[command(
        after_help = "The record is written before the key is printed: a printed key works.\n\nExamples:\n  keygate issue --subject acme --name \"Acme production\" --scope reports:read --expires 90d\n  keygate issue --remote --subject acme --ip 203.0.113.0/24 --expires 2027-01-31\n  keygate issue --subject old-client --import-stdin < foreign-key"
    )]
    Issue(IssueArgs),
    /// List keys
    #[command(
        after_help = "Reads the entries' metadata alone, not the records. With --json: one object a line.\n\nExample:\n  keygate list --subject acme --state active"
    )]
    List(ListArgs),
    /// Show a key's record, and what it amounts to now
    #[command(after_help = "Example:\n  keygate show 4fTz0Qw9Lr2K")]
    Show(ShowArgs),
    /// Make a key that takes another's place, and give the old one its end
    #[command(
        after_help = "The new record is written first, then the new key is printed, then the old record gets its end. The new key has the old one's subject, name, scopes, networks, plan and notes. Unless --expires says otherwise it lives as long as the old one was made to live: without end, or its end minus its issue.\n\nExamples:\n  keygate rotate 4fTz0Qw9Lr2K\n  keygate rotate 4fTz0Qw9Lr2K --grace 0 --remote"
    )]
    Rotate(RotateArgs),
    /// Refuse a key for good
    #[command(after_help = "Example:\n  keygate revoke 4fTz0Qw9Lr2K --remote")]
    Revoke(ChangeArgs),
    /// Refuse a key until it is enabled again
    #[command(after_help = "Example:\n  keygate disable 4fTz0Qw9Lr2K")]
    Disable(ChangeArgs),
    /// Take a disabled key again
    #[command(after_help = "Example:\n  keygate enable 4fTz0Qw9Lr2K")]
    Enable(ChangeArgs),
    /// Change what a key may do, how long, or what it is called
    #[command(
        after_help = "A list that is given replaces the whole list.\n\nExamples:\n  keygate update 4fTz0Qw9Lr2K --scope reports:read --scope reports:write\n  keygate update 4fTz0Qw9Lr2K --clear ips --expires 30d"
    )]
    Update(UpdateArgs),
    /// Say what the gate would answer to a key, which is read from standard input
    #[command(
        after_help = "Exit code 0 when the gate would forward the request, 1 when not.\n\nExample:\n  keygate verify --path /v1/reports < key-file"
    )]
    Verify(VerifyArgs),
    /// Check wrangler.toml's policy, and files of records
    #[command(
        after_help = "A file may hold one record, an array of records (STATIC_KEYS), or wrangler's bulk JSON; `-` is standard input. A name that ends with .toml is read as wrangler.toml. Without FILES the one of --config is checked, all its environments or the one of --env.\n\nExamples:\n  keygate check\n  keygate check static-keys.json\n  wrangler kv key get key/4fTz0Qw9Lr2K --binding KEYS --remote | keygate check -"
    )]
    Check(CheckArgs),
}

/// Which store a command works on.
#[derive(Args, Debug)]
pub(crate) struct StoreArgs {
    /// Work on the local KV of `wrangler dev` (the default)
    #[arg(long, conflicts_with = "remote")]
    pub(crate) local: bool,
    /// Work on the deployed KV namespace
    #[arg(long)]
    pub(crate) remote: bool,
    /// The folder of the local KV, as given to `wrangler dev`
    #[arg(long, value_name = "DIR", conflicts_with = "remote")]
    pub(crate) persist_to: Option<PathBuf>,
}

/// Where the pepper is. Default: `KEYGATE_PEPPER`, then (local only) .dev.vars.
#[derive(Args, Debug)]
pub(crate) struct PepperArgs {
    /// Read the pepper from a file [default: the variable `KEYGATE_PEPPER`; without --remote also .dev.vars]
    #[arg(long, value_name = "FILE")]
    pub(crate) pepper_file: Option<PathBuf>,
}

/// What becomes of a change.
#[derive(Args, Debug)]
pub(crate) struct WriteArgs {
    /// Write nothing; print the entries as `wrangler kv bulk put` reads them
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Where a new key goes.
#[derive(Args, Debug)]
pub(crate) struct KeyOutArgs {
    /// Write the key to a new file that only you can read, instead of to standard output
    ///
    /// With --dry-run standard output holds the entries, so either --key-out or --json (an object with the key
    /// and the entries) is needed: a key that nobody sees is of no use.
    #[arg(long, value_name = "FILE")]
    pub(crate) key_out: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct IssueArgs {
    /// Who holds the key; stays the same when the key is rotated
    #[arg(long)]
    pub(crate) subject: String,
    /// What the key is for
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// A permission; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    pub(crate) scopes: Vec<String>,
    /// A network or an address that the key may be used from; may be repeated; none: from anywhere
    #[arg(long = "ip", value_name = "CIDR")]
    pub(crate) ips: Vec<String>,
    /// When the key ends: 90d, 12h, 2027-01-31 (its first second, UTC), an RFC 3339 time, or never
    #[arg(long, value_name = "WHEN", default_value = "never")]
    pub(crate) expires: When,
    /// When the key begins to be good; written like --expires
    #[arg(long, value_name = "WHEN")]
    pub(crate) not_before: Option<When>,
    /// Which limits hold for the key: a plan of the policy's PLANS
    #[arg(long)]
    pub(crate) plan: Option<String>,
    /// A note for operators; may be repeated
    #[arg(long = "meta", value_name = "NAME=VALUE")]
    pub(crate) meta: Vec<String>,
    /// Take a key that another system issued from standard input, instead of making one
    ///
    /// It is digested, never stored or printed; its clients keep it. The gate needs `IMPORTED_KEYS = true`.
    #[arg(long, conflicts_with_all = ["key_out", "pepper_file"])]
    pub(crate) import_stdin: bool,
    #[command(flatten)]
    pub(crate) key_out: KeyOutArgs,
    #[command(flatten)]
    pub(crate) pepper: PepperArgs,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) write: WriteArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// Only this holder's keys
    #[arg(long)]
    pub(crate) subject: Option<String>,
    /// Only keys in this state
    #[arg(long, value_enum)]
    pub(crate) state: Option<ListedState>,
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
    /// Whether a key of this standing is meant.
    pub(crate) fn is(self, standing: Standing) -> bool {
        match self {
            Self::Active => matches!(standing, Standing::Active | Standing::Pending),
            Self::Expired => standing == Standing::Expired,
            Self::Disabled => standing == Standing::Disabled,
            Self::Revoked => standing == Standing::Revoked,
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    /// The key's id: the 12 characters after the prefix
    // A String, here and below: clap would repeat a whole key that is given in its place.
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

#[derive(Args, Debug)]
pub(crate) struct RotateArgs {
    /// The old key's id: the 12 characters after the prefix
    pub(crate) id: String,
    /// How long the old key still works: 24h, 7d, 0
    #[arg(long, value_name = "SPAN", default_value = "24h")]
    pub(crate) grace: Span,
    /// When the new key ends: 90d, 12h, 2027-01-31 (its first second, UTC), an RFC 3339 time, or never
    #[arg(long, value_name = "WHEN")]
    pub(crate) expires: Option<When>,
    #[command(flatten)]
    pub(crate) key_out: KeyOutArgs,
    #[command(flatten)]
    pub(crate) pepper: PepperArgs,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) write: WriteArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ChangeArgs {
    /// The key's id: the 12 characters after the prefix
    pub(crate) id: String,
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

#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    /// The request's method
    #[arg(long, default_value = "GET")]
    pub(crate) method: String,
    /// The request's path
    #[arg(long, default_value = "/")]
    pub(crate) path: String,
    /// The client's address; without it a rule about addresses refuses
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) ip: Option<String>,
    #[command(flatten)]
    pub(crate) pepper: PepperArgs,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// wrangler.toml files and files of records
    #[arg(value_name = "FILES")]
    pub(crate) files: Vec<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
