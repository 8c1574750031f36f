//! What `pepper` and the commands below it take.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::args::{PepperArgs, StoreArgs};

#[derive(Args, Debug)]
pub(crate) struct PepperGroup {
    #[command(subcommand)]
    pub(crate) command: Option<PepperCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PepperCommand {
    /// Say how far a rotation of the pepper is, and what comes next
    #[command(
        after_help = "The peppers that are known come from --pepper-file, --pepper-from or KEYGATE_PEPPER (or KEYGATE_PEPPER_FROM), KEYGATE_PEPPER_PREVIOUS (or KEYGATE_PEPPER_PREVIOUS_FROM) and (local only) .dev.vars; which keys depend on which, from their records.\n\nExit code 0 when there is nothing to do, 1 when there is.\n\nExample:\n  keygate pepper status --remote"
    )]
    Status(PepperStatusArgs),
    /// Do the next step of a rotation of the pepper, or say which command does it
    #[command(
        after_help = "For the local gate it writes .dev.vars. For a deployed one the secrets are wrangler's: the new pepper goes into the file of --new, and the commands that set it are printed.\n\nExit code 0 when the rotation is finished or there was a step to do, 1 when keys still depend on the pepper before.\n\nExamples:\n  keygate pepper rotate\n  keygate pepper rotate --remote --new pepper.new"
    )]
    Rotate(PepperRotateArgs),
    /// Give imported keys whose digests have no pepper keyed digests
    #[command(
        after_help = "Earlier versions stored an imported key as its plain SHA-256. Deploy the gate first: an older one answers 503 to a keyed digest of an imported key.\n\nExamples:\n  keygate pepper apply --dry-run\n  keygate pepper apply --remote"
    )]
    Apply(PepperApplyArgs),
}

#[derive(Args, Debug)]
pub(crate) struct PepperApplyArgs {
    /// Write nothing; name the keys
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) pepper: PepperArgs,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

#[derive(Args, Debug)]
pub(crate) struct PepperStatusArgs {
    #[command(flatten)]
    pub(crate) pepper: PepperArgs,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

#[derive(Args, Debug)]
pub(crate) struct PepperRotateArgs {
    /// The new file, for your eyes alone, that the new pepper is written to
    #[arg(long, value_name = "FILE", requires = "remote")]
    pub(crate) new: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) pepper: PepperArgs,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}
