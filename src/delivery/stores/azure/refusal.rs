//! What Key Vault's and Entra's refusals mean, and what to do about each.

use std::iter;

use azure_core::error::{ErrorKind, ErrorResponse};

use crate::error::Error;
use crate::no_answer::{Peer, causes, unreachable};
use crate::text::short;

/// What was asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    /// What failed if it fails: `cannot …`.
    pub(super) cannot: &'a str,
    pub(super) host: &'a str,
    pub(super) name: &'a str,
    /// The permission on secrets, as access policies call it.
    pub(super) needs: &'static str,
}

impl Asked<'_> {
    /// What an error of the SDK amounts to.
    pub(super) fn error(self, error: &azure_core::Error) -> Error {
        let Self { cannot, host, name, needs } = self;
        let vault = host.split('.').next().unwrap_or_default();
        if chain(error).any(|error| matches!(error.kind(), ErrorKind::Connection | ErrorKind::Io)) {
            let name = if is_credential(error) { "the Azure sign-in" } else { host };
            let named_by = "the vault's name, AZURE_AUTHORITY_HOST";
            return unreachable(cannot, Peer { name, named_by, own_trust: None }, error);
        }
        if is_credential(error) {
            return Error::failed(
                format!("{cannot}: there is no token from Azure ({})", short(&first_words(error))),
                "check AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET (a client secret expires), or the managed identity, or run `az login`",
            );
        }
        let ErrorKind::HttpResponse { status, error_code, raw_response } = error.kind() else {
            return if error.to_string().contains("challenge") {
                Error::failed(
                    format!(
                        "{cannot}: {host} asks for a token that is not for Key Vault ({})",
                        short(&error.to_string())
                    ),
                    "check the vault's name: no token was sent there",
                )
            } else {
                self.not_key_vault()
            };
        };
        let status = u16::from(*status);
        let said = raw_response.as_ref().and_then(|answer| serde_json::from_slice(answer.body()).ok());
        let said = said.and_then(|ErrorResponse { error }| error);
        let inner = said.as_ref().and_then(|said| said.inner_error.as_ref()?.code.clone());
        let (code, message) = said.map(|said| (said.code, said.message)).unwrap_or_default();
        let code = code.or_else(|| error_code.clone());
        let (problem, remedy) = match (status, inner.as_deref().or(code.as_deref()).unwrap_or_default()) {
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
        let words = [code, inner, message];
        let words = words.into_iter().flatten().filter(|text| !text.is_empty()).map(|text| short(&text));
        let words: Vec<String> = iter::once(format!("status {status}")).chain(words).collect();
        Error::failed(format!("{cannot}: {problem} ({})", words.join(", ")), remedy)
    }

    /// A secret that was deleted keeps its name until it is purged.
    pub(super) fn deleted(self) -> Error {
        let Self { cannot, host, name, .. } = self;
        let vault = host.split('.').next().unwrap_or_default();
        Error::failed(
            format!("{cannot}: a secret of this name was deleted, and not purged yet"),
            format!(
                "bring it back: `az keyvault secret recover --vault-name {vault} --name {name}`, or name another"
            ),
        )
    }

    /// What answered was something else.
    pub(super) fn not_key_vault(self) -> Error {
        Error::failed(
            format!("{}: the answer of {} is not one of Key Vault", self.cannot, self.host),
            "check the vault's name and HTTPS_PROXY",
        )
    }
}

/// The SDK's errors that an error was made of, the outermost first.
fn chain(error: &azure_core::Error) -> impl Iterator<Item = &azure_core::Error> {
    causes(error).filter_map(|error| error.downcast_ref())
}

/// Whether it was the credential that failed.
fn is_credential(error: &azure_core::Error) -> bool {
    chain(error).any(|error| matches!(error.kind(), ErrorKind::Credential))
}

/// What was said where it failed; the outer errors only say that it did.
fn first_words(error: &azure_core::Error) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}
