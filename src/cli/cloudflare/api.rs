//! The client of the API: one place that knows the token, the waits and the form of an answer.

use std::env;
use std::error::Error as StdError;
use std::io::Read as _;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use keygate_delivery::{Peer, is_untrusted, timeout, unreachable};
use reqwest::blocking::{Client, Response};
use reqwest::header::{DATE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Method, Url};
use rustls::crypto::ring;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::clock;
use crate::cloudflare::refusal::{ApiError, Permission, refusal};
use crate::error::{Error, Outcome};

pub(crate) const TOKEN_VARIABLE: &str = "CLOUDFLARE_API_TOKEN";
/// wrangler reads the same one.
const BASE_URL_VARIABLE: &str = "CLOUDFLARE_API_BASE_URL";
const BASE_URL: &str = "https://api.cloudflare.com/client/v4";
/// How many seconds one attempt may take, body and all, where the default does not fit the line.
const TIMEOUT_VARIABLE: &str = "KEYGATE_API_TIMEOUT";
/// 100 MB, the most that one call may send, in two minutes is 7 Mbit/s.
const TIMEOUT_SECS: u64 = 120;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Above any honest answer: 1,000 names with 1 KB of metadata each are 2 MB, 100 records of 16 KB are 2 MB.
const ANSWER_MAX_BYTES: u64 = 64 * 1024 * 1024;
/// The waits before the second attempt and each further one.
pub(super) const WAITS: [Duration; 4] =
    [Duration::from_millis(250), Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];
/// The longest wait between two attempts, as a person may be at the terminal; Cloudflare's own limit counts over five minutes.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// Cloudflare's API, with one token.
// Absent on purpose: Debug; it holds the token.
pub(crate) struct Api {
    client: Client,
    base: Url,
    token: Zeroizing<String>,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'c> {
    pub(crate) method: &'static str,
    /// The segments below the base URL.
    pub(crate) path: &'c [&'c str],
    pub(crate) query: &'c [(&'c str, &'c str)],
    /// JSON.
    pub(crate) body: Option<&'c [u8]>,
    /// The permission that the token needs for it.
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
    errors: Vec<ApiError>,
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

/// An attempt that failed.
struct Failed {
    error: Error,
    /// The same request may fare better in a moment.
    is_passing: bool,
    /// How long the answer asked to wait.
    retry_after: Option<Duration>,
}

impl Api {
    /// The API as the environment describes it.
    ///
    /// # Errors
    /// There is no token, or a variable cannot be used.
    pub(crate) fn from_environment() -> Outcome<Self> {
        let token = Zeroizing::new(env::var(TOKEN_VARIABLE).unwrap_or_default());
        if token.is_empty() {
            return Err(Error::usage(
                format!("there is no Cloudflare API token: {TOKEN_VARIABLE} is not set"),
                "make one (dash.cloudflare.com/profile/api-tokens) with the permission Account · Workers KV Storage: Edit, and set the variable to it; what `wrangler login` keeps is not read",
            ));
        }
        if !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Error::usage(
                format!("{TOKEN_VARIABLE} holds a blank or another character that no token has"),
                "use the token as it was shown, without quotes, blanks or `Bearer`",
            ));
        }
        let base = env::var(BASE_URL_VARIABLE).ok().filter(|url| !url.is_empty());
        let base = base_url(base.as_deref().unwrap_or(BASE_URL))?;
        Ok(Self { client: http_client()?, base, token })
    }

    /// Asks, as often as it makes sense, and returns the answer of a success.
    ///
    /// Every call that the program makes may be repeated: it reads, or it writes what it would write again.
    ///
    /// # Errors
    /// Cloudflare refused, could not be reached, or answered something else than its API does.
    pub(crate) fn ask<T: DeserializeOwned>(&self, call: &Call<'_>) -> Outcome<Answer<T>> {
        self.repeat(call, |status, body| answer(status, &body, call))
    }

    /// As [`Api::ask`], where a success is not JSON.
    ///
    /// # Errors
    /// As [`Api::ask`].
    pub(crate) fn ask_for_bytes(&self, call: &Call<'_>) -> Outcome<Vec<u8>> {
        self.repeat(
            call,
            |status, body| if is_success(status) { Ok(body) } else { Err(refused(status, &body, call)) },
        )
    }

    fn repeat<T>(&self, call: &Call<'_>, read: impl Fn(u16, Vec<u8>) -> Outcome<T>) -> Outcome<T> {
        let mut waits = WAITS.into_iter();
        // What an attempt may have done is not undone by a later one that is refused.
        let mut may_be_done = false;
        loop {
            let Failed { error, is_passing, retry_after } = match self.attempt(call, &read) {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            may_be_done |= error.is_unanswered();
            // An earlier attempt than the answer asked for is against the rules.
            let wait =
                waits.next().map(|wait| retry_after.unwrap_or(wait)).filter(|wait| *wait <= LONGEST_WAIT);
            match wait.filter(|_| is_passing) {
                Some(wait) => thread::sleep(wait),
                None if may_be_done => return Err(error.unanswered()),
                None => return Err(error),
            }
        }
    }

    fn attempt<T>(&self, call: &Call<'_>, read: impl Fn(u16, Vec<u8>) -> Outcome<T>) -> Result<T, Failed> {
        let sent = Timestamp::now();
        let response = self.send(call).map_err(|e| self.unreachable(call, &e))?;
        if let Some(date) = response.headers().get(DATE).and_then(|date| date.to_str().ok()) {
            clock::saw(date, sent);
        }
        let (status, retry_after) = (response.status().as_u16(), retry_after(&response));
        let mut body = Vec::new();
        response.take(ANSWER_MAX_BYTES).read_to_end(&mut body).map_err(|e| self.unreachable(call, &e))?;
        read(status, body).map_err(|error| Failed {
            error: if status >= 500 { error.unanswered() } else { error },
            is_passing: status >= 500 || status == 429,
            retry_after,
        })
    }

    fn send(&self, call: &Call<'_>) -> Result<Response, reqwest::Error> {
        let mut url = self.base.clone();
        // INVARIANT: an http URL can be a base.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(call.path);
        }
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(call.query);
        }
        let method = Method::from_bytes(call.method.as_bytes()).unwrap_or_default();
        let request = self.client.request(method, url).bearer_auth(self.token.as_str());
        let request = request.header("Content-Type", "application/json");
        request.body(call.body.unwrap_or_default().to_owned()).send()
    }

    /// What a request without an answer amounts to.
    fn unreachable(&self, call: &Call<'_>, error: &(dyn StdError + 'static)) -> Failed {
        let peer = Peer { name: self.base.as_str(), named_by: BASE_URL_VARIABLE, own_trust: None };
        let failed = unreachable(call.doing, peer, error);
        let is_untrusted = is_untrusted(error);
        Failed {
            error: if is_untrusted { failed } else { failed.unanswered() },
            is_passing: !is_untrusted,
            retry_after: None,
        }
    }
}

/// A client of HTTP, with the time that `KEYGATE_API_TIMEOUT` gives an attempt.
///
/// # Errors
/// The variable cannot be used, or this machine's certificates cannot be read.
pub(crate) fn http_client() -> Outcome<Client> {
    let timeout = timeout(TIMEOUT_VARIABLE, TIMEOUT_SECS, "an attempt")?;
    // Another part of the program may have chosen it before.
    let _ = ring::default_provider().install_default();
    // Trusts what the operator's machine trusts, so that a company's own proxy works as it does for wrangler.
    Client::builder()
        // What is asked with a token is not asked of somebody else.
        .redirect(Policy::none())
        .user_agent(concat!("keygate/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT.min(timeout))
        .timeout(timeout)
        .build()
        .map_err(|e| {
            Error::failed(
                format!("cannot prepare a connection: {e}"),
                "check this machine's trusted certificates (on Linux the package ca-certificates, or SSL_CERT_FILE)",
            )
        })
}

/// The seconds of a `Retry-After`. Cloudflare does not send its other form, a date.
fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

/// A token is not sent in the clear, but to this machine.
fn base_url(text: &str) -> Outcome<Url> {
    Url::parse(text).ok().filter(|_| keygate_delivery::may_carry_secrets(text)).ok_or_else(|| {
        Error::usage(
            format!("{BASE_URL_VARIABLE} is not the address of an API that a token may be sent to"),
            format!(
                "unset it, or give an https:// URL without user, query and fragment (http:// to this machine alone); the default is {BASE_URL}"
            ),
        )
    })
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

/// The error that an answer without success amounts to.
fn refused(status: u16, body: &[u8], call: &Call<'_>) -> Error {
    #[derive(Default, Deserialize)]
    struct Refused {
        #[serde(default)]
        errors: Vec<ApiError>,
    }
    // A proxy's page has no errors in JSON; the status says enough.
    let Refused { errors } = serde_json::from_slice(body).unwrap_or_default();
    refusal(status, &errors, call.needs, call.doing)
}

/// The answer of a success, or the error that another one amounts to.
fn answer<T: DeserializeOwned>(status: u16, body: &[u8], call: &Call<'_>) -> Outcome<Answer<T>> {
    if !is_success(status) {
        return Err(refused(status, body, call));
    }
    match serde_json::from_slice::<Answer<T>>(body) {
        Ok(answer) if answer.success => Ok(answer),
        Ok(answer) => Err(refusal(status, &answer.errors, call.needs, call.doing)),
        Err(e) => Err(Error::failed(
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
