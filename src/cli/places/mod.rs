//! Places outside of the gate that keep one secret text: where a new key is delivered (`--to`), and where a pepper
//! is read from (`--pepper-from`).
//!
//! A place is named by a URI that holds no secret, so it may stand in arguments, messages and the journal.

#[cfg(feature = "aws")]
pub(crate) mod aws;
#[cfg(feature = "azure")]
mod azure;
mod local;
mod managers;
#[cfg(all(test, any(feature = "aws", feature = "vault")))]
mod stand_in;
mod template;
#[cfg(any(feature = "aws", feature = "azure"))]
mod transport;
#[cfg(feature = "vault")]
mod vault;

pub(crate) use template::{Holder, Template};

use std::fmt;
use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::fault::{Fault, Outcome};
use local::{EnvPlace, ExecPlace, FilePlace};

/// What names a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PlaceUri {
    /// `vault:MOUNT/PATH#FIELD`: one field of a secret in a KV v2 engine of HashiCorp Vault or OpenBao.
    Vault { mount: String, path: String, field: String },
    /// `aws:NAME`: a secret of AWS Secrets Manager, by name or ARN.
    Aws { secret: String },
    /// `azure:VAULT/NAME`: a secret of Azure Key Vault.
    Azure { vault: String, name: String },
    /// `exec:COMMAND`: a shell command; it is given the text on standard input, or asked for it on standard output.
    Exec { command: String },
    /// `file:PATH`: a file that only its owner can read.
    File { path: PathBuf },
    /// `env:NAME`: a variable of the environment; it can be read, not written.
    Env { name: String },
}

/// What a place holds now.
// Absent on purpose: Debug.
pub(crate) struct Held {
    /// The text; `None` where the place has none yet.
    pub(crate) text: Option<Zeroizing<String>>,
    /// Names the state that was seen, in the place's own terms; where there is one, [`Place::put`] replaces only it.
    pub(crate) revision: Option<String>,
}

/// Something that keeps one secret text.
pub(crate) trait Place {
    /// Reads what it holds.
    ///
    /// # Errors
    /// It cannot be reached, or does not allow reading. That there is nothing yet is no error.
    fn look(&self) -> Outcome<Held>;

    /// Finds out, as far as the place can tell without changing anything, that [`Place::put`] is allowed.
    ///
    /// # Errors
    /// It is not.
    fn check_writable(&self) -> Outcome<()>;

    /// Puts the text there, as what is read from now on, in the place of what was `seen`.
    ///
    /// # Errors
    /// Somebody changed it since (`conflict`), or writing failed. After a failure the outcome may be unknown: look again.
    fn put(&self, text: &str, seen: &Held) -> Outcome<()>;

    /// Whether what was put can be looked at. `exec:` cannot.
    fn can_look(&self) -> bool {
        true
    }
}

impl PlaceUri {
    /// Reads a URI as `--to` and `--pepper-from` take it.
    ///
    /// # Errors
    /// It is none of the known forms.
    pub(crate) fn parse(text: &str) -> Outcome<Self> {
        let (scheme, rest) = text.split_once(':').unwrap_or_default();
        let parsed = match scheme {
            "vault" => rest.split_once('#').and_then(|(place, field)| {
                let (mount, path) = place.split_once('/')?;
                let [mount, path, field] = [mount, path.trim_end_matches('/'), field].map(str::to_owned);
                let whole = [&mount, &path, &field].iter().all(|part| !part.is_empty());
                whole.then_some(Self::Vault { mount, path, field })
            }),
            "aws" => Some(Self::Aws { secret: rest.to_owned() }).filter(|_| !rest.is_empty()),
            "azure" => rest.split_once('/').and_then(|(vault, name)| {
                let whole = !vault.is_empty() && !name.is_empty() && !name.contains('/');
                whole.then(|| Self::Azure { vault: vault.to_owned(), name: name.to_owned() })
            }),
            "exec" => Some(Self::Exec { command: rest.to_owned() }).filter(|_| !rest.trim().is_empty()),
            "file" => Some(Self::File { path: rest.into() }).filter(|_| !rest.is_empty()),
            "env" => Some(Self::Env { name: rest.to_owned() }).filter(|_| !rest.is_empty()),
            _ => None,
        };
        // The text is not repeated: somebody may have put a key there.
        parsed.ok_or_else(|| {
            Fault::usage(
                "this names no place for a secret",
                "use vault:MOUNT/PATH#FIELD, aws:NAME, azure:VAULT/NAME, exec:COMMAND, file:PATH or env:NAME",
            )
        })
    }
}

impl fmt::Display for PlaceUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vault { mount, path, field } => write!(f, "vault:{mount}/{path}#{field}"),
            Self::Aws { secret } => write!(f, "aws:{secret}"),
            Self::Azure { vault, name } => write!(f, "azure:{vault}/{name}"),
            Self::Exec { command } => write!(f, "exec:{command}"),
            Self::File { path } => write!(f, "file:{}", path.display()),
            Self::Env { name } => write!(f, "env:{name}"),
        }
    }
}

/// The place that the URI names.
///
/// # Errors
/// What is needed to reach it is not there.
pub(crate) fn open(uri: &PlaceUri) -> Outcome<Box<dyn Place>> {
    opened(uri, Vec::new())
}

/// The place that the URI names, for the key of `holder`: a command finds them in its environment.
///
/// # Errors
/// As [`open`].
pub(crate) fn open_for(uri: &PlaceUri, holder: &Holder<'_>) -> Outcome<Box<dyn Place>> {
    opened(uri, holder.variables())
}

fn opened(uri: &PlaceUri, variables: Vec<(&'static str, String)>) -> Outcome<Box<dyn Place>> {
    match uri {
        PlaceUri::File { path } => Ok(Box::new(FilePlace::new(path.clone()))),
        PlaceUri::Exec { command } => Ok(Box::new(ExecPlace::new(command.clone(), variables))),
        PlaceUri::Env { name } => Ok(Box::new(EnvPlace::new(name.clone()))),
        PlaceUri::Vault { .. } | PlaceUri::Aws { .. } | PlaceUri::Azure { .. } => managers::open_manager(uri),
    }
}

#[cfg(test)]
mod tests {
    use super::PlaceUri;

    #[test]
    fn a_uri_is_written_as_it_was_read() {
        for text in [
            "vault:secret/apps/reports#api_key",
            "aws:prod/reports/key",
            "aws:arn:aws:secretsmanager:eu-central-1:123456789012:secret:reports-AbCdEf",
            "azure:my-vault/reports-key",
            "exec:op item edit reports credential=-",
            "file:/run/secrets/key",
            "env:REPORTS_KEY",
        ] {
            assert_eq!(PlaceUri::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_uri_is_refused_and_not_repeated() {
        for text in [
            "",
            "vault:",
            "vault:secret#f",
            "vault:secret/#f",
            "vault:secret/p",
            "vault:secret/p#",
            "vault:/p#f",
            "aws:",
            "azure:vault",
            "azure:vault/",
            "azure:/name",
            "azure:v/n/o",
            "exec: ",
            "file:",
            "env:",
            "gcp:projects/x",
            "acme_live_secret",
        ] {
            let fault = PlaceUri::parse(text).unwrap_err();
            assert_eq!(fault.exit_code(), 2, "{text}");
            assert!(!fault.to_string().contains("acme_live"), "{text}");
        }
    }
}
