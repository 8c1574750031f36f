//! A secret of Azure Key Vault.
//!
//! Key Vault has no compare-and-set: the secret is looked at right before it is written, and of two writers within that
//! moment the later one wins. Both versions stay in its history.

mod client;
mod credential;
mod fault;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use azure_core::error::ErrorKind;
use azure_core::http::{ClientOptions, StatusCode};
use azure_security_keyvault_secrets::models::{Secret, SetSecretParameters};
use azure_security_keyvault_secrets::{ResourceExt as _, SecretClient, SecretClientOptions};
use zeroize::{Zeroize as _, Zeroizing};

use self::fault::Asked;
use crate::fault::{Fault, Outcome};
use crate::places::transport::{self, Waiting};
use crate::places::{Held, Place};

/// The public cloud's; another cloud's vault is named by its whole host.
const PUBLIC_SUFFIX: &str = "vault.azure.net";

/// The secret.
// Absent on purpose: Debug; the client holds credentials.
pub(super) struct AzureSecret {
    waiting: Waiting,
    client: SecretClient,
    /// As it was named: in the messages and in a rotation's journal it is one.
    vault: String,
    host: String,
    name: String,
}

/// The place that `azure:VAULT/NAME` names. VAULT is a vault's name in the public cloud, or its whole host name in any.
///
/// # Errors
/// The names cannot be, or no credential is to be had.
pub(super) fn open(vault: &str, name: &str) -> Outcome<AzureSecret> {
    let client = transport::Client::new();
    let credential = credential::from_environment(&client)?;
    AzureSecret::with(vault, name, client::options(client), credential)
}

impl AzureSecret {
    fn with(
        vault: &str,
        name: &str,
        client_options: ClientOptions,
        credential: Arc<dyn TokenCredential>,
    ) -> Outcome<Self> {
        let host = host(vault)?;
        if name.len() > 127 || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err(Fault::usage(
                "the name of an Azure secret has 1 to 127 letters, digits and hyphens",
                "write azure:VAULT/NAME, without a version",
            ));
        }
        let options = SecretClientOptions { client_options, ..SecretClientOptions::default() };
        let client =
            SecretClient::new(&format!("https://{host}"), credential, Some(options)).map_err(|e| {
                Fault::usage(format!("cannot use the vault {host}: {e}"), "check the name of the vault")
            })?;
        Ok(Self { waiting: Waiting::new()?, client, vault: vault.to_owned(), host, name: name.to_owned() })
    }

    fn asked<'a>(&'a self, doing: &'a str, needs: &'static str) -> Asked<'a> {
        Asked { doing, host: &self.host, name: &self.name, needs }
    }

    fn uri(&self) -> String {
        format!("azure:{}/{}", self.vault, self.name)
    }

    /// The latest version; `None` where the vault has no such secret.
    fn latest(&self, doing: &str) -> Outcome<Option<Secret>> {
        let asked = self.asked(doing, "get");
        let got = self.waiting.on(self.client.get_secret(&self.name, None));
        match got.and_then(azure_core::http::Response::into_model) {
            Ok(secret) => Ok(Some(secret)),
            Err(e) if is_not_found(&e) => Ok(None),
            Err(e) => Err(asked.fault(&e)),
        }
    }

    fn revision(&self, secret: Option<&Secret>, doing: &str) -> Outcome<Option<String>> {
        let Some(secret) = secret else { return Ok(None) };
        let version = secret.resource_id().ok().and_then(|id| id.version);
        version.map(Some).ok_or_else(|| self.asked(doing, "get").not_key_vault())
    }
}

/// The host of a vault.
fn host(vault: &str) -> Outcome<String> {
    let is_host = |text: &str| {
        text.split('.')
            .all(|label| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
    };
    if !is_host(vault) {
        return Err(Fault::usage(
            "the vault's name has letters, digits and hyphens",
            "write azure:VAULT/NAME; VAULT is the vault's name, or its whole host (such as my-vault.vault.azure.cn), without https://",
        ));
    }
    Ok(if vault.contains('.') { vault.to_owned() } else { format!("{vault}.{PUBLIC_SUFFIX}") })
}

fn is_not_found(error: &azure_core::Error) -> bool {
    let code = |code: &Option<String>| code.as_deref() == Some("SecretNotFound");
    matches!(
        error.kind(),
        ErrorKind::HttpResponse { status: StatusCode::NotFound, error_code, .. } if code(error_code)
    )
}

impl Place for AzureSecret {
    fn look(&self) -> Outcome<Held> {
        let doing = format!("cannot read {}", self.uri());
        let mut secret = self.latest(&doing)?;
        let revision = self.revision(secret.as_ref(), &doing)?;
        let text = secret.as_mut().and_then(|secret| secret.value.take()).map(Zeroizing::new);
        Ok(Held { text, revision })
    }

    /// What may be written is not said by Key Vault; that a deleted secret stands in the way is.
    fn check_writable(&self) -> Outcome<()> {
        let doing = format!("cannot write {}", self.uri());
        if self.latest(&doing)?.is_some() {
            return Ok(());
        }
        // Refused, too, to whoever may not ask; then nothing is known.
        match self.waiting.on(self.client.get_deleted_secret(&self.name, None)) {
            Ok(_) => Err(self.asked(&doing, "set").deleted()),
            Err(_) => Ok(()),
        }
    }

    fn put(&self, text: &str, seen: &Held) -> Outcome<()> {
        let doing = format!("cannot write {}", self.uri());
        let mut latest = self.latest(&doing)?;
        if let Some(value) = latest.as_mut().and_then(|secret| secret.value.as_mut()) {
            value.zeroize();
        }
        if self.revision(latest.as_ref(), &doing)? != seen.revision {
            return Err(Fault::failed(
                format!("{doing}: somebody wrote it in between"),
                "look at its versions (`az keyvault secret list-versions`), then run the command again",
            ));
        }
        // A new version has no type and no tags but those that it is given.
        let (content_type, tags) =
            latest.map(|secret| (secret.content_type, secret.tags)).unwrap_or_default();
        let parameters =
            SetSecretParameters { value: Some(text.to_owned()), content_type, tags, secret_attributes: None };
        let parameters = parameters.try_into().map_err(|e| self.asked(&doing, "set").fault(&e))?;
        let put = self.waiting.on(self.client.set_secret(&self.name, parameters, None));
        put.map(drop).map_err(|e| self.asked(&doing, "set").fault(&e))
    }
}
