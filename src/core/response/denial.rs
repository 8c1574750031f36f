//! A refusal: its cause, whom it concerns, and the response to the caller.

use alloc::borrow::{Cow, ToOwned};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::Value;

use super::cause::Cause;
use super::code::{Code, Row};
use super::wording::{ErrorFormat, Wording};
use crate::key::KeyId;
use crate::quota::POLICY;
use crate::record::token::{Subject, joined};

/// Seconds after which a caller may retry if the store or the gate fails.
const RETRY_AFTER_SECS: u64 = 5;

/// The limits of a key (draft-ietf-httpapi-ratelimit-headers-11).
pub const RATE_LIMIT_POLICY: &str = "ratelimit-policy";
/// The type of problem that it registers.
const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";
/// What is left of them.
pub const RATE_LIMIT: &str = "ratelimit";

impl Cause {
    /// RFC 6750, section 3: a challenge with every 401, and with the 403 for a missing scope.
    fn challenge(&self, wording: &Wording) -> Option<String> {
        let challenge = wording.challenge();
        match self.code() {
            Code::CredentialMissing => Some(challenge.to_owned()),
            Code::CredentialMalformed
            | Code::KeyInvalid
            | Code::KeyExpired
            | Code::KeyNotYetValid
            | Code::KeyDisabled
            | Code::KeyRevoked => Some(format!("{challenge}, error=\"invalid_token\"")),
            Code::ScopeMissing => {
                let scope = match self {
                    Self::ScopeMissing { required } => joined(required),
                    _ => String::new(),
                };
                Some(format!("{challenge}, error=\"insufficient_scope\", scope=\"{scope}\""))
            }
            Code::CredentialAmbiguous
            | Code::IpNotAllowed
            | Code::SubjectNotAllowed
            | Code::RouteDenied
            | Code::HttpsRequired
            | Code::PathAmbiguous
            | Code::MethodAmbiguous
            | Code::DestinationNotAllowed
            | Code::MethodNotAllowed
            | Code::RateLimited
            | Code::QuotaExceeded
            | Code::LoopDetected
            | Code::TooManyHops
            | Code::KeyStoreUnavailable
            | Code::KeyRecordInvalid
            | Code::QuotaUnavailable
            | Code::GateMisconfigured
            | Code::GateFailed
            | Code::OriginUnreachable
            | Code::OriginTimeout
            | Code::ClientDisconnected => None,
        }
    }

    fn retry_after_secs(&self) -> Option<u64> {
        match self {
            Self::RateLimited { retry_after_secs, .. } => Some((*retry_after_secs).into()),
            Self::QuotaExceeded { remaining, .. } => remaining.resets_in_secs,
            // There is a fresh instance already.
            Self::GateFailed(_) => Some(1),
            _ => (self.code().row().status == 503).then_some(RETRY_AFTER_SECS),
        }
    }
}

/// A refusal, with the key and its holder as far as they are known.
#[derive(Clone, Debug)]
pub struct Denial {
    /// The exact reason.
    pub cause: Cause,
    /// Known once the tag has matched; of an imported key, once there is a record.
    pub key_id: Option<KeyId>,
    /// Known once the digest has matched.
    pub subject: Option<Subject>,
}

impl From<Cause> for Denial {
    fn from(cause: Cause) -> Self {
        Self { cause, key_id: None, subject: None }
    }
}

/// The response to a refused request, without the request id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Header names in lower case, and their values.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    body: [String; 2],
}

impl Answer {
    /// A problem that is no refusal of a key, such as a question that is not understood; in the same form, with what is wrong here.
    #[must_use]
    pub fn of_problem(row: Row, here: &str) -> Self {
        let quoted = Value::from(here).to_string();
        let here = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default();
        Self { status: row.status, headers: headers(ErrorFormat::Problem), body: problem(row, here, None) }
    }

    /// The body: RFC 9457 JSON with `code`, `request_id` and (for clients of the Flask guides) `error`; or the format `openai`.
    #[must_use]
    pub fn body(&self, request_id: &str) -> String {
        let [before, after] = &self.body;
        [before, request_id, after].concat()
    }

    /// The parts of the body before and after the request id.
    #[must_use]
    pub fn body_around_id(&self) -> [&str; 2] {
        self.body.each_ref().map(String::as_str)
    }
}

impl Denial {
    /// The response: for a gate a function of the code alone, except for `Allow`, `Retry-After`, the scopes and the request id.
    #[must_use]
    pub fn answer(&self, wording: &Wording) -> Answer {
        let Row { code, status, detail, .. } = self.cause.code().row();
        let mut headers = headers(wording.format());
        if let Some(challenge) = self.cause.challenge(wording) {
            headers.push(("www-authenticate", challenge.into()));
        }
        if let Some(secs) = self.cause.retry_after_secs() {
            headers.push(("retry-after", secs.to_string().into()));
        }
        if let Cause::Method { allow } = &self.cause {
            headers.push(("allow", allow.clone().into()));
        }
        if let Cause::QuotaExceeded { policies, .. } | Cause::RateLimited { policies: Some(policies), .. } =
            &self.cause
        {
            headers.push((RATE_LIMIT_POLICY, policies.clone().into()));
        }
        if let Cause::QuotaExceeded { remaining, .. } = &self.cause {
            headers.push((RATE_LIMIT, remaining.header().into()));
        }
        let detail = match self.cause.code() {
            Code::CredentialMissing | Code::CredentialMalformed => format!("{detail} {}", wording.advice()),
            _ => detail.to_owned(),
        };
        // The constants of the table and the advice contain no character that JSON escapes.
        let body = match wording.format() {
            ErrorFormat::Problem => {
                let is_quota = self.cause.code() == Code::QuotaExceeded;
                problem(self.cause.code().row(), &detail, is_quota.then_some(QUOTA_EXCEEDED))
            }
            ErrorFormat::OpenAi => {
                let kind = openai_type(status);
                [
                    format!(
                        "{{\"error\":{{\"message\":\"{detail}\",\"type\":\"{kind}\",\"code\":\"{code}\",\"param\":null}},\"request_id\":\""
                    ),
                    "\"}".to_owned(),
                ]
            }
        };
        Answer { status, headers, body }
    }

    /// The number of the code, if [`Denial::answer`] depends on nothing else; below 32.
    #[must_use]
    pub fn kind(&self) -> Option<u8> {
        match &self.cause {
            Cause::Method { .. }
            | Cause::ScopeMissing { .. }
            | Cause::RateLimited { .. }
            | Cause::QuotaExceeded { .. } => None,
            cause => {
                #[expect(clippy::as_conversions, reason = "the discriminant of an enum without fields")]
                let kind = cause.code() as u8;
                Some(kind)
            }
        }
    }
}

fn headers(format: ErrorFormat) -> Vec<(&'static str, Cow<'static, str>)> {
    let content_type = match format {
        ErrorFormat::Problem => "application/problem+json",
        ErrorFormat::OpenAi => "application/json",
    };
    let mut headers = Vec::with_capacity(6);
    headers.push(("content-type", content_type.into()));
    headers.push(("cache-control", "no-store".into()));
    headers.push(("x-content-type-options", "nosniff".into()));
    headers
}

/// A problem document around the request id. `detail` contains no character that JSON escapes, or is escaped.
fn problem(row: Row, detail: &str, registered: Option<&str>) -> [String; 2] {
    let Row { code, status, title, .. } = row;
    let error = if status == 401 { ",\"error\":\"Unauthorized access\"" } else { "" };
    let (problem_type, policies) = match registered {
        // The same draft, section 5.
        Some(registered) => (registered.to_owned(), format!(",\"violated-policies\":[\"{POLICY}\"]")),
        None => (format!("urn:problem-type:keygate:{code}"), String::new()),
    };
    [
        format!(
            "{{\"type\":\"{problem_type}\",\"title\":\"{title}\",\"status\":{status},\"detail\":\"{detail}\",\"code\":\"{code}\",\"request_id\":\""
        ),
        format!("\"{error}{policies}}}"),
    ]
}

/// The `type` of an error in the format `openai`.
fn openai_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}
