//! Which of a client's headers are not forwarded.
//!
//! The origin must act on the request that the gate has checked. Servers, frameworks and middlewares take method, path, host, user,
//! address or file from headers. The headers that are known for this are in [`table`]. A header is also stripped if its name
//! contains a character that CGI-like interfaces map to another one (`X_Api_Key`, `SCRIPT_NAME`); nginx does the same.

mod table;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use thiserror::Error;

use table::find;
pub use table::{Family, TABLE};

use crate::request::via::VIA_HEADER;

/// Hop-by-hop headers (RFC 9110, section 7.6.1, and its predecessors).
const HOP_BY_HOP: [&str; 6] =
    ["keep-alive", "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding"];

/// The headers that the gate sets, whatever the client sent.
const SET_BY_GATE: [&str; 4] = [VIA_HEADER, "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];

/// The prefix of the headers that tell the origin who sent the request.
const IDENTITY_PREFIX: &str = "x-keygate-";

/// Headers that `FORWARD_HEADERS` must not list, nor a name that an origin could map to one of them.
const RESERVED: [&str; 9] = [
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "http2-settings",
    "upgrade",
    "via",
];

/// Headers that `Connection` cannot declare hop-by-hop: they frame or route the message.
const NOT_BY_CONNECTION: [&str; 6] =
    ["connection", "content-length", "content-type", "host", "transfer-encoding", "upgrade"];

const NAME_MAX_LEN: usize = 64;

/// Decides which headers are stripped: see [`HeaderFilter::is_stripped`].
#[derive(Clone, Debug, Default)]
pub struct HeaderFilter {
    allowed: Vec<Box<str>>,     // `FORWARD_HEADERS`. INVARIANT: lower case, none twice
    credentials: Vec<Box<str>>, // INVARIANT: a-z, 0-9 and `-`
}

/// Why a name cannot be listed in `FORWARD_HEADERS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum ForwardHeaderError {
    /// Not a header name in lower case.
    #[error(
        "is not a header name of 1 to {NAME_MAX_LEN} characters of a-z, 0-9, `-`, `_` and `.` that starts with a letter"
    )]
    Name,
    /// A header that the gate, the platform or HTTP itself sets, or a name that an origin could take for one.
    #[error(
        "is a header that the gate, the platform or HTTP itself sets, or a spelling that an origin could take for one"
    )]
    Reserved,
    /// The filter does not strip it.
    #[error("is forwarded by default; remove it")]
    NotStripped,
    /// It is listed already.
    #[error("is listed twice")]
    Twice,
}

/// The headers of a request that declare others to be hop-by-hop.
#[derive(Clone, Copy, Debug, Default)]
pub struct HopHeaders<'a> {
    /// `Connection`.
    pub connection: Option<&'a str>,
    /// `Upgrade`.
    pub upgrade: Option<&'a str>,
}

impl HeaderFilter {
    /// Creates a filter that also strips the headers `credentials`, named in lower case.
    pub(crate) fn new(credentials: &[Box<str>]) -> Self {
        Self { allowed: Vec::new(), credentials: credentials.into() }
    }

    /// Adds a name of `FORWARD_HEADERS`.
    ///
    /// # Errors
    /// Every variant of [`ForwardHeaderError`].
    pub(crate) fn allow(&mut self, name: &str) -> Result<(), ForwardHeaderError> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
        if name.len() > NAME_MAX_LEN
            || !name.starts_with(|c: char| c.is_ascii_lowercase())
            || !name.bytes().all(plain)
        {
            return Err(ForwardHeaderError::Name);
        }
        if self.is_reserved(name) {
            return Err(ForwardHeaderError::Reserved);
        }
        if self.allowed.iter().any(|allowed| **allowed == *name) {
            return Err(ForwardHeaderError::Twice);
        }
        if !self.is_stripped(name) {
            return Err(ForwardHeaderError::NotStripped);
        }
        self.allowed.push(name.into());
        Ok(())
    }

    /// Whether the header `name`, in lower case, is stripped whatever its value.
    #[must_use]
    pub fn is_stripped(&self, name: &str) -> bool {
        if let Some(inner) = grpc_metadata(name) {
            return SET_BY_GATE.contains(&inner) || RESERVED.contains(&inner) || self.is_stripped(inner);
        }
        if self.credentials.iter().any(|header| **header == *name)
            || name.starts_with(IDENTITY_PREFIX)
            || HOP_BY_HOP.contains(&name)
        {
            return true;
        }
        if SET_BY_GATE.contains(&name) {
            // Replaced, not stripped.
            return false;
        }
        let is_suspect = !name.bytes().all(is_plain) || find(name).is_some();
        is_suspect && !self.allowed.iter().any(|allowed| **allowed == *name)
    }

    /// The headers of a request that are not forwarded, in the order of `names`: one name per line, in lower case.
    ///
    /// An upgrade is forwarded only for a WebSocket, which starts with GET (RFC 6455, section 4.1): the runtime would turn
    /// any other method into GET, and the origin would get another request than the one that was checked.
    pub fn stripped<'n>(&self, method: &str, names: &'n str, hop: HopHeaders<'n>) -> Vec<&'n str> {
        let nominated = hop.connection.unwrap_or_default().split(',').map(str::trim_ascii);
        let mut nominated: Vec<String> =
            nominated.filter(|name| may_be_nominated(name)).map(str::to_ascii_lowercase).collect();
        // So that the work does not grow with the product of two lists that the client writes.
        nominated.sort_unstable();
        let is_nominated = |name: &str| nominated.binary_search_by(|other| other.as_str().cmp(name)).is_ok();
        let is_stripped = |name: &str| match name {
            // The runtime sets its own on the way to the origin.
            "connection" => false,
            "upgrade" => {
                let value = hop.upgrade.unwrap_or_default();
                method != "GET" || !value.eq_ignore_ascii_case("websocket")
            }
            _ => is_nominated(name) || self.is_stripped(name),
        };
        names.split('\n').filter(|name| !name.is_empty() && is_stripped(name)).collect()
    }

    /// Whether `name` is a header that the gate or HTTP itself sets, or one that an origin could take for it.
    fn is_reserved(&self, name: &str) -> bool {
        let is = |other: &str| name.bytes().map(folded).eq(other.bytes());
        let begins_with = |prefix: &str| {
            name.len() >= prefix.len() && name.bytes().map(folded).take(prefix.len()).eq(prefix.bytes())
        };
        begins_with(IDENTITY_PREFIX)
            || HOP_BY_HOP.iter().chain(&SET_BY_GATE).chain(&RESERVED).any(|header| is(header))
            || self.credentials.iter().any(|header| is(header))
            || (begins_with("cf-") && find(name).is_none())
            // `is_stripped` checks the name after the prefix; that name can be listed.
            || grpc_metadata(name).is_some()
            || (!name.bytes().all(is_plain) && TABLE.iter().any(|row| if row.is_prefix() { begins_with(row.name()) } else { is(row.name()) }))
    }
}

/// The headers by which some servers and frameworks override the request's method: the rows of [`Family::Method`] in the table.
pub const METHOD_HEADERS: [&str; 6] = [
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-method",
    "x-override-method",
    "x-requested-method",
];

/// Whether the header `name`, in lower case, is in the table of headers that override a part of the request.
pub(crate) fn is_override(name: &str) -> bool {
    find(name).is_some()
}

/// The name of the gRPC metadata that grpc-gateway makes of a header.
fn grpc_metadata(name: &str) -> Option<&str> {
    const PREFIX: &str = "grpc-metadata-";
    name.starts_with(PREFIX).then(|| name.trim_start_matches(PREFIX))
}

/// Whether no interface maps the character to another one.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

/// Maps a character as CGI does (RFC 3875, section 4.1.18), and as some servers do with every other sign.
fn folded(byte: u8) -> u8 {
    if is_plain(byte) { byte.to_ascii_lowercase() } else { b'-' }
}

/// Whether a sender may declare the header `name` to be hop-by-hop. `name` is in the sender's spelling.
fn may_be_nominated(name: &str) -> bool {
    let is_token = |b: u8| {
        b.is_ascii_alphanumeric()
            || matches!(b, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
    };
    // The platform sets these to describe the client.
    let begins_with_cf = name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("cf-"));
    // Those two are connection options, not headers.
    !matches!(name, "" | "close" | "keep-alive")
        && name.bytes().all(is_token)
        && !begins_with_cf
        && !NOT_BY_CONNECTION.iter().any(|kept| name.eq_ignore_ascii_case(kept))
}
