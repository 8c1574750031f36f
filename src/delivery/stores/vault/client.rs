//! Vault's HTTP API through `vaultrs`: one call, and what its refusals mean.
//!
//! `vaultrs` has the login of an `AppRole`, namespaces, the token and the errors. Its KV calls do not give the version of a secret
//! that they read (which check-and-set needs), and read numbers in a way that changes them; two more calls it does not have.
//! So the calls on secrets are [`Call`]s.

use std::error::Error as StdError;
use std::marker::PhantomData;
use std::sync::OnceLock;
use std::time::Duration;

use rustify::clients::reqwest::Client as HttpClient;
use rustify::endpoint::Endpoint;
use rustify::enums::{RequestMethod, RequestType, ResponseType};
use rustify::errors::ClientError as RestError;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use vaultrs::api::{self, EndpointMiddleware};
use vaultrs::auth::approle;
use vaultrs::client::{Client as _, VaultClient, VaultClientSettings};
use vaultrs::error::ClientError;
use zeroize::Zeroizing;

use super::settings::{Identity, Settings};
use crate::error::{Error, Result};
use crate::network::{Blocking, reqwest_client};
use crate::no_answer::{Peer, is_untrusted, unreachable};
use crate::secure_address::may_carry_secrets;
use crate::text::short;

/// The waits before a read is sent once more, where that may help.
const WAITS: [Duration; 3] = [Duration::from_millis(250), Duration::from_millis(500), Duration::from_secs(1)];

/// A Vault or OpenBao server, asked by somebody that it knows.
// Absent on purpose: Debug; it holds the token.
pub(super) struct Client {
    blocking: Blocking,
    vault: VaultClient,
    settings: Settings,
}

/// What all of Vault's answers have in common.
#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

/// One call, and the type of its answer.
struct Call<T> {
    method: RequestMethod,
    path: String,
    body: Option<Zeroizing<Vec<u8>>>,
    answer: PhantomData<fn() -> T>,
}

impl<T> Call<T> {
    /// Reads below `/v1/`.
    fn get(path: String) -> Self {
        Self { method: RequestMethod::GET, path, body: None, answer: PhantomData }
    }

    /// Writes JSON below `/v1/`.
    fn post(path: String, body: Zeroizing<Vec<u8>>) -> Self {
        Self { method: RequestMethod::POST, path, body: Some(body), answer: PhantomData }
    }
}

impl<T: DeserializeOwned + Send + Sync> Endpoint for Call<T> {
    type Response = T;
    const REQUEST_BODY_TYPE: RequestType = RequestType::JSON;
    const RESPONSE_BODY_TYPE: ResponseType = ResponseType::JSON;

    fn path(&self) -> String {
        self.path.clone()
    }

    fn method(&self) -> RequestMethod {
        self.method.clone()
    }

    fn body(&self) -> std::result::Result<Option<Vec<u8>>, RestError> {
        Ok(self.body.as_ref().map(|body| body.to_vec()))
    }
}

impl Client {
    /// # Errors
    /// The client cannot be made, or a login was refused.
    pub(super) fn new(settings: Settings) -> Result<Self> {
        let http = reqwest_client(|builder| {
            let builder = builder.timeout(settings.timeout).redirect(to_active_node());
            match &settings.ca_certificates {
                Some(certificates) => builder.tls_certs_only(certificates.iter().cloned()),
                // This machine: no proxy is needed, nor what the system trusts, which may not be there.
                None if settings.address.scheme() == "http" => builder.tls_certs_only([]).no_proxy(),
                None => builder,
            }
        })?;
        let vault = VaultClient {
            http: HttpClient::new(settings.address.as_str(), http),
            middle: EndpointMiddleware {
                token: String::new(),
                version: "v1".to_owned(),
                wrap: None,
                namespace: settings.namespace.clone(),
            },
            settings: VaultClientSettings {
                address: settings.address.clone(),
                ca_certs: Vec::new(),
                identity: None,
                timeout: Some(settings.timeout),
                token: String::new(),
                verify: true,
                version: 1,
                wrapping: false,
                namespace: settings.namespace.clone(),
                proxy: None,
            },
        };
        let mut client = Self { blocking: Blocking::new()?, vault, settings };
        let token = client.token()?;
        client.vault.set_token(&token);
        Ok(client)
    }

    fn token(&self) -> Result<Zeroizing<String>> {
        /// One for the whole process, because many a secret id is good for one login.
        static LOGGED_IN: OnceLock<Zeroizing<String>> = OnceLock::new();
        let (mount, role_id, secret_id) = match &self.settings.identity {
            Identity::Token { token, .. } => return Ok(token.clone()),
            Identity::AppRole { mount, role_id, secret_id } => (mount, role_id, secret_id),
        };
        if let Some(token) = LOGGED_IN.get() {
            return Ok(token.clone());
        }
        let cannot = "cannot log in to Vault by AppRole";
        let login = approle::login(&self.vault, mount, role_id, secret_id);
        let login = self.blocking.run(login).map_err(|error| match status(&error) {
            None => self.no_answer(cannot, &error),
            Some(code) => Error::failed(
                format!("{cannot}: it was refused ({})", words(code, &error)),
                format!(
                    "check VAULT_ROLE_ID and VAULT_SECRET_ID (a secret id can be used up, or expire: `vault write -f auth/{mount}/role/NAME/secret-id` makes another), VAULT_APPROLE_PATH and VAULT_NAMESPACE"
                ),
            ),
        })?;
        Ok(LOGGED_IN.get_or_init(|| Zeroizing::new(login.client_token)).clone())
    }

    /// Reads. Sends the call again while that may help.
    pub(super) fn read<T: DeserializeOwned + Send + Sync>(
        &self,
        path: &str,
    ) -> std::result::Result<T, ClientError> {
        let mut waits = WAITS.iter();
        loop {
            let answer = self.exchange(Call::get(path.to_owned()));
            match (answer, waits.next()) {
                (Err(error), Some(wait)) if is_passing(&error) => std::thread::sleep(*wait),
                (answer, _) => return answer,
            }
        }
    }

    /// Writes, once: a write may have been made by an attempt that failed.
    pub(super) fn write<T: DeserializeOwned + Send + Sync>(
        &self,
        path: &str,
        body: Zeroizing<Vec<u8>>,
    ) -> std::result::Result<T, ClientError> {
        self.exchange(Call::post(path.to_owned(), body))
    }

    fn exchange<T: DeserializeOwned + Send + Sync>(
        &self,
        call: Call<Answer<T>>,
    ) -> std::result::Result<T, ClientError> {
        self.blocking.run(api::exec_with_no_result(&self.vault, call)).map(|Answer { data }| data)
    }

    /// The error that a failed call amounts to. `needs` is what a policy has to say so that it is allowed.
    pub(super) fn error(&self, cannot: &str, needs: &str, error: &ClientError) -> Error {
        let named_by = &self.settings.named_by;
        let source = self.settings.identity.source();
        let Some(code) = status(error) else {
            return self.no_answer(cannot, error);
        };
        let (problem, remedy) = match code {
            403 if self.is_token_known() => (
                format!("the token from {source} may not do this"),
                format!("give its policy {needs}, and check VAULT_NAMESPACE"),
            ),
            403 => (
                format!("Vault does not know the token from {source}"),
                "it is wrong, has expired or was revoked, or is of another namespace (VAULT_NAMESPACE): log in again".to_owned(),
            ),
            307 | 308 => (
                "it sends its callers to an address that a token may not go to".to_owned(),
                format!("set {named_by} to the https:// address of the active node"),
            ),
            429 => (
                "it turns requests away, because there were too many".to_owned(),
                "wait, then run the command again".to_owned(),
            ),
            503 => (
                "it is sealed, or not ready".to_owned(),
                "unseal it (`vault operator unseal`), then run the command again".to_owned(),
            ),
            500..=599 => ("it fails".to_owned(), "see its log, then run the command again".to_owned()),
            _ => ("it refused the request".to_owned(), format!("see what it said, and check {named_by}")),
        };
        Error::failed(format!("{cannot}: {problem} ({})", words(code, error)), remedy)
    }

    /// Every token may ask that about itself.
    fn is_token_known(&self) -> bool {
        self.exchange::<IgnoredAny>(Call::get("auth/token/lookup-self".to_owned())).is_ok()
    }

    /// No answer, or one that is not Vault's.
    fn no_answer(&self, cannot: &str, error: &ClientError) -> Error {
        let Settings { address, named_by, .. } = &self.settings;
        if let ClientError::RestClientError {
            source: RestError::RequestError { source, .. } | RestError::ResponseError { source },
        } = error
        {
            let source: &(dyn StdError + 'static) = source.as_ref();
            let name = address.as_str().trim_end_matches('/');
            return unreachable(cannot, Peer { name, named_by, own_trust: Some("VAULT_CACERT") }, source);
        }
        // What it was is not said: an answer may hold values.
        Error::failed(
            format!("{cannot}: the answer is not one of Vault's"),
            format!("check {named_by} and HTTPS_PROXY"),
        )
    }
}

/// A standby sends its callers on to the active node, once; never from https to http.
fn to_active_node() -> reqwest::redirect::Policy {
    reqwest::redirect::Policy::custom(|attempt| {
        let was_secure = attempt.previous().last().is_none_or(|from| from.scheme() == "https");
        let is_safe =
            may_carry_secrets(attempt.url().as_str()) && (attempt.url().scheme() == "https" || !was_secure);
        if matches!(attempt.status().as_u16(), 307 | 308) && attempt.previous().len() == 1 && is_safe {
            attempt.follow()
        } else {
            attempt.stop()
        }
    })
}

/// The status of a refusal.
pub(super) fn status(error: &ClientError) -> Option<u16> {
    match error {
        ClientError::APIError { code, .. }
        | ClientError::RestClientError { source: RestError::ServerResponseError { code, .. } } => Some(*code),
        _ => None,
    }
}

/// Whether the server's `errors` say this.
pub(super) fn says(error: &ClientError, part: &str) -> bool {
    matches!(error, ClientError::APIError { errors, .. } if errors.iter().any(|error| error.contains(part)))
}

/// Whether the same call may fare better in a moment. 412: a standby has not seen the last write yet.
fn is_passing(error: &ClientError) -> bool {
    match error {
        ClientError::RestClientError {
            source: RestError::RequestError { .. } | RestError::ResponseError { .. },
        } => !is_untrusted(error),
        _ => matches!(status(error), Some(412 | 429 | 500..=599)),
    }
}

/// What the server said, short and harmless.
fn words(code: u16, error: &ClientError) -> String {
    let errors = match error {
        ClientError::APIError { errors, .. } => errors.as_slice(),
        _ => &[],
    };
    let said = errors.iter().take(2).map(|error| format!(", {}", short(error)));
    format!("status {code}{}", said.collect::<String>())
}
