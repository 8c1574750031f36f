//! What the secret managers' SDKs have in common: waiting for them, and the client of some.

use std::future::Future;

use tokio::runtime::{Builder, Runtime};

use crate::error::{Error, Result};
#[cfg(any(feature = "azure", feature = "vault"))]
use crate::no_answer::causes;

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
