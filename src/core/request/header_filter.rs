//! Which of a client's headers are not forwarded.
//!
//! What was judged must be what the origin acts on. Servers, frameworks and middlewares take method, path, host, user,
//! address or file from headers; those that are known to are in [`table`], and every header with a character in its name that
//! CGI-like interfaces fold into another one (`X_Api_Key`, `SCRIPT_NAME`) is dropped, as nginx drops it.

mod table;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use table::find;
pub use table::{Family, TABLE};

/// Headers for one hop only (RFC 9110, section 7.6.1, and its predecessors').
const HOP_BY_HOP: [&str; 6] =
    ["keep-alive", "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding"];

/// What the gate states itself, in place of whatever the client said under these names.
const STATED: [&str; 3] = ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];

/// The beginning of the names by which the origin learns who calls.
const IDENTITY_PREFIX: &str = "x-keygate-";

/// Headers that no name in `FORWARD_HEADERS` may be, or be taken for by an origin that folds names.
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

/// What `Connection` may not take away: what frames or routes the message.
const NOT_BY_CONNECTION: [&str; 6] =
    ["connection", "content-length", "content-type", "host", "transfer-encoding", "upgrade"];

const NAME_MAX_LEN: usize = 64;

/// The headers that stay at the gate: those that hold credentials, and all that [`HeaderFilter::is_stripped`] says.
#[derive(Clone, Debug, Default)]
pub struct HeaderFilter {
    allowed: Vec<Box<str>>,     // `FORWARD_HEADERS`. INVARIANT: lower case, none twice
    credentials: Vec<Box<str>>, // INVARIANT: a-z, 0-9 and `-`
}

/// Why a text cannot stand in `FORWARD_HEADERS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ForwardHeaderError {
    /// Not a header name in lower case.
    Name,
    /// A header that the gate or HTTP itself answers for, or one that an origin could take for it.
    Reserved,
    /// The filter does not drop it.
    NotDropped,
    /// It is in the list already.
    Twice,
}

impl fmt::Display for ForwardHeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => write!(
                f,
                "is not a header name of 1 to {NAME_MAX_LEN} characters of a-z, 0-9, `-`, `_` and `.`, a letter first"
            ),
            Self::Reserved => f.write_str(
                "is a header that the gate, the platform or HTTP itself sets, or a spelling that an origin could take for one",
            ),
            Self::NotDropped => f.write_str("is forwarded anyway; take it out"),
            Self::Twice => f.write_str("is in the list twice"),
        }
    }
}

/// The values of a request's headers that say which others are for this hop only.
#[derive(Clone, Copy, Debug, Default)]
pub struct HopHeaders<'a> {
    /// `Connection`.
    pub connection: Option<&'a str>,
    /// `Upgrade`.
    pub upgrade: Option<&'a str>,
}

impl HeaderFilter {
    /// A filter for a gate whose keys come in the headers `credentials`, named in lower case.
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
            return Err(ForwardHeaderError::NotDropped);
        }
        self.allowed.push(name.into());
        Ok(())
    }

    /// Whether the header `name`, in lower case, is dropped whatever it holds.
    #[must_use]
    pub fn is_stripped(&self, name: &str) -> bool {
        if let Some(inner) = grpc_metadata(name) {
            return STATED.contains(&inner) || RESERVED.contains(&inner) || self.is_stripped(inner);
        }
        if self.credentials.iter().any(|header| **header == *name)
            || name.starts_with(IDENTITY_PREFIX)
            || HOP_BY_HOP.contains(&name)
        {
            return true;
        }
        if STATED.contains(&name) {
            // Replaced, not dropped.
            return false;
        }
        let is_suspect = !name.bytes().all(is_plain) || find(name).is_some();
        is_suspect && !self.allowed.iter().any(|allowed| **allowed == *name)
    }

    /// The headers of a request that are not forwarded, in the order of `names`: one name a line, in lower case.
    ///
    /// An upgrade is forwarded only if it is a WebSocket's, and those begin with GET (RFC 6455, section 4.1): the runtime
    /// would turn any other method into one, and what was judged would not be what is forwarded.
    pub fn stripped<'n>(&self, method: &str, names: &'n str, hop: HopHeaders<'n>) -> Vec<&'n str> {
        let mut stripped = Vec::new();
        for name in names.split('\n').filter(|name| !name.is_empty()) {
            let is_stripped = match name {
                "connection" => {
                    let nominated = hop.connection.unwrap_or_default().split(',').map(str::trim_ascii);
                    stripped.extend(nominated.filter(|name| may_be_nominated(name)));
                    // It is the runtime's own on the way to the origin.
                    false
                }
                "upgrade" => {
                    let value = hop.upgrade.unwrap_or_default();
                    method != "GET" || !value.eq_ignore_ascii_case("websocket")
                }
                _ => self.is_stripped(name),
            };
            if is_stripped {
                stripped.push(name);
            }
        }
        stripped
    }

    /// Whether an origin that folds names could take `name` for a header that the gate or HTTP itself answers for.
    fn is_reserved(&self, name: &str) -> bool {
        let is = |other: &str| name.bytes().map(folded).eq(other.bytes());
        let begins_with = |prefix: &str| {
            name.len() >= prefix.len() && name.bytes().map(folded).take(prefix.len()).eq(prefix.bytes())
        };
        begins_with(IDENTITY_PREFIX)
            || HOP_BY_HOP.iter().chain(&STATED).chain(&RESERVED).any(|header| is(header))
            || self.credentials.iter().any(|header| is(header))
            || (begins_with("cf-") && find(name).is_none())
            // It is judged by its own name, which can be listed.
            || grpc_metadata(name).is_some()
            || (!name.bytes().all(is_plain) && TABLE.iter().any(|row| if row.is_prefix() { begins_with(row.name()) } else { is(row.name()) }))
    }
}

/// The headers by which some servers and frameworks take another method than the request's own: the table's rows of
/// [`Family::Method`].
pub const METHOD_HEADERS: [&str; 6] = [
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-method",
    "x-override-method",
    "x-requested-method",
];

/// Whether some software takes more than a value from the header `name`, which is in lower case.
pub(crate) fn is_override(name: &str) -> bool {
    find(name).is_some()
}

/// What grpc-gateway hands to the application as the name of gRPC metadata.
fn grpc_metadata(name: &str) -> Option<&str> {
    const PREFIX: &str = "grpc-metadata-";
    name.starts_with(PREFIX).then(|| name.trim_start_matches(PREFIX))
}

/// A character that no interface folds into another.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

/// As CGI folds names (RFC 3875, section 4.1.18), and as some servers fold every other sign.
fn folded(byte: u8) -> u8 {
    if is_plain(byte) { byte.to_ascii_lowercase() } else { b'-' }
}

/// Whether a sender may declare the header to be for this hop only. `name` is in the sender's spelling.
fn may_be_nominated(name: &str) -> bool {
    let is_token = |b: u8| {
        b.is_ascii_alphanumeric()
            || matches!(b, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
    };
    // The platform's word about the client.
    let begins_with_cf = name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("cf-"));
    // Those two are no headers, but words about the connection.
    !matches!(name, "" | "close" | "keep-alive")
        && name.bytes().all(is_token)
        && !begins_with_cf
        && !NOT_BY_CONNECTION.iter().any(|kept| name.eq_ignore_ascii_case(kept))
}
