//! What a request without an answer amounts to.

use std::error::Error as StdError;
use std::io;
use std::iter;

use crate::error::Error;

/// Who is asked, for messages.
#[derive(Clone, Copy, Debug)]
pub struct Peer<'p> {
    /// Its name, or its address.
    pub name: &'p str,
    /// What says where it is.
    pub named_by: &'p str,
    /// The variable that names certificates to be trusted for it alone, if there is one.
    pub own_trust: Option<&'p str>,
}

/// The error that a request without an answer amounts to; `cannot` says what failed.
#[must_use]
pub fn unreachable(cannot: &str, peer: Peer<'_>, error: &(dyn StdError + 'static)) -> Error {
    let Peer { name, named_by, own_trust } = peer;
    // Not the outer errors, which hold the whole address.
    let cause = causes(error).last().map(ToString::to_string).unwrap_or_default();
    let (problem, remedy) = if is_untrusted(error) {
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

/// Whether whoever was asked did not prove who it is.
#[must_use]
pub fn is_untrusted(error: &(dyn StdError + 'static)) -> bool {
    is_caused_by::<rustls::Error>(error)
}

/// Whether one of the causes is of this type.
pub(crate) fn is_caused_by<E: StdError + 'static>(error: &(dyn StdError + 'static)) -> bool {
    causes(error).any(<dyn StdError>::is::<E>)
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
