//! How the SDKs' requests are sent: by the program's own HTTP client, on threads that may block.

use std::error::Error;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use ureq::Agent;
use ureq::http::uri::Authority;
use ureq::http::{Request, Response, Uri};
use ureq::tls::RootCerts;

use crate::fault::{Fault, Outcome};
use crate::http;

/// For one attempt; the SDKs make three or four.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Both services bound a secret: AWS to 64 KB, Azure to 25 KB. Tokens with many groups stay far below as well.
const ANSWER_MAX_BYTES: u64 = 1024 * 1024;

/// Waits for what the SDKs do; one thread, and others while requests are on their way.
#[derive(Debug)]
pub(super) struct Waiting(Runtime);

impl Waiting {
    pub(super) fn new() -> Outcome<Self> {
        Builder::new_current_thread().enable_all().build().map(Self).map_err(|e| {
            Fault::failed(
                format!("cannot prepare to ask the secret manager: {e}"),
                "free some of this machine's threads and files, then run the command again",
            )
        })
    }

    pub(super) fn on<T>(&self, future: impl Future<Output = T>) -> T {
        self.0.block_on(future)
    }
}

/// The client that SDKs are given.
#[derive(Clone, Debug)]
pub(super) struct Client {
    agent: Agent,
    /// At most this long for one request, where the SDK asks for it.
    at_most: Option<Duration>,
}

impl Client {
    pub(super) fn new() -> Self {
        Self::with_timeout(CALL_TIMEOUT)
    }

    pub(super) fn with_timeout(timeout: Duration) -> Self {
        Self { agent: http::agent(RootCerts::PlatformVerifier, timeout), at_most: None }
    }

    /// The same, for requests that are given up sooner: those to the metadata services of machines.
    #[cfg(feature = "aws")]
    pub(super) fn at_most(&self, timeout: Option<Duration>) -> Self {
        Self { agent: self.agent.clone(), at_most: timeout }
    }

    /// The status of an answer that comes at once from this machine's own link.
    #[cfg(feature = "azure")]
    pub(super) fn status_nearby(&self, url: &str, timeout: Duration) -> Option<u16> {
        let request = self.agent.get(url).config().proxy(None).timeout_global(Some(timeout)).build();
        request.call().ok().map(|answer| answer.status().as_u16())
    }

    /// Sends the request and reads the answer whole.
    pub(super) async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, ureq::Error> {
        let Self { agent, at_most } = self.clone();
        let task = move || {
            let uri = request.uri();
            if uri.scheme_str() != Some("https") && !is_near(uri) && !http::may_carry_secrets(&uri_text(uri))
            {
                return Err(ureq::Error::RequireHttpsOnly(uri.host().unwrap_or_default().to_owned()));
            }
            let is_near = is_near(request.uri());
            let mut config = agent.configure_request(request);
            if let Some(timeout) = at_most {
                config = config.timeout_global(Some(timeout));
            }
            if is_near {
                // No proxy can reach this machine's own services.
                config = config.proxy(None);
            }
            let response = agent.run(config.build())?;
            let (parts, mut body) = response.into_parts();
            let body = body.with_config().limit(ANSWER_MAX_BYTES).read_to_vec()?;
            Ok(Response::from_parts(parts, body))
        };
        let joined = tokio::task::spawn_blocking(task).await;
        joined.unwrap_or_else(|e| Err(ureq::Error::Io(io::Error::other(e))))
    }
}

/// The address without what follows the host.
fn uri_text(uri: &Uri) -> String {
    let part = |part: Option<&str>| part.unwrap_or_default().to_owned();
    format!("{}://{}", part(uri.scheme_str()), part(uri.authority().map(Authority::as_str)))
}

/// Whether the host is this machine, or on its own link: its cloud's metadata service, its tokens.
fn is_near(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    match host.parse() {
        Ok(IpAddr::V4(address)) => address.is_link_local() || address.is_loopback(),
        Ok(IpAddr::V6(address)) => address.is_unique_local() || address.is_loopback(),
        Err(_) => false,
    }
}

/// The error of this module's client that an SDK's error was made of.
pub(super) fn cause<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e ureq::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}
