//! Where requests go: a URL, the zone's own origin, or another Worker.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};

use thiserror::Error;

use crate::request::path::{CanonicalPath, PathRules};

/// An origin that the gate forwards to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An HTTP server.
    Url(OriginUrl),
    /// The origin of the zone that the gate's own route is in: the same URL.
    Zone,
    /// A Worker behind the service binding of this name.
    Service(Box<str>), // INVARIANT: `is_binding_name`
}

/// `https://host[:port][/base]`, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginUrl {
    base: Box<str>,      // INVARIANT: scheme and authority as the URL standard writes them
    base_path: Box<str>, // INVARIANT: empty, or canonical, beginning with `/` and not ending with it
    is_loopback: bool,
}

/// Why a string is not an origin. The error does not contain the string: a URL may include a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OriginError {
    /// None of the three forms.
    #[error("is not {}", Self::FORMS)]
    Form,
    /// `http://` to a host that is not loopback, without `ALLOW_HTTP`.
    #[error("is plain HTTP to another machine; write https://, or set ALLOW_HTTP = true")]
    Http,
    /// A name or a password before the host.
    #[error(
        "has a user name or a password; set the secret ORIGIN_AUTHORIZATION for a credential of the origin"
    )]
    UserInfo,
    /// A query or a fragment.
    #[error("has a query or a fragment; an origin is `https://host[:port][/base]`")]
    Query,
    /// Not a host name in ASCII, an IPv4 address or an IPv6 address in brackets.
    #[error(
        "has an invalid host: it must be a name of a-z, 0-9, `-` and `_` in labels of 1 to 63 characters (punycode for others), an IPv4 address, or an IPv6 address in brackets"
    )]
    Host,
    /// Not a port from 1 to 65535.
    #[error("has an invalid port: it must be 1 to 65535 without a leading zero")]
    Port,
    /// A base path that is ambiguous.
    #[error(
        "has a base path that is not canonical: no `//`, no dot segments, and of other characters than A-Z, a-z and 0-9 only `-._~!$&'()*+,=:@`"
    )]
    Path,
    /// Not the name of a binding.
    #[error(
        "does not name a binding: 1 to 64 characters of A-Z, a-z, 0-9 and `_`, not starting with a digit"
    )]
    Binding,
}

impl OriginError {
    /// The forms of an origin, for error messages.
    pub(crate) const FORMS: &'static str =
        "an origin: `https://host[:port][/base]`, `zone` or `service:BINDING`";
}

impl Origin {
    /// Reads one of the three forms.
    ///
    /// # Errors
    /// Every variant of [`OriginError`].
    pub fn parse(text: &str, allow_http: bool) -> Result<Self, OriginError> {
        if text == "zone" {
            return Ok(Self::Zone);
        }
        if let Some(name) = text.strip_prefix("service:") {
            return if is_binding_name(name) {
                Ok(Self::Service(name.into()))
            } else {
                Err(OriginError::Binding)
            };
        }
        OriginUrl::parse(text, allow_http).map(Self::Url)
    }
}

/// Whether a string can name a binding: 1 to 64 characters of A-Z, a-z, 0-9 and `_`, not starting with a digit.
pub(crate) fn is_binding_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

impl OriginUrl {
    fn parse(text: &str, allow_http: bool) -> Result<Self, OriginError> {
        let (scheme, rest) = text.split_once("://").ok_or(OriginError::Form)?;
        let default_port = match scheme {
            "https" => 443,
            "http" => 80,
            _ => return Err(OriginError::Form),
        };
        let (authority, path) = match rest.find(['/', '?', '#', '\\']) {
            Some(end) => rest.split_at_checked(end).ok_or(OriginError::Form)?,
            None => (rest, ""),
        };
        if authority.contains('@') {
            return Err(OriginError::UserInfo);
        }
        if path.contains(['?', '#']) {
            return Err(OriginError::Query);
        }
        let authority = Authority::parse(authority)?;
        if scheme == "http" && !allow_http && !authority.host.is_loopback() {
            return Err(OriginError::Http);
        }
        let base = match authority.port {
            Some(port) if port != default_port => {
                alloc::format!("{scheme}://{}:{port}", authority.host)
            }
            _ => alloc::format!("{scheme}://{}", authority.host),
        };
        let is_loopback = authority.host.is_loopback();
        Ok(Self { base: base.into(), base_path: base_path(path)?.into(), is_loopback })
    }

    /// Scheme and authority: `https://api.example.com`.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Whether it is on the machine of whoever asks.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.is_loopback
    }

    /// The prefix of every forwarded path: `/v1`, or nothing.
    #[must_use]
    pub fn base_path(&self) -> &str {
        &self.base_path
    }

    /// The URL for a forwarded path, which begins with `/`, and a query without its `?`.
    #[must_use]
    pub fn url_for(&self, path: &str, query: Option<&str>) -> String {
        let query_len = query.map_or(0, |query| query.len() + 1);
        let mut url = String::with_capacity(self.base.len() + self.base_path.len() + path.len() + query_len);
        url.push_str(&self.base);
        url.push_str(&self.base_path);
        url.push_str(path);
        if let Some(query) = query {
            url.push('?');
            url.push_str(query);
        }
        url
    }
}

/// The base path without its trailing slash.
fn base_path(path: &str) -> Result<&str, OriginError> {
    if path.is_empty() {
        return Ok("");
    }
    let pchar = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@/".contains(&b);
    if !path.bytes().all(pchar) || CanonicalPath::parse(path, PathRules::default()).is_err() {
        return Err(OriginError::Path);
    }
    Ok(path.strip_suffix('/').unwrap_or(path))
}

/// Host and port of a URL.
pub(crate) struct Authority {
    pub(crate) host: Host,
    pub(crate) port: Option<u16>,
}

impl Authority {
    /// Reads `host[:port]`.
    ///
    /// # Errors
    /// [`OriginError::Host`] and [`OriginError::Port`].
    pub(crate) fn parse(text: &str) -> Result<Self, OriginError> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']').ok_or(OriginError::Host)?;
                let address = address.parse().map_err(|_| OriginError::Host)?;
                let port = match port.strip_prefix(':') {
                    None if port.is_empty() => None,
                    None => return Err(OriginError::Host),
                    Some(port) => Some(port),
                };
                (Host::V6(address), port)
            }
            None => match text.split_once(':') {
                Some((host, port)) => (Host::parse(host)?, Some(port)),
                None => (Host::parse(text)?, None),
            },
        };
        let port = port.map(parse_port).transpose()?;
        Ok(Self { host, port })
    }
}

fn parse_port(text: &str) -> Result<u16, OriginError> {
    // Not `0080` and not 0; `parse` accepts `+80`.
    if text.starts_with(['0', '+']) {
        return Err(OriginError::Port);
    }
    text.parse().map_err(|_| OriginError::Port)
}

/// The host of a URL.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Name(Box<str>), // INVARIANT: lower case
    V4(Ipv4Addr),
    V6(Ipv6Addr),
}

impl Host {
    fn parse(text: &str) -> Result<Self, OriginError> {
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        if text.len() > 253 || !text.split('.').all(label) {
            return Err(OriginError::Host);
        }
        let last = text.rsplit('.').next().unwrap_or_default();
        let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
        // The URL standard reads `127.1` and `0x7f.1` as IPv4 addresses; only the usual form is unambiguous.
        if last.bytes().all(|b| b.is_ascii_digit())
            || hex.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
        {
            return text.parse().map(Self::V4).map_err(|_| OriginError::Host);
        }
        Ok(Self::Name(text.to_ascii_lowercase().into()))
    }

    pub(crate) fn is_loopback(&self) -> bool {
        match self {
            Self::Name(name) => &**name == "localhost",
            Self::V4(address) => address.is_loopback(),
            Self::V6(address) => address.is_loopback(),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::V4(address) => address.fmt(f),
            Self::V6(address) => write!(f, "[{address}]"),
        }
    }
}

#[cfg(test)]
mod tests;
