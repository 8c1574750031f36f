//! The client of the API: one place that knows the token, the waits and the form of an answer.

use std::env;
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use ureq::Agent;
use ureq::http::{Method, Request, Response};
use ureq::tls::RootCerts;
use zeroize::Zeroizing;

use crate::cloudflare::fault::{Permission, Said, refusal};
use crate::fault::{Fault, Outcome};
use crate::http::{self, Peer, Retries, is_passing, retry_after};

pub(crate) const TOKEN_VARIABLE: &str = "CLOUDFLARE_API_TOKEN";
/// wrangler reads the same one.
const BASE_URL_VARIABLE: &str = "CLOUDFLARE_API_BASE_URL";
const BASE_URL: &str = "https://api.cloudflare.com/client/v4";
/// How many seconds one attempt may take, body and all, where the default does not fit the line.
const TIMEOUT_VARIABLE: &str = "KEYGATE_API_TIMEOUT";
/// 100 MB, the most that one call may send, in two minutes is 7 Mbit/s.
const TIMEOUT_SECS: u64 = 120;
const TIMEOUT_MAX_SECS: u64 = 3600;
/// Above any honest answer: 1,000 names with 1 KB of metadata each are 2 MB, 100 records of 16 KB are 2 MB.
const ANSWER_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Cloudflare's API, with one token.
// Absent on purpose: Debug; it holds the token.
pub(crate) struct Api {
    agent: Agent,
    base: String,
    authorization: Zeroizing<String>,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'c> {
    pub(crate) method: &'static str,
    /// Below the base URL, with its query.
    pub(crate) path: &'c str,
    /// JSON.
    pub(crate) body: Option<&'c [u8]>,
    /// What the token needs for it.
    pub(crate) needs: Permission,
    /// What failed if it fails: `cannot …`.
    pub(crate) doing: &'c str,
}

/// The part of every answer that is alike.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer<T> {
    #[serde(default)]
    success: bool,
    #[serde(default)]
    errors: Vec<Said>,
    pub(crate) result: Option<T>,
    #[serde(default)]
    pub(crate) result_info: Option<ResultInfo>,
}

/// Where a listing goes on.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ResultInfo {
    /// Empty or absent on the last page.
    #[serde(default)]
    pub(crate) cursor: Option<String>,
}

impl Api {
    /// The API as the environment describes it.
    ///
    /// # Errors
    /// There is no token, or a variable cannot be used.
    pub(crate) fn from_environment() -> Outcome<Self> {
        let token = Zeroizing::new(env::var(TOKEN_VARIABLE).unwrap_or_default());
        if token.is_empty() {
            return Err(Fault::usage(
                format!("there is no Cloudflare API token: {TOKEN_VARIABLE} is not set"),
                "make one (dash.cloudflare.com/profile/api-tokens) with the permission Account · Workers KV Storage: Edit, and set the variable to it; what `wrangler login` keeps is not read",
            ));
        }
        if !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Fault::usage(
                format!("{TOKEN_VARIABLE} holds a blank or another character that no token has"),
                "use the token as it was shown, without quotes, blanks or `Bearer`",
            ));
        }
        let base = env::var(BASE_URL_VARIABLE).ok().filter(|url| !url.is_empty());
        let base = base.unwrap_or_else(|| BASE_URL.to_owned());
        Ok(Self {
            agent: http::agent(RootCerts::PlatformVerifier, timeout()?),
            base: base_url(&base)?,
            authorization: Zeroizing::new(format!("Bearer {}", token.as_str())),
        })
    }

    /// Asks, as often as it makes sense, and returns the answer of a success.
    ///
    /// Every call that the program makes may be repeated: it reads, or it writes what it would write again.
    ///
    /// # Errors
    /// Cloudflare refused, could not be reached, or answered something else than its API does.
    pub(crate) fn ask<T: DeserializeOwned>(&self, call: Call<'_>) -> Outcome<Answer<T>> {
        let mut retries = Retries::default();
        // What an attempt may have done is not undone by a later one that is refused.
        let mut may_be_done = false;
        loop {
            let (fault, after, may_pass) = match self.attempt(call) {
                Ok((status, after, body)) => match answer(status, &body, call) {
                    Ok(answer) => return Ok(answer),
                    Err(fault) if status >= 500 => (fault.unanswered(), after, true),
                    Err(fault) => (fault, after, status == 429),
                },
                Err(e) if is_passing(&e) => (self.unreachable(call.doing, &e).unanswered(), None, true),
                Err(e) => (self.unreachable(call.doing, &e), None, false),
            };
            may_be_done |= fault.is_unanswered();
            match if may_pass { retries.next_wait(after) } else { None } {
                Some(wait) => thread::sleep(wait),
                None if may_be_done => return Err(fault.unanswered()),
                None => return Err(fault),
            }
        }
    }

    fn attempt(&self, call: Call<'_>) -> Result<(u16, Option<Duration>, Vec<u8>), ureq::Error> {
        let Call { method, path, body, .. } = call;
        let request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap_or_default())
            .uri(format!("{}{path}", self.base))
            .header("Authorization", self.authorization.as_str())
            .header("Content-Type", "application/json")
            .body(body.unwrap_or_default());
        let mut response = self.agent.run(request?)?;
        let after = retry_after(header(&response, "retry-after"));
        let body = response.body_mut().with_config().limit(ANSWER_MAX_BYTES).read_to_vec()?;
        Ok((response.status().as_u16(), after, body))
    }

    fn unreachable(&self, doing: &str, error: &ureq::Error) -> Fault {
        http::unreachable(doing, Peer { base: &self.base, named_by: BASE_URL_VARIABLE }, error)
    }
}

fn header<'r>(response: &'r Response<ureq::Body>, name: &str) -> Option<&'r str> {
    response.headers().get(name)?.to_str().ok()
}

/// How long one attempt may take.
fn timeout() -> Outcome<Duration> {
    let text = env::var(TIMEOUT_VARIABLE).unwrap_or_default();
    let seconds = if text.is_empty() { Some(TIMEOUT_SECS) } else { text.parse().ok() };
    seconds.filter(|seconds| (1..=TIMEOUT_MAX_SECS).contains(seconds)).map(Duration::from_secs).ok_or_else(
        || {
            Fault::usage(
                format!("{TIMEOUT_VARIABLE} is not a number of seconds from 1 to {TIMEOUT_MAX_SECS}"),
                format!("unset it; an attempt may then take {TIMEOUT_SECS} seconds"),
            )
        },
    )
}

/// A token is not sent in the clear, but to this machine.
fn base_url(text: &str) -> Outcome<String> {
    if keygate_delivery::may_carry_secrets(text) {
        return Ok(text.trim_end_matches('/').to_owned());
    }
    Err(Fault::usage(
        format!("{BASE_URL_VARIABLE} is not the address of an API that a token may be sent to"),
        format!(
            "unset it, or give an https:// URL without user, query and fragment (http:// to this machine alone); the default is {BASE_URL}"
        ),
    ))
}

/// The answer of a success, or the fault that another one amounts to.
fn answer<T: DeserializeOwned>(status: u16, body: &[u8], call: Call<'_>) -> Outcome<Answer<T>> {
    #[derive(Deserialize)]
    struct Refused {
        #[serde(default)]
        errors: Vec<Said>,
    }
    if !(200..300).contains(&status) {
        // A proxy's page has no list of errors; the status says enough.
        let said =
            serde_json::from_slice(body).map_or_else(|_| Vec::new(), |refused: Refused| refused.errors);
        return Err(refusal(status, &said, call.needs, call.doing));
    }
    match serde_json::from_slice::<Answer<T>>(body) {
        Ok(answer) if answer.success => Ok(answer),
        Ok(answer) => Err(refusal(status, &answer.errors, call.needs, call.doing)),
        Err(e) => Err(Fault::failed(
            // Where, not what: an answer may hold values.
            format!(
                "{}: the answer is not one of Cloudflare's API (line {}, column {})",
                call.doing,
                e.line(),
                e.column()
            ),
            "check CLOUDFLARE_API_BASE_URL and HTTPS_PROXY; if neither is set, look for a newer keygate",
        )
        // By its status it was done; what came of it was cut off on its way, or is a proxy's.
        .unanswered()),
    }
}

#[cfg(test)]
mod tests {
    use super::base_url;

    #[test]
    fn a_token_goes_to_https_or_to_this_machine() {
        for (good, base) in [
            ("https://api.example.com/v4/", "https://api.example.com/v4"),
            ("http://127.0.0.1:8080/client/v4", "http://127.0.0.1:8080/client/v4"),
            ("http://[::1]:80", "http://[::1]:80"),
            ("http://localhost", "http://localhost"),
        ] {
            assert_eq!(base_url(good).unwrap(), base);
        }
        for bad in [
            "",
            "https://",
            "http://api.example.com",
            "http://127.0.0.1.example.com",
            "http://127.0.0.1@example.com/",
            "ftp://localhost",
            "api.example.com",
            "https://a?b",
            "http://localhost@example.com:1",
        ] {
            assert!(base_url(bad).is_err(), "{bad}");
        }
    }
}
