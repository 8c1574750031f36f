//! What a new gate is to be: from the options, from questions, and by default.

use std::io::{BufRead, Write};

use keygate_core::policy::origin::{Origin, OriginError};
use keygate_core::policy::{Policy, PolicyErrors};
use serde_json::{Value, json};

use crate::commands::init::InitArgs;
use crate::error::{Error, Outcome};
use crate::output::printable;

/// The control Worker's name is the gate's with `-control`, and a label of a host name has at most 63 characters.
const NAME_MAX_LEN: usize = 55;
const DEFAULT_CREDENTIALS: [&str; 2] = ["bearer", "header:x-api-key"];

/// What the gate is to be. Core accepts all of it.
#[derive(Debug)]
pub(super) struct Answers {
    pub(super) name: String,
    pub(super) origin: String,
    pub(super) prefix: String,
    pub(super) credentials: Vec<String>,
    pub(super) domain: Option<String>,
}

/// Puts questions to whoever is at the terminal.
pub(super) struct Asker<R, W> {
    input: R,
    output: W,
}

impl Answers {
    /// Takes what the options say, asks for the rest, and takes defaults where nobody is asked. `folder` is the folder's name.
    ///
    /// # Errors
    /// An option is refused, or something is missing that has no default.
    pub(super) fn of<R: BufRead, W: Write>(
        args: &InitArgs,
        folder: &str,
        mut asker: Option<Asker<R, W>>,
    ) -> Outcome<Self> {
        let name = match &args.name {
            Some(name) => checked("--name", name.clone(), name_problem)?,
            None => default_name(folder).ok_or_else(|| {
                Error::usage(
                    "the folder's name has no letter or digit, so it gives the gate no name",
                    "give `--name NAME`",
                )
            })?,
        };
        let domain = args.domain.clone().map(|host| checked("--domain", host, domain_problem)).transpose()?;
        let mut answer = |option, given: Option<&String>, question, default: Option<&str>, problem| match (
            given, &mut asker,
        ) {
            (Some(given), _) => checked(option, given.clone(), problem),
            (None, Some(asker)) => asker.ask(question, default, option, problem),
            (None, None) => default.map(str::to_owned).ok_or_else(|| {
                Error::usage(format!("{option} is missing"), format!("give `{option}`: {question}"))
            }),
        };
        let origin = answer(
            "--origin",
            args.origin.as_ref(),
            "the URL of the API behind the gate, such as https://api.example.com, or http://127.0.0.1:5000 on this machine",
            None,
            origin_problem,
        )?;
        let prefix = name.replace('-', "_");
        let default_prefix = Some(prefix.as_str()).filter(|prefix| prefix_problem(prefix).is_none());
        let prefix = answer(
            "--prefix",
            args.prefix.as_ref(),
            "what every key begins with, such as acme_live",
            default_prefix,
            prefix_problem,
        )?;
        let given = (!args.credential.is_empty()).then(|| args.credential.join(" "));
        let credentials = answer(
            "--credential",
            given.as_ref(),
            "where a request may carry its key, separated by spaces: bearer, authorization, basic, header:NAME, query:NAME",
            Some(&DEFAULT_CREDENTIALS.join(" ")),
            credentials_problem,
        )?;
        let credentials = credentials.split_whitespace().map(str::to_owned).collect();
        Ok(Self { name, origin, prefix, credentials, domain })
    }

    /// The control Worker's name.
    pub(super) fn control(&self) -> String {
        format!("{}-control", self.name)
    }
}

impl<R: BufRead, W: Write> Asker<R, W> {
    pub(super) fn new(input: R, output: W) -> Self {
        Self { input, output }
    }

    /// Asks until there is an answer without a problem.
    ///
    /// # Errors
    /// There is no more answer.
    fn ask(
        &mut self,
        question: &str,
        default: Option<&str>,
        option: &str,
        problem: fn(&str) -> Option<String>,
    ) -> Outcome<String> {
        let suggestion = default.map(|default| format!(" [{default}]")).unwrap_or_default();
        loop {
            // Whoever cannot be asked gives no answer either.
            let _ = write!(self.output, "{question}{suggestion}: ").and_then(|()| self.output.flush());
            let mut line = String::new();
            if !matches!(self.input.read_line(&mut line), Ok(1..)) {
                let _ = writeln!(self.output);
                return Err(Error::usage("the question got no answer", format!("give `{option}`")));
            }
            let answer = match (line.trim(), default) {
                ("", Some(default)) => default,
                (answer, _) => answer,
            };
            match problem(answer) {
                None => return Ok(answer.to_owned()),
                Some(problem) => drop(writeln!(self.output, "  {}", printable(&problem))),
            }
        }
    }
}

fn checked(option: &str, value: String, problem: fn(&str) -> Option<String>) -> Outcome<String> {
    match problem(&value) {
        None => Ok(value),
        Some(problem) => Err(Error::usage(
            format!("{option}: {}", printable(&problem)),
            format!("give another {option}; `keygate init --help` shows examples"),
        )),
    }
}

/// The folder's name as a Worker's: what else stands in it becomes `-`.
fn default_name(folder: &str) -> Option<String> {
    let lower = folder.to_ascii_lowercase();
    let words: Vec<&str> =
        lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let mut name = words.join("-");
    name.truncate(NAME_MAX_LEN);
    let name = name.trim_end_matches('-');
    (!name.is_empty()).then(|| name.to_owned())
}

fn name_problem(name: &str) -> Option<String> {
    let is_name = (1..=NAME_MAX_LEN).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-');
    (!is_name).then(|| {
        format!("is not the name of a Worker: 1 to {NAME_MAX_LEN} characters of a-z, 0-9 and `-`, with no `-` at its ends")
    })
}

fn domain_problem(host: &str) -> Option<String> {
    let base = match Origin::parse(&format!("https://{host}"), false) {
        Ok(Origin::Url(url)) if !url.is_loopback() => url.base().to_owned(),
        _ => String::new(),
    };
    let is_name = base.strip_prefix("https://") == Some(host)
        && host.contains('.')
        && host.contains(|c: char| c.is_ascii_alphabetic())
        && !host.contains([':', '/']);
    (!is_name).then(|| {
        "is not a host name such as api.example.com, in lower case, without scheme, port and path".to_owned()
    })
}

fn origin_problem(origin: &str) -> Option<String> {
    if origin == "zone" || origin.starts_with("service:") {
        return Some("needs a route or a binding of your own; give a URL now, and set ORIGIN in wrangler.jsonc afterwards".to_owned());
    }
    match Origin::parse(origin, false) {
        Err(OriginError::Form) => Some(format!(
            "`{origin}` is not the URL of an API: `https://host[:port][/base]`, or `http://127.0.0.1:PORT` for an API on this machine"
        )),
        Err(OriginError::Http) => Some("is plain HTTP to another machine; give an https:// URL now, and set ORIGIN in .dev.vars afterwards, which holds on this machine alone".to_owned()),
        _ => policy_problem("ORIGIN", json!(origin)),
    }
}

fn prefix_problem(prefix: &str) -> Option<String> {
    policy_problem("KEY_PREFIX", json!(prefix))
}

fn credentials_problem(credentials: &str) -> Option<String> {
    policy_problem("CREDENTIALS", credentials.split_whitespace().collect())
}

/// What core says of a variable's value.
fn policy_problem(name: &str, value: Value) -> Option<String> {
    let mut vars = json!({"ORIGIN": "https://api.example.com", "KEY_PREFIX": "acme_live"});
    if let Some(vars) = vars.as_object_mut() {
        vars.insert(name.to_owned(), value);
    }
    let errors = Policy::from_json(&vars.to_string()).err();
    errors.as_ref().and_then(|errors: &PolicyErrors| Some(errors.iter().next()?.problem().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::{Answers, Asker, default_name};
    use crate::commands::init::InitArgs;
    use clap::{Args as _, Command, FromArgMatches as _};

    fn args(options: &str) -> InitArgs {
        let program = InitArgs::augment_args(Command::new("init"));
        let words = ["init", "folder"].into_iter().chain(options.split_whitespace());
        InitArgs::from_arg_matches(&program.get_matches_from(words)).unwrap()
    }

    /// What a person at a terminal gets, who types `typed`: the questions, and the answers or the error.
    fn asked(options: &str, typed: &str) -> (String, Result<Answers, String>) {
        let mut shown = Vec::new();
        let asker = Asker::new(typed.as_bytes(), &mut shown);
        let answers = Answers::of(&args(options), "my-gate", Some(asker)).map_err(|error| error.to_string());
        (String::from_utf8(shown).unwrap(), answers)
    }

    fn unasked(options: &str, folder: &str) -> Result<Answers, String> {
        Answers::of(&args(options), folder, None::<Asker<&[u8], Vec<u8>>>).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_missing_is_asked_for() {
        const URL: &str = "https://api.example.com";
        for (options, typed, questions, prefix, credentials) in [
            ("", "https://api.example.com\n\n\n", 3, "my_gate", "bearer header:x-api-key"),
            (
                "",
                " https://api.example.com \nacme_live\nbasic query:key\n",
                3,
                "acme_live",
                "basic query:key",
            ),
            ("--prefix acme", "https://api.example.com\n\n", 2, "acme", "bearer header:x-api-key"),
            ("--credential basic", "https://api.example.com\n\n", 2, "my_gate", "basic"),
            ("--origin https://api.example.com --prefix acme --credential bearer", "", 0, "acme", "bearer"),
            (
                "--name other-gate",
                "https://api.example.com\n\n\n",
                3,
                "other_gate",
                "bearer header:x-api-key",
            ),
            // Wrong answers are asked for again.
            (
                "",
                "ftp://x\n\nhttps://api.example.com\nAcme\n\nheader:Host\n\n",
                7,
                "my_gate",
                "bearer header:x-api-key",
            ),
        ] {
            let (shown, answers) = asked(options, typed);
            let answers = answers.unwrap();
            assert_eq!(
                shown.matches("such as").count() + shown.matches("separated by spaces").count(),
                questions,
                "{shown}"
            );
            assert_eq!(answers.origin, URL);
            assert_eq!(answers.prefix, prefix);
            assert_eq!(answers.credentials.join(" "), credentials);
        }
        let (_, answers) = asked("", "https://api.example.com\n");
        assert!(answers.unwrap_err().contains("give `--prefix`"));
    }

    #[test]
    fn a_refused_option_is_named_with_what_is_allowed() {
        for (options, folder, said) in [
            ("", "my-gate", "--origin is missing"),
            (
                "--origin api.example.com",
                "my-gate",
                "--origin: `api.example.com` is not the URL of an API: `https://host[:port][/base]`, or `http://127.0.0.1:PORT`",
            ),
            ("--origin localhost:5000", "my-gate", "--origin: `localhost:5000` is not the URL of an API"),
            (
                "--origin http://api.example.com",
                "my-gate",
                "--origin: is plain HTTP to another machine; give an https:// URL now, and set ORIGIN in .dev.vars",
            ),
            ("--origin zone", "my-gate", "--origin: needs a route"),
            ("--origin service:API", "my-gate", "set ORIGIN in wrangler.jsonc afterwards"),
            (
                "--origin https://a.example --prefix Acme",
                "my-gate",
                "--prefix: `Acme` is not a key prefix: 2 to 24",
            ),
            ("--origin https://a.example", "2fast", "--prefix is missing"),
            ("--origin https://a.example", "...", "give `--name NAME`"),
            (
                "--origin https://a.example --credential cookie",
                "my-gate",
                "--credential: `cookie` is not a credential source",
            ),
            ("--origin https://a.example --name My_Gate", "my-gate", "--name: is not the name of a Worker"),
            ("--origin https://a.example --name=-gate", "my-gate", "--name: is not the name of a Worker"),
            (
                "--origin https://a.example --domain https://api.example.com",
                "my-gate",
                "--domain: is not a host name",
            ),
            (
                "--origin https://a.example --domain api.example.com/v1",
                "my-gate",
                "--domain: is not a host name",
            ),
            (
                "--origin https://a.example --domain api.example.com:8443",
                "my-gate",
                "--domain: is not a host name",
            ),
            (
                "--origin https://a.example --domain API.example.com",
                "my-gate",
                "--domain: is not a host name such as api.example.com, in lower case",
            ),
            ("--origin https://a.example --domain *.example.com", "my-gate", "--domain: is not a host name"),
            ("--origin https://a.example --domain localhost", "my-gate", "--domain: is not a host name"),
            ("--origin https://a.example --domain 192.0.2.1", "my-gate", "--domain: is not a host name"),
        ] {
            let error = unasked(options, folder).unwrap_err();
            assert!(error.contains(said), "{options}: {error}");
        }
    }

    #[test]
    fn a_gate_has_the_name_of_its_folder() {
        let (long, cut) = ("a".repeat(70), "a".repeat(55));
        for (folder, name) in [
            ("my-gate", Some("my-gate")),
            ("My Gate", Some("my-gate")),
            ("acme_live.v2", Some("acme-live-v2")),
            ("--x--", Some("x")),
            ("", None),
            ("___", None),
            (long.as_str(), Some(&cut)),
        ] {
            assert_eq!(default_name(folder).as_deref(), name, "{folder}");
        }
    }
}
