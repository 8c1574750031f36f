//! The command line.

mod bulk;
mod change;
mod fields;
mod list;
mod pepper;
mod rotate;

pub(crate) use bulk::{ExportArgs, ImportArgs, ImportFormat};
pub(crate) use change::{ChangeArgs, Clearable, GuardArgs, UpdateArgs};
pub(crate) use fields::FieldArgs;
pub(crate) use list::ListArgs;
pub(crate) use pepper::{PepperApplyArgs, PepperCommand, PepperGroup, PepperRotateArgs, PepperStatusArgs};
pub(crate) use rotate::{RotateArgs, ToArgs};

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::time::When;

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
    /// Make a pepper, the gate's secret PEPPER; or see to its rotation
    #[command(
        args_conflicts_with_subcommands = true,
        after_help = "Example:\n  echo \"PEPPER=$(keygate pepper)\" >> .dev.vars\n  keygate pepper status --remote"
    )]
    Pepper(PepperGroup),
    /// Make a key, write its record, print the key once
    #[command(
        after_help = "The record is written before the key is printed: a printed key works. Without --expires it has no end, without --ip it may be used from anywhere.\n\nExamples:\n  keygate issue --subject acme --name \"Acme production\" --scope reports:read --expires 90d\n  keygate issue --remote --subject acme --ip 203.0.113.0/24 --expires 2027-01-31\n  keygate issue --subject acme --to file:/run/keys/acme --remote\n  keygate issue --subject old-client --import-stdin < foreign-key"
    )]
    Issue(IssueArgs),
    /// List keys
    #[command(
        after_help = "Reads the entries' metadata alone, not the records. With --json: one object a line. An entry whose metadata does not say what a filter asks for is listed.\n\nExamples:\n  keygate list --subject acme --state active\n  keygate list --remote --expiring 14d --json"
    )]
    List(ListArgs),
    /// Show a key's record, and what it amounts to now
    #[command(after_help = "Example:\n  keygate show 4fTz0Qw9Lr2K")]
    Show(ShowArgs),
    /// Make a key that takes another's place, and give the old one its end
    #[command(after_help = rotate::HELP)]
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
        after_help = "A list that is given replaces the whole list; notes that are not named stay.\n\nTwo operators: the entry is read right before it is written, and --if-rev refuses when somebody wrote it since you looked. KV has no compare-and-set: of two writes within the same moment, or within the minute or more in which KV shows an earlier entry elsewhere, the later one wins. KEYGATE_OPERATOR, where set, is stored as who wrote the entry.\n\nExamples:\n  keygate update 4fTz0Qw9Lr2K --scope reports:read --scope reports:write\n  keygate update 4fTz0Qw9Lr2K --clear ips --expires 30d"
    )]
    Update(UpdateArgs),
    /// Take in many keys of another system, or the records of an export
    #[command(
        after_help = "A plaintext key is digested and never stored. A key that is there already is left as it is: a second import changes nothing. Lines that cannot be taken are named by number, and the exit code is then 1; all others are taken.\n\nFormats:\n  keys    one key a line; a blank and its subject may follow\n  sha256  one SHA-256 a line, in hex or base64; a blank and its subject may follow\n  csv     a heading of field names: key or sha256, subject, name, scopes, ips, plan, state, created, not_before, not_after, meta.<name>; lists separated by blanks\n  jsonl   one object a line: those fields, or a record as `keygate export` writes it\n  kong    Kong's declarative file: consumers, keyauth_credentials; ACL groups become scopes\n  apisix  APISIX's declarative file, or ADC's: the key-auth of consumers and credentials\n\nExamples:\n  keygate import --format kong --dry-run kong.yaml\n  keygate import --format keys --subject acme --remote < keys.txt\n  keygate import --format jsonl --bulk-dir bulk export.jsonl"
    )]
    Import(ImportArgs),
    /// Write all records to standard output, one JSON object a line
    #[command(
        after_help = "Holds digests, never keys. `keygate import --format jsonl` makes the same records of it.\n\nExample:\n  keygate export --remote > records.jsonl"
    )]
    Export(ExportArgs),
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
    /// Look at wrangler.toml, the keys and (with --remote) the deployment, and say what is wrong with the remedy
    #[command(
        after_help = "Exit code 1 when there is an error; warnings do not count. With --remote the token also needs Workers Scripts: Read, Zone: Read, Workers Routes: Read and Cache Rules: Read; what it may not look at is named.\n\nExample:\n  keygate doctor --remote"
    )]
    Doctor(DoctorArgs),
    /// Print the completions of a shell
    #[command(
        after_help = "Example:\n  keygate completions bash > ~/.local/share/bash-completion/completions/keygate"
    )]
    Completions(CompletionsArgs),
    /// Write the man pages into a folder
    #[command(after_help = "Example:\n  keygate man ~/.local/share/man/man1")]
    Man(ManArgs),
}

/// Which store a command works on.
#[derive(Args, Debug, Default)]
pub(crate) struct StoreArgs {
    /// Work on the local KV of `wrangler dev` (the default)
    #[arg(long, conflicts_with = "remote")]
    pub(crate) local: bool,
    /// Work on the deployed KV namespace, with the API token in `CLOUDFLARE_API_TOKEN`
    #[arg(long)]
    pub(crate) remote: bool,
    /// The Cloudflare account [default: wrangler.toml's `account_id`, then the variable `CLOUDFLARE_ACCOUNT_ID`]
    #[arg(long, value_name = "ID", requires = "remote")]
    pub(crate) account: Option<String>,
    /// The KV namespace [default: the one that wrangler.toml binds as KEYS]
    #[arg(long, value_name = "ID", requires = "remote")]
    pub(crate) namespace: Option<String>,
    /// The folder of the local KV, as given to `wrangler dev`
    #[arg(long, value_name = "DIR", conflicts_with = "remote")]
    pub(crate) persist_to: Option<PathBuf>,
}

/// Where the pepper is. Default: `KEYGATE_PEPPER`, `KEYGATE_PEPPER_FROM`, then (local only) .dev.vars.
#[derive(Args, Debug, Default)]
pub(crate) struct PepperArgs {
    /// Read the pepper from a file [default: the variable `KEYGATE_PEPPER`; without --remote also .dev.vars]
    #[arg(long, value_name = "FILE", conflicts_with = "pepper_from")]
    pub(crate) pepper_file: Option<PathBuf>,
    /// Read the pepper from `vault:MOUNT/PATH#FIELD`, `aws:NAME`, `azure:VAULT/NAME`, `exec:COMMAND`, `file:PATH` or `env:NAME` [default: the variable `KEYGATE_PEPPER_FROM`]
    #[arg(long, value_name = "URI")]
    pub(crate) pepper_from: Option<String>,
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
    #[command(flatten)]
    pub(crate) fields: FieldArgs,
    /// When the key begins to be good; written like --expires
    #[arg(long, value_name = "WHEN")]
    pub(crate) not_before: Option<When>,
    /// Take a key that another system issued from standard input, instead of making one
    ///
    /// It is digested, never stored or printed; its clients keep it. The gate needs `IMPORTED_KEYS = true`.
    #[arg(long, conflicts_with_all = ["key_out", "pepper_file", "pepper_from", "to"])]
    pub(crate) import_stdin: bool,
    /// Over whatever the places of --to hold already
    #[arg(long, requires = "to")]
    pub(crate) overwrite: bool,
    #[command(flatten)]
    pub(crate) to: ToArgs,
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
pub(crate) struct ShowArgs {
    /// The key's id: the 12 characters after the prefix
    // A String, here and below: clap would repeat a whole key that is given in its place.
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
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
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

#[derive(Args, Debug)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

#[derive(Args, Debug)]
pub(crate) struct ManArgs {
    /// The folder; it is made when it is not there
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
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
    use clap::{CommandFactory as _, Parser as _};

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

    /// The words of a line as a shell would make them, up to what the shell does with the command. Quotes have no escapes.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
        for c in line.chars().chain([' ']) {
            match (quote, c) {
                (Some(open), c) if open == c => quote = None,
                (None, '\'' | '"') => {
                    quote = Some(c);
                    word.get_or_insert_default();
                }
                (None, '|' | '<' | '>' | ';' | '&') => break,
                (None, ' ') => words.extend(word.take()),
                (_, c) => word.get_or_insert_default().push(c),
            }
        }
        assert_eq!(quote, None, "{line}");
        words
    }

    #[test]
    fn every_command_of_the_runbooks_is_one_that_is_read() {
        let text = include_str!("../../../docs/operations.md");
        let mut inside = false;
        let mut read = 0;
        for line in text.lines().map(str::trim) {
            if line.starts_with("```") {
                inside = line == "```sh";
            } else if inside && line.starts_with("keygate ") {
                let parsed = Cli::try_parse_from(words(line));
                assert!(parsed.is_ok(), "{line}\n{}", parsed.unwrap_err());
                read += 1;
            } else if inside {
                let first = words(line).into_iter().next();
                let known = ["wrangler", "printf", "echo", "export"];
                assert!(known.iter().any(|known| first.as_deref() == Some(known)), "{line}");
            }
        }
        assert!(read > 20, "{read}");
    }
}
