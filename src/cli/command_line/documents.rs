//! The command lines in the documents: each is one that the tool accepts.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::vec::IntoIter;

use clap::{Command, CommandFactory as _, Parser as _};

use super::Cli;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// What wrangler has, as far as the documents use it.
const WRANGLER: [&[&str]; 8] = [
    &["deploy"],
    &["dev"],
    &["kv", "bulk", "put"],
    &["kv", "namespace", "create"],
    &["kv", "namespace", "list"],
    &["secret", "delete"],
    &["secret", "put"],
    &["whoami"],
];

/// Programs whose arguments are their own.
const OTHERS: [&str; 25] = [
    "aws",
    "az",
    "bao",
    "cat",
    "cd",
    "cloudflared",
    "curl",
    "cut",
    "deck",
    "detect-secrets",
    "echo",
    "export",
    "gh",
    "gitleaks",
    "kong",
    "kubectl",
    "node",
    "openssl",
    "printf",
    "psql",
    "python3",
    "sed",
    "sqlite3",
    "trufflehog",
    "umask",
];

#[test]
fn every_command_in_a_document_is_accepted() {
    let tasks = xtask_subcommands();
    let mut checked = 0;
    for (path, text) in documents() {
        for line in shell_lines(&path, &text) {
            for words in simple_commands(&line) {
                let outcome = check(&words, &tasks);
                assert!(outcome.is_ok(), "{}: {line}\n{}", path.display(), outcome.unwrap_err());
                checked += 1;
            }
        }
    }
    assert!(checked > 60, "{checked} commands");
}

#[test]
fn every_command_named_in_prose_exists_with_its_options() {
    let tasks = xtask_subcommands();
    let cli = Cli::command();
    let mut checked = 0;
    for (path, text) in documents() {
        for span in code_spans(&text) {
            let mut words = span.split_whitespace();
            let outcome = match (words.next(), words.next()) {
                (Some("cargo"), Some("xtask")) => check_task(words.next(), &tasks),
                (Some("npm"), Some("run")) => check_npm(&span.split_whitespace().skip(1).collect::<Vec<_>>()),
                (Some("npx"), Some("keygate" | "keygate@latest")) => check_options(&cli, words),
                (Some("keygate"), Some(_)) => check_options(&cli, span.split_whitespace().skip(1)),
                (Some(name), Some(option))
                    if option.starts_with("--") && cli.find_subcommand(name).is_some() =>
                {
                    check_options(&cli, span.split_whitespace())
                }
                _ => continue,
            };
            assert!(outcome.is_ok(), "{}: `{span}`\n{}", path.display(), outcome.unwrap_err());
            checked += 1;
        }
    }
    assert!(checked > 30, "{checked} commands");
}

#[test]
fn the_page_of_the_command_line_has_every_command() {
    let page = fs::read_to_string(Path::new(ROOT).join("docs/cli.md")).unwrap();
    let headings: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let mut names = Vec::new();
    name_all(&Cli::command(), "", &mut names);
    assert_eq!(headings, names);
    for name in names {
        assert!(page.contains(&format!("\n## {name}\n\n```console\n$ {name} --help\n")), "{name}");
    }
}

fn name_all(command: &Command, above: &str, names: &mut Vec<String>) {
    let name = format!("{above}{}", command.get_name());
    names.push(name.clone());
    command.get_subcommands().for_each(|below| name_all(below, &format!("{name} "), names));
}

#[test]
fn misspelt_commands_are_found() {
    let tasks = xtask_subcommands();
    for line in [
        "keygate isue --subject acme",
        "keygate issue --subjekt acme",
        "keygate issue",
        "keygate rotate ID --print --key-out",
        "cargo run -q -p keygate-cli -- list --subjct acme",
        "cargo xtask tset",
        "wrangler secrets put PEPPER",
        "wrangler kv namespace make KEYS",
        "npm exec wrangler -- deploy",
        "npx wrangler deplyo",
        "npx keygate isue --subject acme",
        "npx keygate@latest upgrad",
        "npx keygate@latest isue --subject acme",
        "npm create keygate@latest",
        "npm create keygate@latest my-gate -- --orign https://api.example.com",
        "npm run depoly",
        "keygate pepper | wrangler secret set PEPPER",
        "echo \"$(keygate peper)\"",
        "true",
    ] {
        assert!(simple_commands(line).iter().any(|words| check(words, &tasks).is_err()), "{line}");
    }
    let cli = Cli::command();
    for span in ["rotate --too", "pepper statsu", "pepper status --remot", "list --grace"] {
        assert!(check_options(&cli, span.split_whitespace()).is_err(), "{span}");
    }
}

/// The Markdown files, with their paths from the root. The change log names what earlier versions had.
fn documents() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(ROOT)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            let name = entry.file_name().into_string().unwrap();
            if kind.is_dir()
                && !name.starts_with('.')
                && !["build", "dist", "node_modules", "target"].contains(&&*name)
            {
                folders.push(path);
            } else if kind.is_file()
                && path.extension().is_some_and(|end| end == "md")
                && name != "CHANGELOG.md"
            {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(ROOT).unwrap().to_owned(), text));
            }
        }
    }
    assert!(found.len() > 15, "{found:?}");
    found
}

/// The lines of the `sh` blocks; a line that ends with a backslash goes on.
fn shell_lines(path: &Path, text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut language = None;
    for line in text.lines() {
        let trimmed = line.trim();
        match (trimmed.strip_prefix("```"), language) {
            (Some(opened), None) => language = Some(opened),
            (Some(_), Some(_)) => language = None,
            (None, Some("sh")) => match lines.last_mut().filter(|last| last.ends_with('\\')) {
                Some(last) => {
                    last.pop();
                    last.push_str(trimmed);
                }
                None => lines.push(trimmed.to_owned()),
            },
            (None, _) => {
                let is_command =
                    ["keygate ", "wrangler ", "cargo xtask "].iter().any(|start| trimmed.starts_with(start));
                // The goldens' test runs what is a console.
                let is_code = (language.is_some() || line.starts_with("    ")) && language != Some("console");
                assert!(!(is_command && is_code), "{}: put it into a block of sh: {line}", path.display());
            }
        }
    }
    lines
}

/// The code spans outside of blocks.
fn code_spans(text: &str) -> Vec<String> {
    let outside = text.split("```").step_by(2).collect::<String>();
    outside.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The words of each command of a line, and of those in `(…)` and `$(…)`; variables stay as they are written, redirections are left out.
fn simple_commands(line: &str) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    let mut chars = line.chars().collect::<Vec<_>>().into_iter();
    read_commands(&mut chars, &mut commands);
    commands.retain(|words| !words.is_empty());
    commands
}

fn read_commands(chars: &mut IntoIter<char>, commands: &mut Vec<Vec<String>>) {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut is_target = false;
    loop {
        let next = chars.next();
        match (quote, next) {
            (Some(open), Some(c)) if c == open => quote = None,
            (None, Some(c @ ('\'' | '"'))) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None | Some('"'), Some('$')) if chars.as_slice().first() == Some(&'(') => {
                chars.next();
                word.get_or_insert_default().push_str("$(..)");
                read_commands(chars, commands);
            }
            (None, None | Some(' ' | '|' | ';' | '&' | '<' | '>' | ')')) => {
                if let Some(ended) = word.take() {
                    if !is_target {
                        words.push(ended);
                    }
                    is_target = false;
                }
                match next {
                    Some('|' | ';' | '&') => commands.push(std::mem::take(&mut words)),
                    Some('<' | '>') => is_target = true,
                    None | Some(')') => break,
                    Some(_) => {}
                }
            }
            (None, Some('(')) if word.is_none() => read_commands(chars, commands),
            (None, Some('#')) if word.is_none() => *chars = Vec::new().into_iter(),
            (_, Some(c)) => word.get_or_insert_default().push(c),
            (Some(open), None) => panic!("{open} is not closed"),
        }
    }
    commands.push(words);
}

fn check(words: &[String], tasks: &BTreeSet<String>) -> Result<(), String> {
    // Variables that are set for one command.
    let words: Vec<&str> = words.iter().map(String::as_str).skip_while(|word| is_assignment(word)).collect();
    match words.as_slice() {
        ["keygate", ..] => check_keygate(&words),
        ["cargo", "run", "-q", "-p", "keygate-cli", "--", arguments @ ..] => {
            check_keygate(&[&["keygate"], arguments].concat())
        }
        ["cargo", "xtask", task @ ..] => check_task(task.first().copied(), tasks),
        ["cargo", "install" | "test", ..] | ["tests/deep.sh", ..] | [] => Ok(()),
        ["npx", program, arguments @ ..] => {
            let program = program.strip_suffix("@latest").unwrap_or(program);
            let words = [&[program], arguments].concat();
            check(&words.into_iter().map(str::to_owned).collect::<Vec<_>>(), tasks)
        }
        ["npm", arguments @ ..] => check_npm(arguments),
        ["wrangler", arguments @ ..] => {
            let is_known = WRANGLER.iter().any(|known| arguments.starts_with(known));
            if is_known { Ok(()) } else { Err(format!("wrangler has no such command: {arguments:?}")) }
        }
        [program, ..] if OTHERS.contains(program) || program.starts_with(".venv/bin/") => Ok(()),
        [program, ..] => Err(format!("`{program}` is not known to this test")),
    }
}

/// npm's own commands, as far as the documents use them, and the scripts of a folder that `keygate init` makes.
fn check_npm(arguments: &[&str]) -> Result<(), String> {
    match arguments {
        // The package starts `keygate init` with the same arguments.
        ["create", "keygate@latest", arguments @ ..] => {
            let own = arguments.iter().filter(|argument| !["--", "--no-install"].contains(*argument));
            check_keygate(&["keygate", "init"].into_iter().chain(own.copied()).collect::<Vec<_>>())
        }
        ["run", script, ..] => {
            let package = include_str!("../commands/init/template/package.json");
            let is_script = package.contains(&format!("\"{script}\": \""));
            if is_script { Ok(()) } else { Err(format!("a folder has no script `{script}`")) }
        }
        ["ci" | "install", ..] => Ok(()),
        ["exec", ..] => Err("wrangler is written as `wrangler`".to_owned()),
        _ => Err(format!("npm {arguments:?} is not known to this test")),
    }
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'))
}

fn check_keygate(words: &[&str]) -> Result<(), String> {
    let words = words.iter().map(|word| with_id(word));
    Cli::try_parse_from(words).map(drop).map_err(|error| error.to_string())
}

/// An id in place of a word that stands for one: `ID`, `$KEY_ID`.
fn with_id(word: &str) -> &str {
    let stands_for_id = word == "ID" || word.starts_with('$') && word.ends_with("_ID");
    if stands_for_id { "4fTz0Qw9Lr2K" } else { word }
}

fn check_task(task: Option<&str>, tasks: &BTreeSet<String>) -> Result<(), String> {
    match task {
        Some("…") => Ok(()),
        Some(task) if tasks.contains(task) => Ok(()),
        _ => Err(format!("`cargo xtask` has only {tasks:?}")),
    }
}

/// Whether the words name a command, and options that it has. Values and ids are not looked at.
fn check_options<'w>(cli: &Command, words: impl Iterator<Item = &'w str>) -> Result<(), String> {
    let mut command = cli;
    for word in words {
        if let Some(name) = word.strip_prefix("--") {
            let mut options = cli.get_arguments().chain(command.get_arguments());
            if !options.any(|option| option.get_long() == Some(name)) && !["help", "version"].contains(&name)
            {
                return Err(format!("`{}` has no option `{word}`", command.get_name()));
            }
        } else if let Some(next) = command.find_subcommand(word) {
            command = next;
        } else if command.has_subcommands() {
            return Err(format!("`{}` has no command `{word}`", command.get_name()));
        }
    }
    Ok(())
}

/// The commands of xtask, from the names in its source.
fn xtask_subcommands() -> BTreeSet<String> {
    let source = fs::read_to_string(Path::new(ROOT).join("xtask/src/main.rs")).unwrap();
    let (_, after) = source.split_once("enum Task {\n").unwrap();
    let (body, _) = after.split_once("\n}").unwrap();
    let names = body.lines().map(str::trim).filter(|line| line.starts_with(char::is_uppercase));
    names.map(|line| line.split(|c: char| !c.is_alphanumeric()).next().unwrap().to_lowercase()).collect()
}
