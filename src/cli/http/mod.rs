//! The one way out of this machine: HTTP with bounds on time and length, over what the machine trusts.

#[cfg(feature = "vault")]
mod retry;

#[cfg(feature = "vault")]
pub(crate) use retry::{Retries, retry_after};

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};

use crate::error::Error;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Who is asked, for messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer<'p> {
    pub(crate) base: &'p str,
    /// The variable that names it.
    pub(crate) named_by: &'p str,
    /// The variable that names certificates to be trusted for it alone, if there is one.
    pub(crate) own_trust: Option<&'p str>,
}

/// A client that trusts `roots` and gives every call, body and all, this long.
pub(crate) fn agent(roots: RootCerts, call_timeout: Duration) -> Agent {
    let tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        // By default what the operator's machine trusts, so that a company's own proxy works as it does for wrangler.
        .root_certs(roots)
        .build();
    Agent::config_builder()
        .tls_config(tls)
        .http_status_as_error(false)
        // What is asked with a token is not asked of somebody else.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("keygate/", env!("CARGO_PKG_VERSION")))
        .timeout_connect(Some(CONNECT_TIMEOUT.min(call_timeout)))
        .timeout_global(Some(call_timeout))
        .build()
        .into()
}

/// Whether a secret may be sent to the address: not in the clear, but to this machine.
pub(crate) fn may_carry_secrets(url: &str) -> bool {
    let loopback = |rest: &str| {
        let authority = rest.split('/').next().unwrap_or_default();
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        matches!(host, "127.0.0.1" | "localhost" | "[::1]")
    };
    let safe = url.strip_prefix("https://").is_some_and(|rest| !rest.is_empty())
        || url.strip_prefix("http://").is_some_and(loopback);
    safe && !url.contains(['?', '#', '@'])
}

/// Whether the same request may fare better in a moment.
pub(crate) fn is_passing(error: &ureq::Error) -> bool {
    matches!(
        error,
        ureq::Error::Timeout(_)
            | ureq::Error::Io(_)
            | ureq::Error::ConnectionFailed
            | ureq::Error::Protocol(_)
    ) && !is_tls(error)
}

/// Whether the two sides did not come to trust each other; rustls's errors come wrapped in those of the socket.
fn is_tls(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => true,
        ureq::Error::Io(error) => {
            error.get_ref().is_some_and(|inner| inner.downcast_ref::<rustls::Error>().is_some())
        }
        _ => false,
    }
}

/// Whether there is no such name; the system's own words for it come as an error of input and output.
fn is_unknown_host(error: &ureq::Error) -> bool {
    matches!(error, ureq::Error::HostNotFound) || error.to_string().contains("failed to lookup address")
}

/// The error that a request without an answer amounts to.
pub(crate) fn unreachable(doing: &str, peer: Peer<'_>, error: &ureq::Error) -> Error {
    let Peer { base, named_by, own_trust } = peer;
    let (problem, remedy) = match error {
        ureq::Error::Timeout(_) => (
            "did not answer in time",
            "check the network, then run the command again; a change that was sent may have been made"
                .to_owned(),
        ),
        _ if is_unknown_host(error) => (
            "has no address that this machine can find",
            format!("check {named_by}, the network and its name service"),
        ),
        _ if is_tls(error) => (
            "does not prove who it is",
            format!(
                "check this machine's clock and its trusted certificates (on Linux the package ca-certificates, or SSL_CERT_FILE{}); a proxy that opens TLS needs its certificate there",
                own_trust.map(|name| format!(", or {name}")).unwrap_or_default()
            ),
        ),
        ureq::Error::Io(_) | ureq::Error::ConnectionFailed => {
            ("cannot be reached", "check the network and HTTPS_PROXY, then run the command again".to_owned())
        }
        ureq::Error::BodyExceedsLimit(_) => {
            ("sent more than its API does", format!("check {named_by} and HTTPS_PROXY"))
        }
        _ => ("did not answer as HTTP wants it", format!("check {named_by} and HTTPS_PROXY")),
    };
    Error::failed(format!("{doing}: {base} {problem} ({error})"), remedy)
}
