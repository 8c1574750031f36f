//! What Key Vault's and Entra's refusals mean, and what to do about each.

use std::error::Error;
use std::iter;

use azure_core::error::ErrorKind;
use azure_core::http::RawResponse;
use serde::Deserialize;

use crate::fault::Fault;
use crate::http::{self, Peer};
use crate::output::{printable, redact};
use crate::places::transport;

/// What was asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    /// What failed if it fails: `cannot …`.
    pub(super) doing: &'a str,
    pub(super) host: &'a str,
    pub(super) name: &'a str,
    /// The permission on secrets, as access policies call it.
    pub(super) needs: &'static str,
}

impl Asked<'_> {
    /// The fault that an error of the SDK amounts to.
    pub(super) fn fault(self, error: &azure_core::Error) -> Fault {
        let Self { doing, host, name, needs } = self;
        let vault = host.split('.').next().unwrap_or_default();
        if let Some(cause) = transport::cause(error) {
            let asked = if is_credential(error) { "the Azure sign-in" } else { host };
            let named_by = "the vault's name, AZURE_AUTHORITY_HOST";
            return http::unreachable(doing, Peer { base: asked, named_by, own_trust: None }, cause);
        }
        if is_credential(error) {
            return Fault::failed(
                format!("{doing}: there is no token from Azure ({})", short(&first_words(error))),
                "check AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET (a client secret expires), or the managed identity, or run `az login`",
            );
        }
        let ErrorKind::HttpResponse { status, error_code, raw_response } = error.kind() else {
            return if error.to_string().contains("challenge") {
                Fault::failed(
                    format!(
                        "{doing}: {host} asks for a token that is not for Key Vault ({})",
                        short(&error.to_string())
                    ),
                    "check the vault's name: no token was sent there",
                )
            } else {
                self.not_key_vault()
            };
        };
        let status = u16::from(*status);
        let Said { code, message, inner } = said(raw_response.as_deref(), error_code.as_deref());
        let (problem, remedy) = match (status, inner.as_deref().unwrap_or(code.as_str())) {
            (401, _) => (
                "Key Vault does not take the token".to_owned(),
                "see that the credential is of the vault's own tenant (AZURE_TENANT_ID)".to_owned(),
            ),
            (403, "SecretDisabled") => (
                "its latest version is disabled".to_owned(),
                format!(
                    "enable it: `az keyvault secret set-attributes --vault-name {vault} --name {name} --enabled true`"
                ),
            ),
            (403, "ForbiddenByFirewall" | "ForbiddenByConnection") => (
                "the vault's firewall does not let this machine in".to_owned(),
                "add its network to the vault's, or run the command from there".to_owned(),
            ),
            (403, _) => (
                "this identity may not do this".to_owned(),
                format!(
                    "give it the role Key Vault Secrets {} on the vault or the secret (with access policies: the secret permission {needs}); a new role takes some minutes",
                    if needs == "get" { "User" } else { "Officer" }
                ),
            ),
            (404, _) => ("it is not there".to_owned(), "check the vault's name and the secret's".to_owned()),
            (409, _) => return self.deleted(),
            (429, _) => (
                "Key Vault turns requests away, because there were too many".to_owned(),
                "wait, then run the command again".to_owned(),
            ),
            (500.., _) => (
                "Key Vault fails".to_owned(),
                "see azure.status.microsoft, then run the command again".to_owned(),
            ),
            _ => ("Key Vault refused the request".to_owned(), "see what it said".to_owned()),
        };
        let words = [Some(code), inner, Some(message)];
        let words = words.into_iter().flatten().filter(|text| !text.is_empty()).map(|text| short(&text));
        let words: Vec<String> = iter::once(format!("status {status}")).chain(words).collect();
        Fault::failed(format!("{doing}: {problem} ({})", words.join(", ")), remedy)
    }

    /// A secret that was deleted keeps its name until it is purged.
    pub(super) fn deleted(self) -> Fault {
        let Self { doing, host, name, .. } = self;
        let vault = host.split('.').next().unwrap_or_default();
        Fault::failed(
            format!("{doing}: a secret of this name was deleted, and not purged yet"),
            format!(
                "bring it back: `az keyvault secret recover --vault-name {vault} --name {name}`, or name another"
            ),
        )
    }

    /// What answered was something else.
    pub(super) fn not_key_vault(self) -> Fault {
        Fault::failed(
            format!("{}: the answer of {} is not one of Key Vault", self.doing, self.host),
            "check the vault's name and HTTPS_PROXY",
        )
    }
}

/// The SDK's errors that an error was made of, the outermost first.
fn chain(error: &azure_core::Error) -> impl Iterator<Item = &azure_core::Error> {
    let outermost: &(dyn Error + 'static) = error;
    let errors = iter::successors(Some(outermost), |error: &&(dyn Error + 'static)| {
        let error: &(dyn Error + 'static) = *error;
        error.source()
    });
    errors.filter_map(|error| error.downcast_ref())
}

/// Whether it was the credential that failed.
fn is_credential(error: &azure_core::Error) -> bool {
    chain(error).any(|error| matches!(error.kind(), ErrorKind::Credential))
}

/// What was said where it failed; the outer errors only say that it did.
fn first_words(error: &azure_core::Error) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

/// What a refusal says.
#[derive(Default, Deserialize)]
struct Said {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
    #[serde(skip)]
    inner: Option<String>,
}

fn said(answer: Option<&RawResponse>, error_code: Option<&str>) -> Said {
    #[derive(Deserialize)]
    struct Answer {
        error: serde_json::Value,
    }
    let parsed = answer.and_then(|answer| serde_json::from_slice::<Answer>(answer.body()).ok());
    let mut said = match &parsed {
        Some(Answer { error }) => Said::deserialize(error).unwrap_or_default(),
        None => Said::default(),
    };
    said.inner =
        parsed.and_then(|answer| Some(answer.error.pointer("/innererror/code")?.as_str()?.to_owned()));
    if said.code.is_empty() {
        error_code.unwrap_or_default().clone_into(&mut said.code);
    }
    said
}

fn short(text: &str) -> String {
    const LONGEST: usize = 200;
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    printable(&redact(&text)).chars().take(LONGEST).collect()
}
