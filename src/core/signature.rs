//! HTTP message signatures (RFC 9421), by which the origin verifies that a request came through the gate.
//!
//! There is one signature, labelled and tagged `keygate`. It covers `@method`, `@authority`, `@path` and `@query` as the
//! origin receives them, and each of `content-digest`, `x-keygate-key-id`, `x-keygate-subject` and `x-keygate-scopes` that the
//! request has. An absent header cannot be covered, so an origin must refuse a request that has one of these uncovered.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::request::url::UrlParts;
use crate::time::UnixSeconds;

type HmacSha256 = Hmac<Sha256>;

/// The length of the hash: a shorter key is easier to guess than the hash.
const KEY_MIN_BYTES: usize = 32;
/// One block of SHA-256; HMAC hashes a longer key, which adds nothing.
const KEY_MAX_BYTES: usize = 64;
/// 32 random bytes have about 30 different values; bytes with fewer than 10 are not random.
const KEY_MIN_DISTINCT: usize = 10;
const KEY_ID_MAX_LEN: usize = 64;
/// The signing key, and its predecessor or successor.
const KEYS_MAX: usize = 2;
/// Two digests and their names are under 200 bytes; hashing a header of 100 KB would cost more than everything else.
const CONTENT_DIGEST_MAX_LEN: usize = 1024;
/// 128 bits: no two requests have the same nonce.
pub const NONCE_LEN: usize = 16;

/// The signing key in `ORIGIN_SIGNING_KEY`.
// Absent on purpose: Clone, Display, Serialize, PartialEq. The HMAC state zeroizes on drop.
pub struct SigningKey {
    /// The parameters that are constant: `;keyid="…";alg="hmac-sha256"`.
    parameters: Box<str>,
    /// The state after the key block, so that a request only hashes the message.
    state: HmacSha256,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, ..)", self.parameters)
    }
}

/// Why a string is not an `ORIGIN_SIGNING_KEY`. The error does not contain the string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SigningKeyError {
    /// There is no key in it.
    #[error("is empty; set it to `<id>:<base64 of 32 random bytes>`, or remove it")]
    Empty,
    /// More than two keys.
    #[error("contains more than two keys: the signing key, and its predecessor or successor")]
    TooMany,
    /// An entry without a colon.
    #[error("contains an entry that is not `<id>:<base64>`; separate two entries with white space")]
    Form,
    /// An id that a signature cannot contain.
    #[error("has a key id that is not 1 to {KEY_ID_MAX_LEN} characters of A-Z, a-z, 0-9, `.`, `_` and `-`")]
    Id,
    /// Not base64, or not in its one canonical form.
    #[error("contains a key that is not base64 with padding, as `openssl rand -base64 32` prints it")]
    Base64,
    /// Fewer than 32 or more than 64 bytes.
    #[error("contains a key of fewer than {KEY_MIN_BYTES} or more than {KEY_MAX_BYTES} bytes")]
    Length,
    /// Too few different bytes.
    #[error("contains a key with too few different bytes to be random")]
    Repetitive,
    /// Both keys have the same id, so that the origin could not tell them apart.
    #[error("has the same id for both keys")]
    SameId,
}

/// One `<id>:<base64>`.
struct Entry<'a> {
    id: &'a str,
    key: SigningKey,
}

impl<'a> Entry<'a> {
    fn parse(text: &'a str) -> Result<Self, SigningKeyError> {
        let (id, key) = text.split_once(':').ok_or(SigningKeyError::Form)?;
        // Nothing that a quoted string would have to escape.
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if !(1..=KEY_ID_MAX_LEN).contains(&id.len()) || !id.bytes().all(plain) {
            return Err(SigningKeyError::Id);
        }
        let bytes = Zeroizing::new(Base64::decode_vec(key).map_err(|_| SigningKeyError::Base64)?);
        if !(KEY_MIN_BYTES..=KEY_MAX_BYTES).contains(&bytes.len()) {
            return Err(SigningKeyError::Length);
        }
        if (0..=u8::MAX).filter(|b| bytes.contains(b)).count() < KEY_MIN_DISTINCT {
            return Err(SigningKeyError::Repetitive);
        }
        let state = HmacSha256::new_from_slice(&bytes).map_err(|_| SigningKeyError::Length)?;
        let parameters = [";keyid=\"", id, "\";alg=\"hmac-sha256\""].concat().into();
        Ok(Self { id, key: SigningKey { parameters, state } })
    }
}

impl SigningKey {
    /// Signs a request.
    ///
    /// # Errors
    /// [`SignatureError`]; the request must then not be sent.
    pub fn sign(
        &self,
        components: &SignedComponents<'_>,
        created: UnixSeconds,
        nonce: &[u8; NONCE_LEN],
    ) -> Result<Signature, SignatureError> {
        let url = UrlParts::of(components.url);
        let mut base = SignatureBase::default();
        base.derived("@method", components.method, "")?;
        base.derived("@authority", url.authority, "")?;
        base.derived("@path", url.path, "")?;
        // Without a query the value is `?` (section 2.2.7).
        base.derived("@query", "?", url.query.unwrap_or_default())?;
        let fields = [
            ("content-digest", components.content_digest.map(|digest| digest.0)),
            ("x-keygate-key-id", components.key_id),
            ("x-keygate-subject", components.subject),
            ("x-keygate-scopes", components.scopes),
        ];
        for (name, value) in fields {
            if let Some(value) = value {
                base.field(name, value)?;
            }
        }
        let created = created.seconds().to_string();
        let nonce = Base64UrlUnpadded::encode_string(nonce);
        let variable = [";created=", &created, &self.parameters, ";nonce=\"", &nonce, "\";tag=\"keygate\""];
        let (base, input) = base.finish(&variable.concat());
        Ok(Signature {
            input: ["keygate=", &input].concat(),
            signature: ["keygate=:", &self.mac(&base), ":"].concat(),
        })
    }

    fn mac(&self, base: &str) -> String {
        Base64::encode_string(&self.state.clone().chain_update(base).finalize().into_bytes())
    }
}

impl FromStr for SigningKey {
    type Err = SigningKeyError;

    /// Reads one or two `<id>:<base64>`, separated by white space; the first signs.
    ///
    /// The second is for the origin, which may be configured with the same value and accepts both. Here it is only checked.
    ///
    /// # Errors
    /// Every variant of [`SigningKeyError`].
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut entries = text.split_ascii_whitespace();
        let first = Entry::parse(entries.next().ok_or(SigningKeyError::Empty)?)?;
        for (at, other) in (1..).zip(entries) {
            if at >= KEYS_MAX {
                return Err(SigningKeyError::TooMany);
            }
            if Entry::parse(other)?.id == first.id {
                return Err(SigningKeyError::SameId);
            }
        }
        Ok(first.key)
    }
}

/// The components of a request that a signature covers, as the origin receives them; `None` for a header that is not sent.
#[derive(Clone, Copy, Debug)]
pub struct SignedComponents<'a> {
    /// The method.
    pub method: &'a str,
    /// The URL of the request; the origin receives its host and port as `Host`.
    pub url: &'a str,
    /// `Content-Digest`, as the client claims it (RFC 9530); the gate does not read bodies.
    pub content_digest: Option<ContentDigest<'a>>,
    /// `X-Keygate-Key-Id`.
    pub key_id: Option<&'a str>,
    /// `X-Keygate-Subject`.
    pub subject: Option<&'a str>,
    /// `X-Keygate-Scopes`.
    pub scopes: Option<&'a str>,
}

/// A client's `Content-Digest` that can be signed; any other is stripped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentDigest<'a>(&'a str); // INVARIANT: `is_field_value`, 1 to CONTENT_DIGEST_MAX_LEN

impl<'a> ContentDigest<'a> {
    /// Accepts a header value of 1 to 1024 characters of printable ASCII; the origin checks its meaning.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let fits = (1..=CONTENT_DIGEST_MAX_LEN).contains(&text.len()) && is_field_value(text);
        fits.then_some(Self(text))
    }

    /// The value to send.
    #[must_use]
    pub fn as_str(&self) -> &'a str {
        self.0
    }
}

/// A request cannot be signed; no request that `decide` permits is known to cause this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the request cannot be signed: `{component}` is not printable ASCII")]
pub struct SignatureError {
    component: &'static str,
}

/// The two headers of a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// `Signature-Input`.
    pub input: String,
    /// `Signature`.
    pub signature: String,
}

/// Builds a signature base (RFC 9421, section 2.5).
///
/// INVARIANT: one line for each component. Names are constants; a value contains no line feed, so it cannot begin a line.
#[derive(Default)]
struct SignatureBase {
    /// `"@method": GET` and a line feed, and so on.
    lines: String,
    /// `"@method" "@authority"`.
    covered: String,
}

impl SignatureBase {
    /// Adds a derived component; its value is passed in two parts.
    fn derived(&mut self, name: &'static str, first: &str, rest: &str) -> Result<(), SignatureError> {
        // Stricter than the RFC, which allows spaces: no method and no URL contains one.
        if [first, rest].iter().all(|piece| piece.bytes().all(|b| b.is_ascii_graphic())) {
            self.line(name, first, rest);
            Ok(())
        } else {
            Err(SignatureError { component: name })
        }
    }

    /// Adds a header by its name in lower case.
    fn field(&mut self, name: &'static str, value: &str) -> Result<(), SignatureError> {
        if is_field_value(value) {
            self.line(name, value, "");
            Ok(())
        } else {
            Err(SignatureError { component: name })
        }
    }

    fn line(&mut self, name: &'static str, first: &str, rest: &str) {
        if !self.covered.is_empty() {
            self.covered.push(' ');
        }
        for text in [&mut self.lines, &mut self.covered] {
            text.extend(["\"", name, "\""]);
        }
        self.lines.extend([": ", first, rest, "\n"]);
    }

    /// Returns the base, and the value of `Signature-Input`: the covered components and the parameters.
    fn finish(self, parameters: &str) -> (String, String) {
        let input = ["(", &self.covered, ")", parameters].concat();
        let mut base = self.lines;
        base.extend(["\"@signature-params\": ", &input]);
        (base, input)
    }
}

/// Whether all parsers read the same header value: printable ASCII, blanks only inside (section 2.1).
fn is_field_value(value: &str) -> bool {
    value.trim_ascii() == value && value.bytes().all(|b| b.is_ascii_graphic() || matches!(b, b' ' | b'\t'))
}

#[cfg(test)]
mod tests;
