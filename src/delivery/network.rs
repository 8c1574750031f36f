//! What the secret managers' SDKs have in common: waiting for them, and what a request without an answer means.

use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::iter;

use tokio::runtime::{Builder, Runtime};

use crate::error::{Error, Result};

/// Runs what the SDKs do, on this thread.
#[derive(Debug)]
pub(crate) struct Blocking(Runtime);

impl Blocking {
    pub(crate) fn new() -> Result<Self> {
        Builder::new_current_thread().enable_all().build().map(Self).map_err(|e| {
            Error::failed(
                format!("cannot prepare to ask the secret manager: {e}"),
                "free some of this machine's threads and files, then run the command again",
            )
        })
    }

    pub(crate) fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.0.block_on(future)
    }
}

/// Who is asked, for messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer<'p> {
    pub(crate) name: &'p str,
    /// What says where it is.
    pub(crate) named_by: &'p str,
    /// The variable that names certificates to be trusted for it alone, if there is one.
    pub(crate) own_trust: Option<&'p str>,
}

/// The error that a request without an answer amounts to; `cannot` says what failed.
pub(crate) fn unreachable(cannot: &str, peer: Peer<'_>, error: &(dyn StdError + 'static)) -> Error {
    let Peer { name, named_by, own_trust } = peer;
    // Not the outer errors, which hold the whole address.
    let cause = causes(error).last().map(ToString::to_string).unwrap_or_default();
    let (problem, remedy) = if is_caused_by::<rustls::Error>(error) {
        let trust = own_trust.map(|name| format!(", or {name}")).unwrap_or_default();
        (
            "does not prove who it is",
            format!(
                "check this machine's clock and its trusted certificates (on Linux the package ca-certificates, or SSL_CERT_FILE{trust}); a proxy that opens TLS needs its certificate there"
            ),
        )
    } else if cause.contains("timed out") || cause.contains("timeout") {
        (
            "did not answer in time",
            "check the network, then run the command again; a change that was sent may have been made"
                .to_owned(),
        )
    } else if cause.contains("lookup address") {
        (
            "has no address that this machine can find",
            format!("check {named_by}, the network and its name service"),
        )
    } else {
        (
            "cannot be reached",
            format!("check the network, {named_by} and HTTPS_PROXY, then run the command again"),
        )
    };
    Error::failed(format!("{cannot}: {name} {problem} ({cause})"), remedy)
}

/// The error and what caused it, the outermost first. An I/O error's own cause may be what it was made of.
pub(crate) fn causes<'e>(
    error: &'e (dyn StdError + 'static),
) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    iter::successors(Some(error), |error| {
        let error: &'e (dyn StdError + 'static) = *error;
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        inner.map(|inner| inner as &'e (dyn StdError + 'static)).or_else(|| error.source())
    })
}

/// Whether one of the causes is of this type.
pub(crate) fn is_caused_by<E: StdError + 'static>(error: &(dyn StdError + 'static)) -> bool {
    causes(error).any(<dyn StdError>::is::<E>)
}

/// A client of the kind that the SDKs for Vault and Azure send their requests with.
///
/// Not their default one: it panics where the system has no certificates, and follows any redirect with the token.
///
/// # Errors
/// The system has no certificates, or those in `options` cannot be used.
#[cfg(any(feature = "azure", feature = "vault"))]
pub(crate) fn reqwest_client(
    options: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
) -> Result<reqwest::Client> {
    use std::time::Duration;
    // Fails where one was chosen before, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder()
        .user_agent(concat!("keygate/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(10))
        .timeout(Duration::from_secs(30));
    options(builder).build().map_err(|e| {
        let cause = causes(&e).last().map(ToString::to_string).unwrap_or_default();
        Error::failed(
            format!("cannot prepare to ask the secret manager: {cause}"),
            "see that this machine has trusted certificates (on Linux the package ca-certificates, or SSL_CERT_FILE)",
        )
    })
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::{Peer, unreachable};
    use crate::error::check;

    #[test]
    fn every_way_to_get_no_answer_says_what_to_do() {
        let peer = Peer { name: "vault", named_by: "VAULT_ADDR", own_trust: Some("VAULT_CACERT") };
        let other = io::Error::other::<&str>;
        for (error, problem, remedy) in [
            (
                io::Error::other(io::Error::other(rustls::Error::DecryptError)),
                "does not prove who it is",
                "SSL_CERT_FILE, or VAULT_CACERT",
            ),
            (other("operation timed out"), "did not answer in time", "may have been made"),
            (other("failed to lookup address information"), "has no address", "check VAULT_ADDR"),
            (io::ErrorKind::ConnectionRefused.into(), "cannot be reached", "HTTPS_PROXY"),
        ] {
            check(&unreachable("cannot read x", peer, &error), problem, remedy);
        }
    }
}
