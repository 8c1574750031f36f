//! The signature of a webhook: HMAC-SHA-256 of `<id>.<timestamp>.<body>`.
//!
//! Source: Standard Webhooks, "Verifying webhook authenticity".

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use base64ct::{Base64, Encoding as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::time::UnixSeconds;

const PREFIX: &str = "whsec_";
/// The bounds of Standard Webhooks.
const KEY_MIN_BYTES: usize = 24;
const KEY_MAX_BYTES: usize = 64;
/// The secret, and its predecessor or successor.
const KEYS_MAX: usize = 2;

/// What webhooks are signed with: one secret, or two while one replaces the other.
// Absent on purpose: Clone, Display, Serialize, PartialEq. The HMAC state zeroizes on drop.
pub struct WebhookSecret(Vec<Hmac<Sha256>>);

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(..)")
    }
}

/// Why a string is not a secret of webhooks. The error does not contain the string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WebhookSecretError {
    /// There is none, or there are more than two.
    #[error(
        "is not one secret, or two with white space between; `echo whsec_$(openssl rand -base64 32)` prints one"
    )]
    Count,
    /// Without `whsec_`, or not base64 after it.
    #[error("is not `whsec_` and base64 with padding; `echo whsec_$(openssl rand -base64 32)` prints one")]
    Form,
    /// Fewer than 24 or more than 64 bytes.
    #[error(
        "has fewer than {KEY_MIN_BYTES} or more than {KEY_MAX_BYTES} bytes; `echo whsec_$(openssl rand -base64 32)` prints one of 32"
    )]
    Length,
}

impl FromStr for WebhookSecret {
    type Err = WebhookSecretError;

    /// Reads one or two `whsec_<base64>`, separated by white space. Webhooks are signed with both.
    ///
    /// # Errors
    /// Every variant of [`WebhookSecretError`].
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let keys: Vec<_> = text.split_ascii_whitespace().map(parse).collect::<Result<_, _>>()?;
        if (1..=KEYS_MAX).contains(&keys.len()) { Ok(Self(keys)) } else { Err(WebhookSecretError::Count) }
    }
}

fn parse(text: &str) -> Result<Hmac<Sha256>, WebhookSecretError> {
    let base64 = text.strip_prefix(PREFIX).ok_or(WebhookSecretError::Form)?;
    let bytes = Zeroizing::new(Base64::decode_vec(base64).map_err(|_| WebhookSecretError::Form)?);
    if !(KEY_MIN_BYTES..=KEY_MAX_BYTES).contains(&bytes.len()) {
        return Err(WebhookSecretError::Length);
    }
    Hmac::new_from_slice(&bytes).map_err(|_| WebhookSecretError::Length)
}

impl WebhookSecret {
    /// The three headers that a webhook is sent with.
    #[must_use]
    pub fn headers(&self, id: &str, body: &str, now: UnixSeconds) -> [(&'static str, String); 3] {
        let timestamp = now.seconds().to_string();
        let sign = |key: &Hmac<Sha256>| {
            let mut mac = key.clone();
            for part in [id, ".", &timestamp, ".", body] {
                mac.update(part.as_bytes());
            }
            ["v1,", &Base64::encode_string(&mac.finalize().into_bytes())].concat()
        };
        let signatures: Vec<String> = self.0.iter().map(sign).collect();
        [
            ("webhook-id", id.to_string()),
            ("webhook-timestamp", timestamp),
            ("webhook-signature", signatures.join(" ")),
        ]
    }
}
