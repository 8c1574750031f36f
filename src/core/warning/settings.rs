//! The variables and secrets of the warnings.

use alloc::string::String;
use core::ops::RangeInclusive;

use thiserror::Error;

use super::signature::{WebhookSecret, WebhookSecretError};
use crate::policy::origin::Authority;

/// As the gate's variable of this name, by which responses warn.
const EXPIRY_WARNING_DAYS: u64 = 14;
const DAYS: RangeInclusive<u64> = 0..=365;
const GATE_NAME_MAX_CHARS: usize = 64;

/// The values of the variables; `None` where one is not set.
// Absent on purpose: Debug.
#[derive(Clone, Copy, Default)]
pub struct Variables<'a> {
    /// `WEBHOOK_URL`.
    pub webhook_url: Option<&'a str>,
    /// `WEBHOOK_SECRET`.
    pub webhook_secret: Option<&'a str>,
    /// `EXPIRY_WARNING_DAYS`.
    pub expiry_warning_days: Option<&'a str>,
    /// `UNUSED_WARNING_DAYS`.
    pub unused_warning_days: Option<&'a str>,
    /// `GATE_NAME`.
    pub gate_name: Option<&'a str>,
    /// Whether `ALLOW_HTTP` is true.
    pub allow_http: bool,
}

/// What is warned of, and where to.
#[derive(Debug)]
pub struct Settings {
    /// Where webhooks are sent.
    pub url: WebhookUrl,
    /// What they are signed with.
    pub secret: WebhookSecret,
    /// How many days before its expiry a key is told; 0: never.
    pub expiry_days: u64,
    /// After how many days without a use; 0: never.
    pub unused_days: u64,
    /// What the webhook says of which gate it is.
    pub gate: Option<String>,
}

/// Why the variables are invalid. The error contains neither the URL, which may be secret, nor the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SettingsError {
    /// Not a URL to send to.
    #[error(
        "variable WEBHOOK_URL is not `https://host[:port]/path` in visible ASCII without a user name and a fragment (`http://` for this machine alone, with ALLOW_HTTP)"
    )]
    Url,
    /// There is a URL, and no secret.
    #[error("secret WEBHOOK_SECRET is missing; `echo whsec_$(openssl rand -base64 32)` prints one")]
    SecretMissing,
    /// The secret is invalid.
    #[error("secret WEBHOOK_SECRET {0}")]
    Secret(WebhookSecretError),
    /// Not a number of days.
    #[error("variable {0} is not a number of days from 0 to 365")]
    Days(&'static str),
    /// The name is too long, or not printable.
    #[error(
        "variable GATE_NAME is not a name: at most {GATE_NAME_MAX_CHARS} characters, no control characters"
    )]
    GateName,
}

impl Settings {
    /// Reads the variables. Without `WEBHOOK_URL` nobody is warned.
    ///
    /// # Errors
    /// Every variant of [`SettingsError`].
    pub fn parse(values: &Variables<'_>) -> Result<Option<Self>, SettingsError> {
        let Some(url) = set(values.webhook_url) else { return Ok(None) };
        let secret = set(values.webhook_secret).ok_or(SettingsError::SecretMissing)?;
        let gate = set(values.gate_name);
        if gate
            .is_some_and(|name| name.chars().count() > GATE_NAME_MAX_CHARS || name.contains(char::is_control))
        {
            return Err(SettingsError::GateName);
        }
        Ok(Some(Self {
            url: WebhookUrl::parse(url, values.allow_http)?,
            secret: secret.parse().map_err(SettingsError::Secret)?,
            expiry_days: days("EXPIRY_WARNING_DAYS", values.expiry_warning_days, EXPIRY_WARNING_DAYS)?,
            unused_days: days("UNUSED_WARNING_DAYS", values.unused_warning_days, 0)?,
            gate: gate.map(Into::into),
        }))
    }
}

/// An empty variable is not set.
fn set(value: Option<&str>) -> Option<&str> {
    value.filter(|value| !value.is_empty())
}

fn days(name: &'static str, value: Option<&str>, default: u64) -> Result<u64, SettingsError> {
    let Some(value) = set(value) else { return Ok(default) };
    value.parse().ok().filter(|days| DAYS.contains(days)).ok_or(SettingsError::Days(name))
}

/// Where webhooks are sent: `https://`, or `http://` to this machine.
// Absent on purpose: Display; a URL of a chat system is a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl(String);

impl core::fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("WebhookUrl(..)")
    }
}

impl WebhookUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`SettingsError::Url`].
    pub fn parse(text: &str, allow_http: bool) -> Result<Self, SettingsError> {
        let (scheme, rest) = text.split_once("://").ok_or(SettingsError::Url)?;
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let is_plain = text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'\\' | b'#'));
        let authority = Authority::parse(authority).map_err(|_| SettingsError::Url)?;
        let is_allowed = match scheme {
            "https" => true,
            "http" => allow_http && authority.host.is_loopback(),
            _ => false,
        };
        if is_plain && is_allowed { Ok(Self(text.into())) } else { Err(SettingsError::Url) }
    }

    /// The URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
