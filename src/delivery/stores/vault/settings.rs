//! Where Vault or OpenBao is and who asks, from the variables that their own command lines read.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Certificate, Url};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::secure_address::may_carry_secrets;

/// As long as Vault's own client waits, halved: nobody looks at an empty terminal for a minute.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Where both command lines keep the token of `login`.
const TOKEN_FILE: &str = ".vault-token";

/// The server, and how to show who asks.
// Absent on purpose: Debug.
pub(super) struct Settings {
    pub(super) address: Url,
    /// The variable that names it.
    pub(super) named_by: String,
    pub(super) namespace: Option<String>,
    /// The only ones that are trusted, if any are named.
    pub(super) ca_certificates: Option<Vec<Certificate>>,
    pub(super) timeout: Duration,
    pub(super) identity: Identity,
}

/// Who asks.
// Absent on purpose: Debug.
pub(super) enum Identity {
    Token {
        token: Zeroizing<String>,
        source: String,
    },
    AppRole {
        /// Where the method is mounted, below `auth/`.
        mount: String,
        role_id: String,
        /// Empty for a role that asks for none.
        secret_id: Zeroizing<String>,
    },
}

/// Reads a variable by its name; an empty one is none.
pub(super) type Variable<'v> = &'v dyn Fn(&str) -> Option<String>;

impl Settings {
    /// # Errors
    /// A variable is missing or cannot be used.
    pub(super) fn from_environment() -> Result<Self> {
        Self::read(&|name| env::var(name).ok().filter(|text| !text.is_empty()))
    }

    pub(super) fn read(variable: Variable<'_>) -> Result<Self> {
        let (named_by, address) = either(variable, "ADDR").ok_or_else(|| {
            Error::usage(
                "the address of Vault is not known: VAULT_ADDR is not set",
                "set VAULT_ADDR (or BAO_ADDR) to the server's address, such as https://vault.example.com:8200",
            )
        })?;
        let url = address.parse::<Url>().ok().filter(|_| may_carry_secrets(&address));
        let address = url.ok_or_else(|| {
            Error::usage(
                format!("{named_by} is not an address that a token may be sent to"),
                "give an https:// URL without user, query and fragment (http:// to this machine alone)",
            )
        })?;
        Ok(Self {
            address,
            named_by,
            namespace: namespace(variable)?,
            ca_certificates: ca_certificates(variable)?,
            timeout: timeout(variable)?,
            identity: identity(variable)?,
        })
    }
}

/// `BAO_name`, else `VAULT_name`: OpenBao's own order. With the variable's whole name.
fn either(variable: Variable<'_>, name: &str) -> Option<(String, String)> {
    ["BAO", "VAULT"].into_iter().find_map(|program| {
        let name = format!("{program}_{name}");
        variable(&name).map(|text| (name, text))
    })
}

/// A text that may become a header.
fn visible(name: &str, text: String) -> Result<Zeroizing<String>> {
    let text = Zeroizing::new(text);
    if text.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(text);
    }
    Err(Error::usage(
        format!("{name} holds a blank or another character that does not belong there"),
        "use the text as it was shown, without quotes, blanks or line ends",
    ))
}

fn namespace(variable: Variable<'_>) -> Result<Option<String>> {
    let Some((name, text)) = either(variable, "NAMESPACE") else {
        return Ok(None);
    };
    Ok(Some(visible(&name, text)?.trim_matches('/').to_owned()))
}

impl Identity {
    /// Where the token is from, for messages.
    pub(super) fn source(&self) -> String {
        match self {
            Self::Token { source, .. } => source.clone(),
            Self::AppRole { mount, .. } => format!("the AppRole login at auth/{mount}"),
        }
    }
}

fn identity(variable: Variable<'_>) -> Result<Identity> {
    if let Some((source, token)) = either(variable, "TOKEN") {
        return Ok(Identity::Token { token: visible(&source, token)?, source });
    }
    if let Some((_, role_id)) = either(variable, "ROLE_ID") {
        let mount = either(variable, "APPROLE_PATH").map_or_else(|| "approle".to_owned(), |(_, path)| path);
        let secret_id = either(variable, "SECRET_ID").map(|(name, text)| visible(&name, text)).transpose()?;
        return Ok(Identity::AppRole {
            mount: mount.trim_matches('/').to_owned(),
            role_id,
            secret_id: secret_id.unwrap_or_default(),
        });
    }
    let file = variable("HOME").map(|home| PathBuf::from(home).join(TOKEN_FILE));
    let kept = file.as_ref().and_then(|file| fs::read_to_string(file).ok()).map(Zeroizing::new);
    match kept.as_ref().map(|text| text.trim()) {
        Some(token) if !token.is_empty() => {
            let source = format!("~/{TOKEN_FILE}");
            Ok(Identity::Token { token: visible(&source, token.to_owned())?, source })
        }
        _ => Err(Error::usage(
            "there is nothing to show Vault who asks",
            "set VAULT_TOKEN, or VAULT_ROLE_ID and VAULT_SECRET_ID for an AppRole, or run `vault login` (`bao login`)",
        )),
    }
}

fn ca_certificates(variable: Variable<'_>) -> Result<Option<Vec<Certificate>>> {
    let Some((name, file)) = either(variable, "CACERT") else {
        return Ok(None);
    };
    let bad = |what: String| {
        Error::usage(format!("{name} names {file}, {what}"), "name a readable PEM file of certificates")
    };
    let text = fs::read(&file).map_err(|e| bad(format!("which cannot be read: {e}")))?;
    let certificates = Certificate::from_pem_bundle(&text).unwrap_or_default();
    if certificates.is_empty() {
        return Err(bad("which holds no certificate".to_owned()));
    }
    Ok(Some(certificates))
}

/// Seconds, or Go's form with one unit.
fn timeout(variable: Variable<'_>) -> Result<Duration> {
    let Some((name, text)) = either(variable, "CLIENT_TIMEOUT") else {
        return Ok(CALL_TIMEOUT);
    };
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.strip_prefix(digits).and_then(|unit| match unit {
        "ms" => Some(1),
        "" | "s" => Some(1000),
        "m" => Some(60_000),
        _ => None,
    });
    let millis = unit.and_then(|unit| digits.parse::<u64>().ok()?.checked_mul(unit));
    millis.filter(|millis| *millis > 0).map(Duration::from_millis).ok_or_else(|| {
        Error::usage(format!("{name} is not a time"), "write it in seconds, or as 500ms, 30s or 2m")
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::time::Duration;

    use super::{Identity, Settings};
    use crate::error::Result;

    fn read(variables: &[(&str, &str)]) -> Result<Settings> {
        let variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
        Settings::read(&|name| variables.get(name).map(ToString::to_string))
    }

    const ADDRESS: (&str, &str) = ("VAULT_ADDR", "https://vault.example.com:8200/");

    #[test]
    fn the_variables_are_those_of_both_command_lines_and_openbaos_come_first() {
        let settings = read(&[
            ADDRESS,
            ("BAO_ADDR", "http://127.0.0.1:8200"),
            ("VAULT_NAMESPACE", "team/"),
            ("VAULT_TOKEN", "v"),
            ("BAO_TOKEN", "b"),
            ("VAULT_ROLE_ID", "role"),
            ("VAULT_CLIENT_TIMEOUT", "2m"),
        ])
        .unwrap();
        assert_eq!((settings.address.as_str(), &*settings.named_by), ("http://127.0.0.1:8200/", "BAO_ADDR"));
        assert_eq!(settings.namespace.as_deref(), Some("team"));
        assert_eq!(settings.timeout, Duration::from_mins(2));
        let Identity::Token { token, source } = settings.identity else { panic!("an AppRole") };
        assert_eq!((token.as_str(), &*source), ("b", "BAO_TOKEN"));
    }

    #[test]
    fn an_approle_comes_before_a_token_that_somebody_left_in_a_file() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join(".vault-token"), "left\n").unwrap();
        let home = ("HOME", home.path().to_str().unwrap());
        let Identity::AppRole { mount, secret_id, .. } =
            read(&[ADDRESS, home, ("VAULT_ROLE_ID", "r"), ("VAULT_APPROLE_PATH", "ci/")]).unwrap().identity
        else {
            panic!("a token")
        };
        assert_eq!((&*mount, secret_id.is_empty()), ("ci", true));
        let Identity::Token { token, .. } = read(&[ADDRESS, home]).unwrap().identity else {
            panic!("an AppRole")
        };
        assert_eq!(token.as_str(), "left");
    }

    #[test]
    fn what_cannot_be_used_is_said_and_not_repeated() {
        const TOKEN: (&str, &str) = ("VAULT_TOKEN", "t");
        for (variables, part) in [
            (&[TOKEN][..], "VAULT_ADDR is not set"),
            (&[ADDRESS], "nothing to show Vault who asks"),
            (&[("VAULT_ADDR", "http://vault.example.com")], "VAULT_ADDR is not an address"),
            (&[("BAO_ADDR", "vault.example.com")], "BAO_ADDR is not an address"),
            (&[ADDRESS, TOKEN, ("VAULT_NAMESPACE", "a b")], "VAULT_NAMESPACE holds a blank"),
            (&[ADDRESS, ("VAULT_TOKEN", "s3cret \n")], "VAULT_TOKEN holds a blank"),
            (&[ADDRESS, ("VAULT_ROLE_ID", "r"), ("VAULT_SECRET_ID", "s3cret x")], "VAULT_SECRET_ID holds"),
            (&[ADDRESS, TOKEN, ("VAULT_CACERT", "/nowhere.pem")], "VAULT_CACERT names /nowhere.pem"),
            (&[ADDRESS, TOKEN, ("VAULT_CACERT", "/dev/null")], "holds no certificate"),
            (&[ADDRESS, TOKEN, ("VAULT_CLIENT_TIMEOUT", "soon")], "VAULT_CLIENT_TIMEOUT is not a time"),
            (&[ADDRESS, TOKEN, ("VAULT_CLIENT_TIMEOUT", "0")], "VAULT_CLIENT_TIMEOUT is not a time"),
        ] {
            let error = read(variables).err().unwrap();
            assert!(format!("{error:?}").contains(part), "{part}: {error:?}");
            assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
            assert!(error.is_usage(), "{part}");
        }
    }
}
