//! A secret of Azure Key Vault.
//!
//! Key Vault has no compare-and-set: the secret is looked at right before it is written, and of two writers within that
//! moment the later one wins. Both versions stay in its history.

mod credential;
mod refusal;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use azure_core::error::ErrorKind;
use azure_core::http::{ClientOptions, ExponentialRetryOptions, RetryOptions, StatusCode, Transport};
use azure_core::time::Duration;
use azure_security_keyvault_secrets::models::{Secret, SetSecretParameters};
use azure_security_keyvault_secrets::{ResourceExt as _, SecretClient, SecretClientOptions};
use zeroize::{Zeroize as _, Zeroizing};

use self::refusal::Asked;
use crate::error::{Error, Result};
use crate::network::{Blocking, reqwest_client};
use crate::secret_store::{SecretStore, StoredSecret};

/// The public cloud's; another cloud's vault is named by its whole host.
const PUBLIC_SUFFIX: &str = "vault.azure.net";

/// The secret.
// Absent on purpose: Debug; the client holds credentials.
pub(crate) struct AzureSecret {
    blocking: Blocking,
    client: SecretClient,
    /// As it was named: in the messages and in a rotation's journal it is one.
    vault: String,
    host: String,
    name: String,
}

impl AzureSecret {
    /// The secret that `azure:VAULT/NAME` names. VAULT is a vault's name in the public cloud, or its whole host name in any.
    ///
    /// # Errors
    /// The names cannot be, or no credential is to be had.
    pub(crate) fn open(vault: &str, name: &str) -> Result<Self> {
        let blocking = Blocking::new()?;
        let transport = Transport::new(Arc::new(reqwest_client(|builder| builder)?));
        // The default is 8 times, in which a person at a terminal waits for minutes.
        let retry = RetryOptions::exponential(ExponentialRetryOptions {
            initial_delay: Duration::milliseconds(250),
            max_retries: 3,
            max_total_elapsed: Duration::MINUTE,
            max_delay: Duration::seconds(10),
        });
        let options = ClientOptions { transport: Some(transport), retry, ..ClientOptions::default() };
        let credential = blocking.run(credential::from_environment(&options))?;
        Self::with(vault, name, blocking, options, credential)
    }

    fn with(
        vault: &str,
        name: &str,
        blocking: Blocking,
        client_options: ClientOptions,
        credential: Arc<dyn TokenCredential>,
    ) -> Result<Self> {
        let host = host(vault)?;
        if name.len() > 127 || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err(Error::usage(
                "the name of an Azure secret has 1 to 127 letters, digits and hyphens",
                "write azure:VAULT/NAME, without a version",
            ));
        }
        let options = SecretClientOptions { client_options, ..SecretClientOptions::default() };
        let client =
            SecretClient::new(&format!("https://{host}"), credential, Some(options)).map_err(|e| {
                Error::usage(format!("cannot use the vault {host}: {e}"), "check the name of the vault")
            })?;
        Ok(Self { blocking, client, vault: vault.to_owned(), host, name: name.to_owned() })
    }

    fn asked<'a>(&'a self, cannot: &'a str, needs: &'static str) -> Asked<'a> {
        Asked { cannot, host: &self.host, name: &self.name, needs }
    }

    fn uri(&self) -> String {
        format!("azure:{}/{}", self.vault, self.name)
    }

    /// The latest version; `None` where the vault has no such secret.
    fn latest(&self, cannot: &str) -> Result<Option<Secret>> {
        let asked = self.asked(cannot, "get");
        let got = self.blocking.run(self.client.get_secret(&self.name, None));
        match got.and_then(azure_core::http::Response::into_model) {
            Ok(secret) => Ok(Some(secret)),
            Err(e) if is_not_found(&e) => Ok(None),
            Err(e) => Err(asked.error(&e)),
        }
    }

    fn revision(&self, secret: Option<&Secret>, cannot: &str) -> Result<Option<String>> {
        let Some(secret) = secret else { return Ok(None) };
        let version = secret.resource_id().ok().and_then(|id| id.version);
        version.map(Some).ok_or_else(|| self.asked(cannot, "get").not_key_vault())
    }
}

/// The host of a vault.
fn host(vault: &str) -> Result<String> {
    let is_host = |text: &str| {
        text.split('.')
            .all(|label| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
    };
    if !is_host(vault) {
        return Err(Error::usage(
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

impl SecretStore for AzureSecret {
    fn read(&self) -> Result<StoredSecret> {
        let cannot = format!("cannot read {}", self.uri());
        let mut secret = self.latest(&cannot)?;
        let revision = self.revision(secret.as_ref(), &cannot)?;
        let text = secret.as_mut().and_then(|secret| secret.value.take()).map(Zeroizing::new);
        Ok(StoredSecret { text, revision })
    }

    /// What may be written is not said by Key Vault; that a deleted secret stands in the way is.
    fn check_writable(&self) -> Result<()> {
        let cannot = format!("cannot write {}", self.uri());
        if self.latest(&cannot)?.is_some() {
            return Ok(());
        }
        // Refused, too, to whoever may not ask; then nothing is known.
        match self.blocking.run(self.client.get_deleted_secret(&self.name, None)) {
            Ok(_) => Err(self.asked(&cannot, "set").deleted()),
            Err(_) => Ok(()),
        }
    }

    fn put(&self, text: &str, seen: &StoredSecret) -> Result<()> {
        let cannot = format!("cannot write {}", self.uri());
        let mut latest = self.latest(&cannot)?;
        if let Some(value) = latest.as_mut().and_then(|secret| secret.value.as_mut()) {
            value.zeroize();
        }
        if self.revision(latest.as_ref(), &cannot)? != seen.revision {
            return Err(Error::failed(
                format!("{cannot}: somebody wrote it in between"),
                "look at its versions (`az keyvault secret list-versions`), then run the command again",
            ));
        }
        // A new version has no type and no tags but those that it is given.
        let (content_type, tags) =
            latest.map(|secret| (secret.content_type, secret.tags)).unwrap_or_default();
        let parameters =
            SetSecretParameters { value: Some(text.to_owned()), content_type, tags, secret_attributes: None };
        let parameters = parameters.try_into().map_err(|e| self.asked(&cannot, "set").error(&e))?;
        let put = self.blocking.run(self.client.set_secret(&self.name, parameters, None));
        put.map(drop).map_err(|e| self.asked(&cannot, "set").error(&e))
    }
}
