//! URIs of secret stores. A URI holds no secret, so it may stand in arguments, messages and the journal.

use std::fmt;
use std::path::PathBuf;

use crate::error::{Error, Result};

/// The name of a secret store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUri {
    /// `vault:MOUNT/PATH#FIELD`: one field of a secret in a KV v2 engine of HashiCorp Vault or OpenBao.
    Vault {
        /// The engine's mount, or the first segment of it.
        mount: String,
        /// The secret's path below it.
        path: String,
        /// The field of the secret.
        field: String,
    },
    /// `aws:NAME`: a secret of AWS Secrets Manager.
    Aws {
        /// Its name or ARN.
        secret: String,
    },
    /// `azure:VAULT/NAME`: a secret of Azure Key Vault.
    Azure {
        /// The vault's name in the public cloud, or its whole host name.
        vault: String,
        /// The secret's name.
        name: String,
    },
    /// `exec:COMMAND`: a command that is given the text on standard input, or asked for it on standard output.
    Exec {
        /// A line for `sh`.
        command: String,
    },
    /// `file:PATH`: a file that only its owner can read.
    File {
        /// The file.
        path: PathBuf,
    },
    /// `env:NAME`: a variable of the environment; it can be read, not written.
    Env {
        /// The variable.
        name: String,
    },
}

impl StoreUri {
    /// Reads a URI as `--to` and `--pepper-from` take it.
    ///
    /// # Errors
    /// It is none of the known forms.
    pub fn parse(text: &str) -> Result<Self> {
        let (scheme, rest) = text.split_once(':').unwrap_or_default();
        let parsed = match scheme {
            "vault" => rest.split_once('#').and_then(|(secret, field)| {
                let (mount, path) = secret.split_once('/')?;
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
            Error::usage(
                "this names no secret store",
                "use vault:MOUNT/PATH#FIELD, aws:NAME, azure:VAULT/NAME, exec:COMMAND, file:PATH or env:NAME",
            )
        })
    }
}

impl fmt::Display for StoreUri {
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

#[cfg(test)]
mod tests {
    use super::StoreUri;

    #[test]
    fn a_uri_round_trips() {
        for text in [
            "vault:secret/apps/reports#api_key",
            "aws:prod/reports/key",
            "aws:arn:aws:secretsmanager:eu-central-1:123456789012:secret:reports-AbCdEf",
            "azure:my-vault/reports-key",
            "exec:op item edit reports credential=-",
            "file:/run/secrets/key",
            "env:REPORTS_KEY",
        ] {
            assert_eq!(StoreUri::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_text_is_refused_and_not_repeated() {
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
            let error = StoreUri::parse(text).unwrap_err();
            assert!(error.is_usage(), "{text}");
            assert!(!format!("{error:?}").contains("acme_live"), "{text}");
        }
    }
}
