//! The `keygate` command: issues, rotates and revokes the keys of a gate, and checks its policy.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking"))]

mod args;
mod bulk_files;
mod clock;
mod cloudflare;
mod command_line;
mod commands;
mod context;
mod control_config;
mod dev_vars;
mod dotenv;
mod entry;
mod error;
mod fields;
mod files;
mod findings;
mod gate_bindings;
mod import;
mod imported;
mod key_out;
mod key_records;
mod known_peppers;
mod local_kv;
mod node;
mod output;
#[cfg(test)]
mod output_schema;
mod progress;
mod revision;
mod secrets;
mod staleness;
mod static_keys;
mod store;
mod time;
mod usage_source;
mod wrangler_config;
mod wrangler_file;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};

use command_line::{Cli, Command};
use context::Context;
use error::{Error, Outcome};
use output::{Output, redact_typed};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) if !e.use_stderr() => e.exit(),
        Err(e) => {
            // Not clap's own exit: it repeats what was typed, and that may be a key.
            let said = match e.kind() {
                // The help repeats nothing.
                ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => e.render().to_string(),
                _ => redact_typed(&e.render().to_string()),
            };
            // Nothing was parsed that could tell; whoever reads JSON typed it.
            if std::env::args_os().any(|argument| argument == "--json") {
                Output::new(true).failure(&misuse(&said));
            } else {
                Output::new(false).note(said.trim_end());
            }
            return ExitCode::from(2);
        }
    };
    let out = Output::new(cli.gate.json);
    let outcome = run(cli);
    if let Some(difference) = clock::take_difference() {
        out.note(format_args!("warning: {difference}"));
    }
    match outcome {
        Ok(code) => code,
        Err(error) => {
            out.failure(&error);
            ExitCode::from(error::exit_code(&error))
        }
    }
}

/// clap's message as a error: its first paragraph is the problem.
fn misuse(said: &str) -> Error {
    let line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (problem, remedy) = said.split_once("\n\n").unwrap_or((said, "try '--help'"));
    Error::usage(line(problem.trim_start_matches("error: ")), line(remedy))
}

fn run(cli: Cli) -> Outcome<ExitCode> {
    let context = Context::new(cli.gate)?;
    match &cli.command {
        Command::Init(args) => commands::init::run(&context, args),
        Command::Pepper(args) => return commands::pepper::run(&context, args),
        Command::Completions(args) => commands::manual::completions(Cli::command(), args),
        Command::Man(args) => commands::manual::man(context.out, Cli::command(), args),
        Command::Issue(args) => commands::issue::run(&context, args),
        Command::List(args) => commands::list::run(&context, args),
        Command::Show(args) => commands::show::run(&context, args),
        Command::Usage(args) => commands::usage::run(&context, args),
        Command::Rotate(args) => commands::rotate::run(&context, args),
        Command::Retire(args) => commands::retire::run(&context, args),
        Command::Revoke(args) => commands::change::revoke(&context, args),
        Command::Disable(args) => commands::change::disable(&context, args),
        Command::Enable(args) => commands::change::enable(&context, args),
        Command::Update(args) => commands::change::update(&context, args),
        Command::Doctor(args) => return commands::doctor::run(&context, args),
        Command::ScannerRules(args) => commands::scanner_rules::run(&context, args),
        Command::Export(args) => return commands::export::run(&context, args),
        Command::Import(args) => return commands::import::run(&context, args),
        Command::Verify(args) => return commands::verify::run(&context, args),
        Command::Upgrade(args) => return commands::upgrade::run(&context, args),
        Command::Check(args) => return commands::check::run(&context, args),
    }?;
    Ok(ExitCode::SUCCESS)
}
