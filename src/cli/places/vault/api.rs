//! Vault's HTTP API: one call, and what its refusals mean.

use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::json;
use ureq::Agent;
use ureq::http::{Method, Request, Uri};
use zeroize::Zeroizing;

use super::settings::{Identity, Settings};
use crate::fault::{Fault, Outcome};
use crate::http::{self, Peer, Retries, is_passing, retry_after};
use crate::output::{printable, redact};

/// A secret of Vault's has 1 MB at most where its storage is the usual one.
const ANSWER_MAX_BYTES: u64 = 4 * 1024 * 1024;

/// A Vault or OpenBao server, asked by somebody that it knows.
// Absent on purpose: Debug; it holds the token.
pub(super) struct Api {
    agent: Agent,
    settings: Settings,
    token: Zeroizing<String>,
    /// Where the token is from, for messages.
    source: String,
}

/// An answer that is no refusal; 404 is none.
pub(super) struct Answer {
    pub(super) status: u16,
    body: Zeroizing<Vec<u8>>,
}

/// What is asked.
#[derive(Clone, Copy)]
pub(super) struct Call<'c> {
    pub(super) method: &'static str,
    /// Below `/v1/`.
    pub(super) path: &'c str,
    /// JSON; what is written is sent once, what is read as often as makes sense.
    pub(super) body: Option<&'c [u8]>,
    /// What failed if it fails: `cannot …`.
    pub(super) doing: &'c str,
    /// What a policy has to say so that this is allowed.
    pub(super) needs: &'c str,
}

impl Api {
    /// The server that the environment names; logs in, where that takes more than a token.
    ///
    /// # Errors
    /// Those of [`Settings::from_environment`], and the login was refused.
    pub(super) fn from_environment() -> Outcome<Self> {
        Self::new(Settings::from_environment()?)
    }

    pub(super) fn new(settings: Settings) -> Outcome<Self> {
        let agent = http::agent(settings.roots.clone(), settings.timeout);
        let api = |token: Zeroizing<String>, source, settings| Self { agent, settings, token, source };
        match &settings.identity {
            Identity::Token { token, source } => {
                let (token, source) = (token.clone(), source.clone());
                Ok(api(token, source, settings))
            }
            Identity::AppRole { mount, .. } => {
                let source = format!("the AppRole login at auth/{mount}");
                let mut api = api(Zeroizing::default(), source, settings);
                api.token = api.logged_in()?;
                Ok(api)
            }
        }
    }

    /// The token of the role; one for the whole process, because many a secret id is good for one login.
    fn logged_in(&self) -> Outcome<Zeroizing<String>> {
        static TOKEN: OnceLock<Zeroizing<String>> = OnceLock::new();
        #[derive(Deserialize)]
        struct Login {
            auth: Auth,
        }
        #[derive(Deserialize)]
        struct Auth {
            client_token: String,
        }
        if let Some(token) = TOKEN.get() {
            return Ok(token.clone());
        }
        let Identity::AppRole { mount, role_id, secret_id } = &self.settings.identity else {
            return Ok(Zeroizing::default());
        };
        let body = match secret_id {
            Some(secret_id) => json!({ "role_id": role_id, "secret_id": secret_id.as_str() }),
            None => json!({ "role_id": role_id }),
        };
        let body = Zeroizing::new(body.to_string());
        let call = Call {
            method: "POST",
            path: &format!("auth/{mount}/login"),
            body: Some(body.as_bytes()),
            doing: "cannot log in to Vault by AppRole",
            needs: "",
        };
        let answer = self.exchange(call)?;
        if !answer.is_success() {
            return Err(Fault::failed(
                format!("{}: it was refused ({})", call.doing, answer.words()),
                format!(
                    "check VAULT_ROLE_ID and VAULT_SECRET_ID (a secret id can be used up, or expire: `vault write -f auth/{mount}/role/NAME/secret-id` makes another), VAULT_APPROLE_PATH and VAULT_NAMESPACE"
                ),
            ));
        }
        let login: Login = self.read(&answer, call.doing)?;
        Ok(TOKEN.get_or_init(|| Zeroizing::new(login.auth.client_token)).clone())
    }

    /// Asks; an answer that is a success or 404.
    ///
    /// # Errors
    /// The server refused, could not be reached, or is not able to answer.
    pub(super) fn ask(&self, call: Call<'_>) -> Outcome<Answer> {
        let answer = self.exchange(call)?;
        if answer.is_success() || answer.status == 404 {
            return Ok(answer);
        }
        Err(self.refusal(&answer, call))
    }

    /// What an answer says.
    ///
    /// # Errors
    /// It is not of the form that Vault's are.
    pub(super) fn read<T: DeserializeOwned>(&self, answer: &Answer, doing: &str) -> Outcome<T> {
        serde_json::from_slice(&answer.body).map_err(|e| {
            Fault::failed(
                // Where, not what: an answer may hold values.
                format!(
                    "{doing}: the answer is not one of Vault's (line {}, column {})",
                    e.line(),
                    e.column()
                ),
                format!("check {} and HTTPS_PROXY", self.settings.named_by),
            )
        })
    }

    /// Asks; any answer.
    ///
    /// # Errors
    /// There was none.
    pub(super) fn exchange(&self, call: Call<'_>) -> Outcome<Answer> {
        let mut retries = Retries::default();
        loop {
            let (answer, after) = match self.attempt(call) {
                Ok((answer, after)) if is_passing_status(answer.status) => (Ok(answer), after),
                Ok((answer, _)) => return Ok(answer),
                Err(e) if is_passing(&e) => (Err(self.unreachable(call, &e)), None),
                Err(e) => return Err(self.unreachable(call, &e)),
            };
            // A write may have been made by an attempt that failed; whoever asked for it looks again.
            let wait = if call.body.is_none() { retries.next_wait(after) } else { None };
            match wait {
                Some(wait) => thread::sleep(wait),
                None => return answer,
            }
        }
    }

    fn attempt(&self, call: Call<'_>) -> Result<(Answer, Option<Duration>), ureq::Error> {
        let mut url = format!("{}/v1/{}", self.settings.address, call.path);
        let mut redirected = false;
        loop {
            let mut request = Request::builder()
                .method(Method::from_bytes(call.method.as_bytes()).unwrap_or_default())
                .uri(&url)
                .header("X-Vault-Request", "true")
                .header("Content-Type", "application/json");
            if !self.token.is_empty() {
                request = request.header("X-Vault-Token", self.token.as_str());
            }
            if let Some(namespace) = &self.settings.namespace {
                request = request.header("X-Vault-Namespace", namespace);
            }
            let mut response = self.agent.run(request.body(call.body.unwrap_or_default())?)?;
            let header = |name| response.headers().get(name)?.to_str().ok();
            let status = response.status().as_u16();
            // A standby sends its callers on to the active node, once; never from https to http.
            let next = header("location").filter(|_| matches!(status, 307 | 308) && !redirected);
            let next = next.filter(|next| {
                http::may_carry_secrets(next) && (next.starts_with("https:") || url.starts_with("http:"))
            });
            if let Some(next) = next.filter(|next| next.parse::<Uri>().is_ok()) {
                url = next.to_owned();
                redirected = true;
                continue;
            }
            let after = retry_after(header("retry-after"));
            let body = response.body_mut().with_config().limit(ANSWER_MAX_BYTES).read_to_vec()?;
            return Ok((Answer { status, body: Zeroizing::new(body) }, after));
        }
    }

    fn unreachable(&self, call: Call<'_>, error: &ureq::Error) -> Fault {
        let Settings { address, named_by, .. } = &self.settings;
        http::unreachable(
            call.doing,
            Peer { base: address, named_by, own_trust: Some("VAULT_CACERT") },
            error,
        )
    }

    /// The fault that an answer amounts to.
    pub(super) fn refusal(&self, answer: &Answer, call: Call<'_>) -> Fault {
        let words = answer.words();
        let named_by = &self.settings.named_by;
        let (problem, remedy) = match answer.status {
            403 if self.is_known() => (
                format!("the token from {} may not do this", self.source),
                format!("give its policy {}, and check VAULT_NAMESPACE", call.needs),
            ),
            403 => (
                format!("Vault does not know the token from {}", self.source),
                "it is wrong, has expired or was revoked, or is of another namespace (VAULT_NAMESPACE): log in again".to_owned(),
            ),
            307 | 308 => (
                "it sends its callers to an address that a token may not go to".to_owned(),
                format!("set {named_by} to the https:// address of the active node"),
            ),
            429 => ("it turns requests away, because there were too many".to_owned(), "wait, then run the command again".to_owned()),
            503 => (
                "it is sealed, or not ready".to_owned(),
                "unseal it (`vault operator unseal`), then run the command again".to_owned(),
            ),
            500..=599 => ("it fails".to_owned(), "see its log, then run the command again".to_owned()),
            _ => ("it refused the request".to_owned(), format!("see what it said, and check {named_by}")),
        };
        Fault::failed(format!("{}: {problem} ({words})", call.doing), remedy)
    }

    /// Whether the token is one at all; every token may ask that about itself.
    fn is_known(&self) -> bool {
        let call = Call { method: "GET", path: "auth/token/lookup-self", body: None, doing: "", needs: "" };
        self.attempt(call).is_ok_and(|(answer, _)| answer.is_success())
    }
}

/// 412: a standby has not seen the last write yet.
fn is_passing_status(status: u16) -> bool {
    matches!(status, 412 | 429 | 500..=599)
}

impl Answer {
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether it holds data; a 404 for a deleted version does.
    pub(super) fn has_data(&self) -> bool {
        #[derive(Deserialize)]
        struct Data {
            data: Option<IgnoredAny>,
        }
        serde_json::from_slice(&self.body).is_ok_and(|Data { data }| data.is_some())
    }

    /// Whether the server's `errors` say this.
    pub(super) fn says(&self, part: &str) -> bool {
        self.errors().iter().any(|error| error.contains(part))
    }

    fn errors(&self) -> Vec<String> {
        #[derive(Deserialize)]
        struct Errors {
            #[serde(default)]
            errors: Vec<String>,
        }
        serde_json::from_slice(&self.body).map_or_else(|_| Vec::new(), |Errors { errors }| errors)
    }

    /// What the server said, short and harmless.
    fn words(&self) -> String {
        const LONGEST: usize = 160;
        let mut words = format!("status {}", self.status);
        for error in self.errors().iter().take(2) {
            let error = redact(&error.split_whitespace().collect::<Vec<_>>().join(" "));
            words.push_str(", ");
            words.extend(printable(&error).chars().take(LONGEST));
        }
        words
    }
}
