//! Where a command takes peppers from. Never from its arguments: those stand in process lists and shell histories.

use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use keygate_core::key::pepper::{Pepper, Peppers};
use keygate_delivery::{CommandEnvironment, StoreUri};
use zeroize::Zeroizing;

use crate::args::PepperArgs;
use crate::dev_vars::DevVars;
use crate::error::{Error, Outcome};
use crate::wrangler_config::WranglerConfig;

/// The variables of the environment that hold the peppers, current and previous.
pub(crate) const PEPPER_VARIABLE: &str = "KEYGATE_PEPPER";
/// As [`PEPPER_VARIABLE`], for the pepper before.
pub(crate) const PREVIOUS_VARIABLE: &str = "KEYGATE_PEPPER_PREVIOUS";
/// The variables that name the secret stores of the peppers; they hold no secret.
pub(crate) const FROM_VARIABLE: &str = "KEYGATE_PEPPER_FROM";
/// As [`FROM_VARIABLE`], for the pepper before.
pub(crate) const PREVIOUS_FROM_VARIABLE: &str = "KEYGATE_PEPPER_PREVIOUS_FROM";

/// The variable of the control Worker's admin key, and the one that names its secret store.
const ADMIN_KEY_VARIABLES: (&str, &str) = ("KEYGATE_ADMIN_KEY", "KEYGATE_ADMIN_KEY_FROM");

/// The variables that `env:` named as the secret store of a pepper or an admin key.
static NAMED_VARIABLES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Keeps the peppers and the admin key out of the environment of another program.
pub(crate) fn scrub(command: &mut Command) -> &mut Command {
    for name in secret_variables() {
        command.env_remove(name);
    }
    command
}

/// The environment of the commands that secret stores run: without the peppers and the admin key.
pub(crate) fn command_environment() -> CommandEnvironment {
    CommandEnvironment::without(secret_variables())
}

fn secret_variables() -> Vec<String> {
    let named = NAMED_VARIABLES.lock().unwrap_or_else(PoisonError::into_inner);
    let own = [PEPPER_VARIABLE, PREVIOUS_VARIABLE, ADMIN_KEY_VARIABLES.0];
    named.iter().map(String::as_str).chain(own).map(str::to_owned).collect()
}

/// The texts of the gate's peppers, and where they were found.
// Absent on purpose: Debug.
pub(crate) struct PepperTexts {
    pub(crate) current: Zeroizing<String>,
    pub(crate) previous: Option<Zeroizing<String>>,
    pub(crate) source: Source,
    /// Of the previous one.
    pub(crate) previous_source: Option<Source>,
}

/// The admin key of the control Worker; `None` where none is named.
///
/// # Errors
/// It cannot be read, or is no key.
pub(crate) fn admin_key() -> Outcome<Option<Zeroizing<String>>> {
    let Some((text, source)) = named(ADMIN_KEY_VARIABLES)? else {
        return Ok(None);
    };
    let key = Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned());
    if key.is_empty() || !key.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Error::usage(
            format!("the admin key from {source} holds a blank or another character that no key has"),
            "use the key as it was printed, without quotes, blanks or `Bearer`",
        ));
    }
    Ok(Some(key))
}

/// Where a pepper was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A file of its own.
    File(PathBuf),
    /// A variable of the environment.
    Variable(&'static str),
    /// The secret store of a URI, and the option or variable that named it.
    Store { uri: StoreUri, named_by: &'static str },
    /// A file of wrangler's, by its name, or the environment that wrangler is given.
    DevVars(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Variable(name) => name.fmt(f),
            Self::Store { uri, .. } => uri.fmt(f),
            Self::DevVars(name) => name.fmt(f),
        }
    }
}

/// The peppers that keys are known by.
#[derive(Debug)]
pub(crate) struct FoundPeppers {
    pub(crate) peppers: Peppers,
    pub(crate) source: Source,
    /// Of the previous one.
    pub(crate) previous_source: Option<Source>,
    /// The local gate has other peppers, by wrangler's local secrets.
    pub(crate) not_a_local_one: bool,
}

impl FoundPeppers {
    /// Which pepper new keys are made with, for messages.
    pub(crate) fn made_with(&self) -> String {
        format!("made with pepper {} from {}", self.peppers.current.id(), self.source)
    }
}

/// Reads the pepper from where the options say, else `KEYGATE_PEPPER`, else the secret store that `KEYGATE_PEPPER_FROM` names, else
/// (for the local gate alone) wrangler's local secrets. Where the pepper before is, and what it is, does not matter to a new key.
///
/// # Errors
/// There is none, or what there is cannot be a pepper. The text is never repeated.
pub(crate) fn pepper(args: &PepperArgs, config: &WranglerConfig, remote: bool) -> Outcome<FoundPeppers> {
    let (current, source) = current_text(args, config, remote)?;
    of_texts(PepperTexts { current, previous: None, source, previous_source: None }, config, remote)
}

/// Whether the local gate has other peppers, by wrangler's local secrets.
fn is_not_local(pepper: &Pepper, config: &WranglerConfig, remote: bool) -> Outcome<bool> {
    let local = if remote { None } else { DevVars::of(config)? };
    let has = |local: &DevVars, name| Some(local.value(name)?.parse::<Pepper>().ok()?.id() == pepper.id());
    Ok(local.is_some_and(|local| {
        has(&local, "PEPPER") == Some(false) && has(&local, "PEPPER_PREVIOUS") != Some(true)
    }))
}

/// As [`pepper`], and the pepper before.
///
/// # Errors
/// As [`pepper`], for either.
pub(crate) fn peppers(args: &PepperArgs, config: &WranglerConfig, remote: bool) -> Outcome<FoundPeppers> {
    of_texts(pepper_texts(args, config, remote)?, config, remote)
}

fn of_texts(texts: PepperTexts, config: &WranglerConfig, remote: bool) -> Outcome<FoundPeppers> {
    let PepperTexts { current, previous, source, previous_source } = texts;
    let previous = previous.zip(previous_source.as_ref());
    let previous = previous.map(|(text, source)| parsed(&text, "pepper before", source)).transpose()?;
    let peppers = Peppers { current: parsed(&current, "pepper", &source)?, previous };
    let not_a_local_one = is_not_local(&peppers.current, config, remote)?;
    Ok(FoundPeppers { peppers, source, previous_source, not_a_local_one })
}

fn parsed(text: &str, which: &str, source: &Source) -> Outcome<Pepper> {
    text.parse::<Pepper>().map_err(|e| {
        Error::failed(
            format!("the {which} from {source} {e}"),
            "use the text that the gate has as its secret, whole and unchanged",
        )
    })
}

/// As [`peppers`], not parsed yet.
///
/// # Errors
/// There is no current one, or a secret store cannot be read.
pub(crate) fn pepper_texts(args: &PepperArgs, config: &WranglerConfig, remote: bool) -> Outcome<PepperTexts> {
    let (current, source) = current_text(args, config, remote)?;
    let previous = match (named((PREVIOUS_VARIABLE, PREVIOUS_FROM_VARIABLE))?, &source) {
        (None, Source::DevVars(_)) => {
            let file = DevVars::of(config)?;
            file.and_then(|file| of_dev_vars(&file, "PEPPER_PREVIOUS"))
        }
        (named, _) => named,
    };
    let (previous, previous_source) = previous.unzip();
    Ok(PepperTexts { current, previous, source, previous_source })
}

/// The current one.
fn current_text(
    args: &PepperArgs,
    config: &WranglerConfig,
    remote: bool,
) -> Outcome<(Zeroizing<String>, Source)> {
    let current = match (&args.pepper_from, &args.pepper_file) {
        (Some(uri), _) => Some(held(uri, "--pepper-from")?),
        (None, Some(file)) => Some((of_file(file)?, Source::File(file.clone()))),
        (None, None) => named((PEPPER_VARIABLE, FROM_VARIABLE))?,
    };
    if let Some(current) = current {
        return Ok(current);
    }
    if remote {
        // Not .dev.vars, because a key made with the local pepper is dead at the deployed gate.
        return Err(Error::usage(
            "there is no pepper for the deployed gate",
            format!(
                "set {PEPPER_VARIABLE}, or give `--pepper-file FILE` or `--pepper-from URI`, with the text that the gate has as its secret PEPPER; .dev.vars and .env are read for the local gate alone"
            ),
        ));
    }
    let file = DevVars::of(config)?;
    file.and_then(|file| of_dev_vars(&file, "PEPPER")).ok_or_else(|| {
        Error::failed(
            format!("there is no PEPPER in .dev.vars or .env beside {}", config.name()),
            format!(
                "`keygate pepper init` makes one; or set {PEPPER_VARIABLE}, or give `--pepper-file FILE` or `--pepper-from URI`"
            ),
        )
    })
}

fn of_dev_vars(file: &DevVars, name: &str) -> Option<(Zeroizing<String>, Source)> {
    Some((Zeroizing::new(file.value(name)?.to_owned()), Source::DevVars(file.place(name))))
}

fn of_file(file: &Path) -> Outcome<Zeroizing<String>> {
    let text = fs::read_to_string(file).map(Zeroizing::new).map_err(|e| {
        Error::failed(
            format!("cannot read the pepper file {}: {e}", file.display()),
            "name a readable file that holds the pepper alone",
        )
    })?;
    match beside_pepper(&text) {
        None => Ok(text),
        Some(what) => Err(Error::failed(
            format!("the pepper file {} holds {what}", file.display()),
            format!(
                "leave the pepper alone in the file, as `keygate pepper` prints it; if the gate's secret itself has this, set {PEPPER_VARIABLE} to it"
            ),
        )),
    }
}

/// What a file holds besides a pepper: the gate takes all of it for the secret, other programs do not.
fn beside_pepper(text: &str) -> Option<&'static str> {
    let text = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    let assigned = text.trim_start().strip_prefix("export ").unwrap_or(text).split_once(['=', ':']);
    if assigned.is_some_and(|(name, _)| name.trim().to_ascii_uppercase().ends_with("PEPPER")) {
        return Some("a name and a value");
    }
    if text.starts_with(['"', '\'', '`']) || text.ends_with(['"', '\'', '`', ';', ',']) {
        return Some("quotes or punctuation around the pepper");
    }
    if text.starts_with('\u{feff}') {
        return Some("a byte order mark");
    }
    (text.trim() != text).then_some("white space around the pepper")
}

/// What two variables say about one secret: the one holds its text, the other names its secret store.
///
/// # Errors
/// Both are set: the wrong one of two peppers makes keys that no gate takes.
fn named((text, place): (&'static str, &'static str)) -> Outcome<Option<(Zeroizing<String>, Source)>> {
    match (variable(text)?, variable(place)?) {
        (Some(_), Some(_)) => {
            Err(Error::usage(format!("{text} and {place} are both set"), "unset the one that is not meant"))
        }
        (Some(found), None) => Ok(Some((found, Source::Variable(text)))),
        (None, Some(uri)) => held(&uri, place).map(Some),
        (None, None) => Ok(None),
    }
}

/// What the secret store holds; `named_by` is the option or variable that names it.
fn held(uri: &str, named_by: &'static str) -> Outcome<(Zeroizing<String>, Source)> {
    let uri = StoreUri::parse(uri)
        .map_err(|error| Error::usage(format!("{named_by}: {}", error.problem()), error.remedy()))?;
    if let StoreUri::Env { name } = &uri {
        NAMED_VARIABLES.lock().unwrap_or_else(PoisonError::into_inner).push(name.clone());
    }
    let text = keygate_delivery::open(&uri, &command_environment())?.read()?.text.ok_or_else(|| {
        Error::failed(format!("{uri} holds nothing"), "put the text there, whole and unchanged")
    })?;
    Ok((text, Source::Store { uri, named_by }))
}

/// A variable of the environment; an empty one is none, as an unset secret of a CI job is.
fn variable(name: &str) -> Outcome<Option<Zeroizing<String>>> {
    match env::var(name) {
        Ok(text) if text.is_empty() => Ok(None),
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err(Error::usage(
            format!("{name} is not UTF-8 text"),
            "use the secret's text, whole and unchanged",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::beside_pepper;

    #[test]
    fn a_pepper_file_holds_the_pepper_alone() {
        const PEPPER: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEF+/=";
        for (text, what) in [
            (PEPPER.to_owned(), None),
            (format!("{PEPPER}\n"), None),
            (format!("{PEPPER}\r\n"), None),
            (format!("PEPPER={PEPPER}\n"), Some("a name and a value")),
            (format!("export KEYGATE_PEPPER=\"{PEPPER}\"\n"), Some("a name and a value")),
            (format!("pepper: {PEPPER}\n"), Some("a name and a value")),
            (format!("\"{PEPPER}\"\n"), Some("quotes or punctuation around the pepper")),
            (format!("'{PEPPER}'"), Some("quotes or punctuation around the pepper")),
            (format!("{PEPPER};\n"), Some("quotes or punctuation around the pepper")),
            (format!("{PEPPER} \n"), Some("white space around the pepper")),
            (format!("{PEPPER}\n\n"), Some("white space around the pepper")),
            (format!("\t{PEPPER}"), Some("white space around the pepper")),
            (format!("\u{feff}{PEPPER}"), Some("a byte order mark")),
        ] {
            assert_eq!(beside_pepper(&text), what, "{text:?}");
        }
    }
}
