//! RFC 9421: what the gate signs of a request, so that the origin can tell that it came through the gate.
//!
//! The origin finds one signature, labelled and tagged `keygate`. It covers `@method`, `@authority`, `@path` and `@query`
//! as the origin sees them, and each of `content-digest`, `x-keygate-key-id`, `x-keygate-subject` and `x-keygate-scopes`
//! that the request has. A header that is absent cannot be covered: an origin must refuse one of these that is there
//! and not covered.

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

/// As long as the hash: with fewer the key, and not the hash, is what there is to guess.
const KEY_MIN_BYTES: usize = 32;
/// One block of SHA-256; HMAC hashes a longer key, and it gains nothing.
const KEY_MAX_BYTES: usize = 64;
/// 32 random bytes show some 30 different values; fewer than 10 are no random bytes.
const KEY_MIN_DISTINCT: usize = 10;
const KEY_ID_MAX_LEN: usize = 64;
/// The one that signs, and the one before or after it.
const KEYS_MAX: usize = 2;
/// Two digests and their names are under 200 bytes; to hash a header of 100 KB would cost more than all the rest.
const CONTENT_DIGEST_MAX_LEN: usize = 1024;
/// 128 bits: no two requests have the same.
pub const NONCE_LEN: usize = 16;

/// The key that signs, out of `ORIGIN_SIGNING_KEY`.
// Absent on purpose: Clone, Display, Serialize, PartialEq. The HMAC state zeroizes on drop.
pub struct SigningKey {
    /// The parameters that are the same in each signature: `;keyid="…";alg="hmac-sha256"`.
    parameters: Box<str>,
    /// The state after the key block, so that a request pays for the message alone.
    state: HmacSha256,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, ..)", self.parameters)
    }
}

/// Why a text is not `ORIGIN_SIGNING_KEY`. It never holds the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SigningKeyError {
    /// There is no key in it.
    #[error("is empty; set it to `<id>:<base64 of 32 random bytes>`, or remove it")]
    Empty,
    /// More than two keys.
    #[error("holds more than two keys: the one that signs, and one before or after it")]
    TooMany,
    /// An entry without a colon.
    #[error("holds what is no `<id>:<base64>`; two of them are separated by white space")]
    Form,
    /// An id that cannot stand in a signature.
    #[error("has a key id that is not 1 to {KEY_ID_MAX_LEN} characters of A-Z, a-z, 0-9, `.`, `_` and `-`")]
    Id,
    /// Not base64, or not in its one canonical form.
    #[error("holds a key that is not base64 with padding, as `openssl rand -base64 32` prints it")]
    Base64,
    /// Too few bytes, or more than HMAC-SHA-256 takes.
    #[error("holds a key of fewer than {KEY_MIN_BYTES} or more than {KEY_MAX_BYTES} bytes")]
    Length,
    /// Too few different bytes.
    #[error("holds a key that repeats too few bytes to be random")]
    Repetitive,
    /// Two keys, one id: the origin could not tell them apart.
    #[error("has one id for two keys")]
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
        // Nothing that would have to be escaped within quotes.
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
    /// Signs what the origin will see.
    ///
    /// # Errors
    /// [`Unsignable`]: the request must then not be sent, because nobody can vouch for it.
    pub fn sign(
        &self,
        sent: &Sent<'_>,
        created: UnixSeconds,
        nonce: &[u8; NONCE_LEN],
    ) -> Result<Signature, Unsignable> {
        let url = UrlParts::of(sent.url);
        let mut base = Base::default();
        base.derived("@method", sent.method, "")?;
        base.derived("@authority", url.authority, "")?;
        base.derived("@path", url.path, "")?;
        // Without a query the value is the mark alone (section 2.2.7).
        base.derived("@query", "?", url.query.unwrap_or_default())?;
        let fields = [
            ("content-digest", sent.content_digest.map(|digest| digest.0)),
            ("x-keygate-key-id", sent.key_id),
            ("x-keygate-subject", sent.subject),
            ("x-keygate-scopes", sent.scopes),
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
    /// The second is for the origin, which may be given the same text and takes either. Here it is checked and dropped.
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

/// What is signed of a request: what the origin sees, not what the client sent. `None` where a header is not sent.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    /// The method.
    pub method: &'a str,
    /// The whole URL that is asked for; the host and port of it are what the origin sees as `Host`.
    pub url: &'a str,
    /// `Content-Digest`, the client's own word about the body (RFC 9530); the gate does not read bodies.
    pub content_digest: Option<ContentDigest<'a>>,
    /// `X-Keygate-Key-Id`.
    pub key_id: Option<&'a str>,
    /// `X-Keygate-Subject`.
    pub subject: Option<&'a str>,
    /// `X-Keygate-Scopes`.
    pub scopes: Option<&'a str>,
}

/// A client's `Content-Digest` that can be signed; one that cannot does not go to the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentDigest<'a>(&'a str); // INVARIANT: `is_field_value`, 1 to CONTENT_DIGEST_MAX_LEN

impl<'a> ContentDigest<'a> {
    /// Takes a header value of 1 to 1024 characters of printable ASCII. What they say is between client and origin.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let fits = (1..=CONTENT_DIGEST_MAX_LEN).contains(&text.len()) && is_field_value(text);
        fits.then_some(Self(text))
    }

    /// The value, to be sent as it was signed.
    #[must_use]
    pub fn as_str(&self) -> &'a str {
        self.0
    }
}

/// A request that cannot be signed; no request that `decide` permits is known to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsignable {
    component: &'static str,
}

impl fmt::Display for Unsignable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the request cannot be signed: `{}` is not printable ASCII", self.component)
    }
}

/// The two headers of a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// `Signature-Input`.
    pub input: String,
    /// `Signature`.
    pub signature: String,
}

/// A signature base that is being built (RFC 9421, section 2.5).
///
/// INVARIANT: one line for each component. A name is ours; a value holds no line feed, so that it cannot begin a line.
#[derive(Default)]
struct Base {
    /// `"@method": GET` and a line feed, and so on.
    lines: String,
    /// `"@method" "@authority"`.
    covered: String,
}

impl Base {
    /// Adds a part of the request line; its value comes in two pieces.
    fn derived(&mut self, name: &'static str, first: &str, rest: &str) -> Result<(), Unsignable> {
        // Narrower than the RFC, which has spaces here: no method and no URL has one.
        if [first, rest].iter().all(|piece| piece.bytes().all(|b| b.is_ascii_graphic())) {
            self.line(name, first, rest);
            Ok(())
        } else {
            Err(Unsignable { component: name })
        }
    }

    /// Adds a header by its name in lower case.
    fn field(&mut self, name: &'static str, value: &str) -> Result<(), Unsignable> {
        if is_field_value(value) {
            self.line(name, value, "");
            Ok(())
        } else {
            Err(Unsignable { component: name })
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

    /// The whole base, and the signature's parameters with the list of what is covered before them.
    fn finish(self, parameters: &str) -> (String, String) {
        let input = ["(", &self.covered, ")", parameters].concat();
        let mut base = self.lines;
        base.extend(["\"@signature-params\": ", &input]);
        (base, input)
    }
}

/// Whether a value is the same to whoever reads it as a header: printable ASCII, blanks only inside (section 2.1).
fn is_field_value(value: &str) -> bool {
    value.trim_ascii() == value && value.bytes().all(|b| b.is_ascii_graphic() || matches!(b, b' ' | b'\t'))
}

#[cfg(test)]
mod tests;
