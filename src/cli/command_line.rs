//! The command line: the program and its commands.

// The documents name the commands and URIs of every feature.
#[cfg(all(test, feature = "aws", feature = "azure", feature = "vault"))]
mod documents;

use clap::{Parser, Subcommand};

use crate::args::GateArgs;
use crate::commands::change::{ChangeArgs, UpdateArgs};
use crate::commands::check::CheckArgs;
use crate::commands::doctor::DoctorArgs;
use crate::commands::export::ExportArgs;
use crate::commands::import::ImportArgs;
use crate::commands::init::InitArgs;
use crate::commands::issue::IssueArgs;
use crate::commands::list::ListArgs;
use crate::commands::manual::{CompletionsArgs, ManArgs};
use crate::commands::pepper::PepperGroup;
use crate::commands::retire::RetireArgs;
use crate::commands::rotate::RotateArgs;
use crate::commands::scanner_rules::ScannerRulesArgs;
use crate::commands::show::ShowArgs;
use crate::commands::upgrade::UpgradeArgs;
use crate::commands::usage::UsageCommand;
use crate::commands::verify::VerifyArgs;

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

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(InitArgs),
    Pepper(PepperGroup),
    Issue(IssueArgs),
    List(ListArgs),
    Show(ShowArgs),
    Usage(UsageCommand),
    Rotate(RotateArgs),
    Retire(RetireArgs),
    /// Refuse a key for good
    #[command(after_help = "Example:\n  keygate revoke 4fTz0Qw9Lr2K --remote")]
    Revoke(ChangeArgs),
    /// Refuse a key until it is enabled again
    #[command(after_help = "Example:\n  keygate disable 4fTz0Qw9Lr2K")]
    Disable(ChangeArgs),
    /// Take a disabled key again
    #[command(after_help = "Example:\n  keygate enable 4fTz0Qw9Lr2K")]
    Enable(ChangeArgs),
    Update(UpdateArgs),
    Import(ImportArgs),
    Export(ExportArgs),
    Verify(VerifyArgs),
    Check(CheckArgs),
    Doctor(DoctorArgs),
    Upgrade(UpgradeArgs),
    ScannerRules(ScannerRulesArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_of_every_command_has_an_example() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains(&format!("keygate {}", command.get_name())), "{}", command.get_name());
        }
    }
}
