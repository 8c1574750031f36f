//! What `import` and `export` take.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::args::{PepperArgs, StoreArgs};
use crate::time::When;

#[derive(Args, Debug)]
pub(crate) struct ImportArgs {
    /// The file to read; without one standard input is read
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// What the file holds
    #[arg(long, value_enum)]
    pub(crate) format: ImportFormat,
    /// Who holds the keys for which the file names nobody
    #[arg(long)]
    pub(crate) subject: Option<String>,
    /// A permission of the keys for which the file says none; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    pub(crate) scopes: Vec<String>,
    /// Which limits hold for the keys for which the file says none
    #[arg(long)]
    pub(crate) plan: Option<String>,
    /// When the keys end for which the file says nothing: 90d, 2027-01-31, an RFC 3339 time, or never
    #[arg(long, value_name = "WHEN")]
    pub(crate) expires: Option<When>,
    /// Take keys that are too easy to guess: who reads the KV namespace can then find them by trial
    #[arg(long)]
    pub(crate) allow_weak: bool,
    /// Write files for `wrangler kv bulk put` into this folder, and nothing to the store; it is not asked either
    #[arg(long, value_name = "DIR", conflicts_with_all = ["dry_run", "remote", "persist_to"])]
    pub(crate) bulk_dir: Option<PathBuf>,
    /// Write nothing; print what would become of each key
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) pepper: PepperArgs,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// What an imported file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImportFormat {
    Keys,
    Sha256,
    Csv,
    Jsonl,
    Kong,
    Apisix,
}

#[derive(Args, Debug)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}
