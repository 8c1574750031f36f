//! Where a command takes peppers from. Never from its arguments: those stand in process lists and shell histories.

use std::env;
use std::fs;
use std::path::Path;

use keygate_core::pepper::Pepper;
use zeroize::Zeroizing;

use crate::dev_vars::DevVars;
use crate::fault::{Fault, Outcome};
use crate::wrangler_toml::WranglerToml;

/// The variables of the environment that hold the peppers, current and previous.
pub(crate) const PEPPER_VARIABLE: &str = "KEYGATE_PEPPER";
/// As [`PEPPER_VARIABLE`], for the pepper before.
pub(crate) const PREVIOUS_VARIABLE: &str = "KEYGATE_PEPPER_PREVIOUS";

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
    /// The pepper before, where one is named.
    pub(crate) previous: Option<Pepper>,
    pub(crate) source: String,
    /// The local gate will use another pepper, by its `.dev.vars`.
    pub(crate) not_the_local_one: bool,
}

/// Reads the pepper from `file`, else `KEYGATE_PEPPER`, else (for the local gate alone) `.dev.vars`.
///
/// # Errors
/// There is none, or what there is cannot be a pepper. The text is never repeated.
pub(crate) fn pepper(file: Option<&Path>, config: &WranglerToml, remote: bool) -> Outcome<FoundPepper> {
    let PepperTexts { current, previous, source } = pepper_texts(file, config, remote)?;
    let parsed = |text: &str, which: &str| {
        Pepper::parse(text).map_err(|e| {
            Fault::failed(
                format!("the {which} {e}"),
                "use the text that the gate has as its secret, whole and unchanged",
            )
        })
    };
    let pepper = parsed(&current, &format!("pepper from {source}"))?;
    let previous = previous.map(|text| parsed(&text, "pepper before")).transpose()?;
    let local = if remote { None } else { DevVars::read(config.folder(), config.environment())? };
    let local = local.and_then(|file| Pepper::parse(file.value("PEPPER")?).ok());
    Ok(FoundPepper {
        not_the_local_one: local.is_some_and(|local| local.id() != pepper.id()),
        pepper,
        previous,
        source,
    })
}

/// As [`pepper`], and the pepper before; not parsed yet.
///
/// # Errors
/// There is no current one.
pub(crate) fn pepper_texts(file: Option<&Path>, config: &WranglerToml, remote: bool) -> Outcome<PepperTexts> {
    let previous = variable(PREVIOUS_VARIABLE)?;
    if let Some(file) = file {
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
    if let Some(current) = variable(PEPPER_VARIABLE)? {
        return Ok(PepperTexts { current, previous, source: PEPPER_VARIABLE.to_owned() });
    }
    if remote {
        // Not .dev.vars, because a key made with the local pepper is dead at the deployed gate.
        return Err(Fault::usage(
            "there is no pepper for the deployed gate",
            format!(
                "set {PEPPER_VARIABLE}, or give `--pepper-file FILE`, with the text that the gate has as its secret PEPPER; .dev.vars is read for the local gate alone"
            ),
        ));
    }
    let file = DevVars::read(config.folder(), config.environment())?;
    let found = file.as_ref().and_then(|file| Some((file, file.value("PEPPER")?)));
    let Some((file, current)) = found else {
        return Err(Fault::failed(
            format!("there is no PEPPER in .dev.vars beside {}", config.name()),
            format!(
                "write `PEPPER=` and what `keygate pepper` prints into that file, or set {PEPPER_VARIABLE}, or give `--pepper-file FILE`"
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
