//! Where a command takes peppers from. Never from its arguments: those stand in process lists and shell histories.

use std::env;
use std::fs;

use keygate_core::pepper::Pepper;
use zeroize::Zeroizing;

use crate::args::PepperArgs;
use crate::dev_vars::DevVars;
use crate::fault::{Fault, Outcome};
use crate::places::{self, PlaceUri};
use crate::wrangler_toml::WranglerToml;

/// The variables of the environment that hold the peppers, current and previous.
pub(crate) const PEPPER_VARIABLE: &str = "KEYGATE_PEPPER";
/// As [`PEPPER_VARIABLE`], for the pepper before.
pub(crate) const PREVIOUS_VARIABLE: &str = "KEYGATE_PEPPER_PREVIOUS";
/// The variables that name the places of the peppers; they hold no secret.
const FROM_VARIABLE: &str = "KEYGATE_PEPPER_FROM";
const PREVIOUS_FROM_VARIABLE: &str = "KEYGATE_PEPPER_PREVIOUS_FROM";

/// The texts of the gate's peppers, and where they were found.
// Absent on purpose: Debug.
pub(crate) struct PepperTexts {
    pub(crate) current: Zeroizing<String>,
    pub(crate) previous: Option<Zeroizing<String>>,
    pub(crate) source: String,
}

/// The pepper that new keys are made with.
#[derive(Debug)]
pub(crate) struct FoundPepper {
    pub(crate) pepper: Pepper,
    pub(crate) source: String,
    /// The local gate will use another pepper, by its `.dev.vars`.
    pub(crate) not_the_local_one: bool,
}

/// Reads the pepper from where the options say, else `KEYGATE_PEPPER`, else the place that `KEYGATE_PEPPER_FROM` names, else
/// (for the local gate alone) `.dev.vars`.
///
/// # Errors
/// There is none, or what there is cannot be a pepper. The text is never repeated.
pub(crate) fn pepper(args: &PepperArgs, config: &WranglerToml, remote: bool) -> Outcome<FoundPepper> {
    let PepperTexts { current, source, .. } = pepper_texts(args, config, remote)?;
    let pepper = Pepper::parse(&current).map_err(|e| {
        Fault::failed(
            format!("the pepper from {source} {e}"),
            "use the text that the gate has as its secret PEPPER, whole and unchanged",
        )
    })?;
    let local = if remote { None } else { DevVars::read(config.folder(), config.environment())? };
    let local = local.and_then(|file| Pepper::parse(file.value("PEPPER")?).ok());
    Ok(FoundPepper {
        not_the_local_one: local.is_some_and(|local| local.id() != pepper.id()),
        pepper,
        source,
    })
}

/// As [`pepper`], and the pepper before; not parsed yet.
///
/// # Errors
/// There is no current one.
pub(crate) fn pepper_texts(args: &PepperArgs, config: &WranglerToml, remote: bool) -> Outcome<PepperTexts> {
    let previous = match one_of(PREVIOUS_VARIABLE, PREVIOUS_FROM_VARIABLE)? {
        Some(Named::Text(text)) => Some(text),
        Some(Named::Place(uri)) => Some(held(&uri, PREVIOUS_FROM_VARIABLE)?),
        None => None,
    };
    if let Some(uri) = &args.pepper_from {
        return Ok(PepperTexts { current: held(uri, "--pepper-from")?, previous, source: uri.clone() });
    }
    if let Some(file) = &args.pepper_file {
        let text = fs::read_to_string(file).map_err(|e| {
            Fault::failed(
                format!("cannot read the pepper file {}: {e}", file.display()),
                "name a readable file that holds the pepper alone",
            )
        })?;
        return Ok(PepperTexts {
            current: Zeroizing::new(text),
            previous,
            source: file.display().to_string(),
        });
    }
    match one_of(PEPPER_VARIABLE, FROM_VARIABLE)? {
        Some(Named::Text(current)) => {
            return Ok(PepperTexts { current, previous, source: PEPPER_VARIABLE.to_owned() });
        }
        Some(Named::Place(uri)) => {
            return Ok(PepperTexts { current: held(&uri, FROM_VARIABLE)?, previous, source: uri });
        }
        None => {}
    }
    if remote {
        // Not .dev.vars, because a key made with the local pepper is dead at the deployed gate.
        return Err(Fault::usage(
            "there is no pepper for the deployed gate",
            format!(
                "set {PEPPER_VARIABLE}, or give `--pepper-file FILE` or `--pepper-from URI`, with the text that the gate has as its secret PEPPER; .dev.vars is read for the local gate alone"
            ),
        ));
    }
    let file = DevVars::read(config.folder(), config.environment())?;
    let found = file.as_ref().and_then(|file| Some((file, file.value("PEPPER")?)));
    let Some((file, current)) = found else {
        return Err(Fault::failed(
            format!("there is no PEPPER in .dev.vars beside {}", config.name()),
            format!(
                "write `PEPPER=` and what `keygate pepper` prints into that file, or set {PEPPER_VARIABLE}, or give `--pepper-file FILE` or `--pepper-from URI`"
            ),
        ));
    };
    let owned = |text: &str| Zeroizing::new(text.to_owned());
    Ok(PepperTexts {
        current: owned(current),
        previous: previous.or_else(|| file.value("PEPPER_PREVIOUS").map(owned)),
        source: file.name().to_owned(),
    })
}

/// What two variables say about one pepper.
enum Named {
    Text(Zeroizing<String>),
    Place(String),
}

/// # Errors
/// Both are set: the wrong one of two peppers makes keys that no gate takes.
fn one_of(text: &str, place: &str) -> Outcome<Option<Named>> {
    match (variable(text)?, variable(place)?) {
        (Some(_), Some(_)) => {
            Err(Fault::usage(format!("{text} and {place} are both set"), "unset the one that is not meant"))
        }
        (Some(text), None) => Ok(Some(Named::Text(text))),
        (None, Some(uri)) => Ok(Some(Named::Place(uri.as_str().to_owned()))),
        (None, None) => Ok(None),
    }
}

/// What the place holds; `named_by` is the option or variable that names it.
fn held(uri: &str, named_by: &str) -> Outcome<Zeroizing<String>> {
    let uri = PlaceUri::parse(uri)
        .map_err(|fault| Fault::usage(format!("{named_by}: {}", fault.problem()), fault.remedy()))?;
    places::open(&uri)?.look()?.text.ok_or_else(|| {
        Fault::failed(
            format!("{uri} holds nothing"),
            "put the text there that the gate has as its secret, whole and unchanged",
        )
    })
}

/// A variable of the environment; an empty one is none, as an unset secret of a CI job is.
fn variable(name: &str) -> Outcome<Option<Zeroizing<String>>> {
    match env::var(name) {
        Ok(text) if text.is_empty() => Ok(None),
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err(Fault::usage(
            format!("{name} is not UTF-8 text"),
            "use the text that the gate has as its secret, whole and unchanged",
        )),
    }
}
