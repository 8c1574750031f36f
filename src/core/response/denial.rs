//! Why a request was turned away: what the log says (the cause) and what the caller is told (the code).
//!
//! Both are closed sets, and the one table from code to status, headers and text is [`Code::row`].

use alloc::borrow::Cow;
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::key::PepperId;
use crate::key::{KeyError, KeyId};
use crate::record::RecordError;
use crate::record::token::{Plan, Scope, Subject, joined};
use crate::request::credential::CredentialError;
use crate::request::path::PathError;
use crate::telemetry::event_kind::EventKind;
use crate::time::UnixSeconds;

/// The exact reason; it goes to the log and nowhere else.
#[derive(Clone, Debug)]
pub enum Cause {
    /// The request came by plain HTTP.
    PlainHttp,
    /// The method is not in the list of the gate or of the route.
    Method {
        /// The value of `Allow`.
        allow: String,
    },
    /// The path has more than one reading.
    Path(PathError),
    /// The query or a header names another method, for which another rule holds.
    MethodOverride,
    /// `Destination` leads to where another rule holds.
    Destination,
    /// The route is closed.
    RouteDenied,
    /// No configured place holds a credential.
    CredentialMissing,
    /// More than one credential, or one that cannot be told apart.
    Credential(CredentialError),
    /// The text is no key of this gate: no I/O was done for it.
    Key(KeyError),
    /// No record has this id.
    KeyUnknown,
    /// The record's digest is another key's.
    DigestMismatch,
    /// The id is on `DENIED_IDS`.
    KeyDenied,
    /// The record says revoked.
    KeyRevoked,
    /// The record says disabled.
    KeyDisabled,
    /// Its time is over.
    KeyExpired {
        /// The first second at which it was no longer good.
        not_after: UnixSeconds,
    },
    /// Its time has not come.
    KeyNotYetValid {
        /// The first second at which it will be good.
        not_before: UnixSeconds,
    },
    /// The client's address is in none of the record's networks, or is not known.
    Address,
    /// The route names its subjects, and this is none of them.
    SubjectNotAllowed,
    /// The route asks for scopes that the record does not have.
    ScopeMissing {
        /// All that the route asks for.
        required: Vec<Scope>,
    },
    /// The plan's limiter said no.
    RateLimited {
        /// The limiter's period.
        retry_after_secs: u32,
    },
    /// The record names a plan that `PLANS` does not.
    PlanUnknown(Plan),
    /// KV answered with an error, and no copy was kept.
    StoreFailed(String),
    /// KV did not answer in time, and no copy was kept.
    StoreTimeout,
    /// The limiter's binding failed.
    LimiterFailed(String),
    /// The record cannot be read.
    Record(RecordError),
    /// The record's digest was made with a pepper that this gate does not have.
    PepperUnknown(PepperId),
    /// The gate's own variables, secrets or bindings are wrong.
    Misconfigured(String),
    /// The wasm instance that handled the request ended; what the runtime said of it.
    GateFailed(String),
    /// The origin could not be reached.
    OriginUnreachable(String),
    /// The origin did not answer in time.
    OriginTimeout,
}

/// What the caller is told; a promise to clients, so that a code never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the codes; `row` says what each means")]
pub enum Code {
    CredentialMissing,
    CredentialAmbiguous,
    KeyInvalid,
    KeyExpired,
    KeyNotYetValid,
    KeyDisabled,
    KeyRevoked,
    IpNotAllowed,
    ScopeMissing,
    SubjectNotAllowed,
    RouteDenied,
    HttpsRequired,
    PathAmbiguous,
    MethodAmbiguous,
    DestinationNotAllowed,
    MethodNotAllowed,
    RateLimited,
    KeyStoreUnavailable,
    KeyRecordInvalid,
    GateMisconfigured,
    GateFailed,
    OriginUnreachable,
    OriginTimeout,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The code as clients read it.
    pub code: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// RFC 9457 `title`: the same for every occurrence.
    pub title: &'static str,
    /// RFC 9457 `detail`: what to do about it.
    pub detail: &'static str,
    /// The log event's name.
    pub event: EventKind,
}

impl Code {
    /// Every code, in the order of the table.
    pub const ALL: [Self; 23] = [
        Self::CredentialMissing,
        Self::CredentialAmbiguous,
        Self::KeyInvalid,
        Self::KeyExpired,
        Self::KeyNotYetValid,
        Self::KeyDisabled,
        Self::KeyRevoked,
        Self::IpNotAllowed,
        Self::ScopeMissing,
        Self::SubjectNotAllowed,
        Self::RouteDenied,
        Self::HttpsRequired,
        Self::PathAmbiguous,
        Self::MethodAmbiguous,
        Self::DestinationNotAllowed,
        Self::MethodNotAllowed,
        Self::RateLimited,
        Self::KeyStoreUnavailable,
        Self::KeyRecordInvalid,
        Self::GateMisconfigured,
        Self::GateFailed,
        Self::OriginUnreachable,
        Self::OriginTimeout,
    ];

    /// The table: what a code means, on the wire and in the log.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "it is the table, and there is to be one")]
    pub const fn row(self) -> Row {
        use EventKind::{AuthnFail, AuthzFail, InputFail, OriginFail, RateExceeded, SystemFail};
        let (code, status, title, detail, event) = match self {
            Self::CredentialMissing => (
                "credential_missing",
                401,
                "No API key",
                "Send an API key, for example as `Authorization: Bearer <key>`.",
                AuthnFail,
            ),
            Self::CredentialAmbiguous => (
                "credential_ambiguous",
                400,
                "More than one credential",
                "Send exactly one API key, once.",
                InputFail,
            ),
            Self::KeyInvalid => (
                "key_invalid",
                401,
                "API key not valid",
                "The API key is not valid here. Check that it was copied whole and belongs to this environment.",
                AuthnFail,
            ),
            Self::KeyExpired => (
                "key_expired",
                401,
                "API key expired",
                "The API key has expired. Ask for a new one.",
                AuthnFail,
            ),
            Self::KeyNotYetValid => (
                "key_not_yet_valid",
                401,
                "API key not valid yet",
                "The API key is not valid yet. Try again later.",
                AuthnFail,
            ),
            Self::KeyDisabled => (
                "key_disabled",
                401,
                "API key disabled",
                "The API key is disabled. Ask whoever issued it.",
                AuthnFail,
            ),
            Self::KeyRevoked => (
                "key_revoked",
                401,
                "API key revoked",
                "The API key was revoked and will not work again. Ask for a new one.",
                AuthnFail,
            ),
            Self::IpNotAllowed => (
                "ip_not_allowed",
                403,
                "Address not allowed",
                "The API key may not be used from this address.",
                AuthzFail,
            ),
            Self::ScopeMissing => (
                "scope_missing",
                403,
                "Scope missing",
                "The API key lacks a scope that this resource needs.",
                AuthzFail,
            ),
            Self::SubjectNotAllowed => (
                "subject_not_allowed",
                403,
                "Holder not allowed",
                "The holder of the API key may not use this resource.",
                AuthzFail,
            ),
            Self::RouteDenied => {
                ("route_denied", 403, "Closed", "This resource is closed to everybody.", AuthzFail)
            }
            Self::HttpsRequired => (
                "https_required",
                403,
                "HTTPS required",
                "Use https. A key that was sent over plain HTTP has to be replaced.",
                AuthzFail,
            ),
            Self::PathAmbiguous => (
                "path_ambiguous",
                400,
                "Ambiguous path",
                "The path has more than one reading. Send it in canonical form.",
                InputFail,
            ),
            Self::MethodAmbiguous => (
                "method_ambiguous",
                400,
                "Ambiguous method",
                "The query or a header names another method than the request's own. Send the request with that method.",
                InputFail,
            ),
            Self::DestinationNotAllowed => (
                "destination_not_allowed",
                403,
                "Destination not allowed",
                "The Destination header leads to where another rule holds than for the path.",
                AuthzFail,
            ),
            Self::MethodNotAllowed => (
                "method_not_allowed",
                405,
                "Method not allowed",
                "The methods that are allowed here stand in the Allow header.",
                InputFail,
            ),
            Self::RateLimited => (
                "rate_limited",
                429,
                "Too many requests",
                "The limit of the plan is reached. Wait for the time in Retry-After.",
                RateExceeded,
            ),
            Self::KeyStoreUnavailable => (
                "key_store_unavailable",
                503,
                "Key store unavailable",
                "The API key could not be checked. Try again after the time in Retry-After.",
                SystemFail,
            ),
            Self::KeyRecordInvalid => (
                "key_record_invalid",
                503,
                "Key record not readable",
                "The API key could not be checked. Tell whoever issued it.",
                SystemFail,
            ),
            Self::GateMisconfigured => (
                "gate_misconfigured",
                503,
                "Gate misconfigured",
                "The gate in front of this API is not set up correctly. Tell whoever runs it.",
                SystemFail,
            ),
            Self::GateFailed => (
                "gate_failed",
                503,
                "Gate failed",
                "The gate in front of this API failed while it handled the request. Try again.",
                SystemFail,
            ),
            Self::OriginUnreachable => (
                "origin_unreachable",
                502,
                "Origin unreachable",
                "The API key is good, but the API behind the gate could not be reached.",
                OriginFail,
            ),
            Self::OriginTimeout => (
                "origin_timeout",
                504,
                "Origin timeout",
                "The API key is good, but the API behind the gate did not answer in time.",
                OriginFail,
            ),
        };
        Row { code, status, title, detail, event }
    }
}

/// Seconds after which a caller may try again when the store or the gate fails: a KV read later.
const RETRY_AFTER_SECS: u32 = 5;

impl Cause {
    /// What the caller is told. Until the digest has matched, every cause of a bad key has one code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::PlainHttp => Code::HttpsRequired,
            Self::Method { .. } => Code::MethodNotAllowed,
            Self::Path(_) => Code::PathAmbiguous,
            Self::MethodOverride => Code::MethodAmbiguous,
            Self::Destination => Code::DestinationNotAllowed,
            Self::RouteDenied => Code::RouteDenied,
            Self::CredentialMissing => Code::CredentialMissing,
            Self::Credential(_) => Code::CredentialAmbiguous,
            Self::Key(_) | Self::KeyUnknown | Self::DigestMismatch => Code::KeyInvalid,
            Self::KeyDenied | Self::KeyRevoked => Code::KeyRevoked,
            Self::KeyDisabled => Code::KeyDisabled,
            Self::KeyExpired { .. } => Code::KeyExpired,
            Self::KeyNotYetValid { .. } => Code::KeyNotYetValid,
            Self::Address => Code::IpNotAllowed,
            Self::SubjectNotAllowed => Code::SubjectNotAllowed,
            Self::ScopeMissing { .. } => Code::ScopeMissing,
            Self::RateLimited { .. } => Code::RateLimited,
            Self::StoreFailed(_) | Self::StoreTimeout => Code::KeyStoreUnavailable,
            Self::Record(_) | Self::PepperUnknown(_) | Self::PlanUnknown(_) => Code::KeyRecordInvalid,
            Self::Misconfigured(_) | Self::LimiterFailed(_) => Code::GateMisconfigured,
            Self::GateFailed(_) => Code::GateFailed,
            Self::OriginUnreachable(_) => Code::OriginUnreachable,
            Self::OriginTimeout => Code::OriginTimeout,
        }
    }

    /// The exact reason in words, for the log.
    #[must_use]
    pub fn reason(&self) -> Cow<'static, str> {
        match self {
            Self::PlainHttp => "the request came by plain HTTP".into(),
            Self::Method { .. } => "the method is not allowed here".into(),
            Self::Path(fault) => fault.as_str().into(),
            Self::MethodOverride => {
                "the query or a header names a method for which another rule holds".into()
            }
            Self::Destination => "the Destination header leads to where another rule holds".into(),
            Self::RouteDenied => "the route is closed".into(),
            Self::CredentialMissing => "no configured place holds a credential".into(),
            Self::Credential(fault) => fault.as_str().into(),
            Self::Key(fault) => fault.as_str().into(),
            Self::KeyUnknown => "no record has this id".into(),
            Self::DigestMismatch => "the digest does not match".into(),
            Self::KeyDenied => "the id is on DENIED_IDS".into(),
            Self::KeyRevoked => "the record is revoked".into(),
            Self::KeyDisabled => "the record is disabled".into(),
            Self::KeyExpired { not_after } => format!("the key expired at {}", not_after.seconds()).into(),
            Self::KeyNotYetValid { not_before } => {
                format!("the key is good from {}", not_before.seconds()).into()
            }
            Self::Address => "the client's address is in none of the record's networks".into(),
            Self::SubjectNotAllowed => "the route does not name this subject".into(),
            Self::ScopeMissing { required } => format!("the route asks for `{}`", joined(required)).into(),
            Self::RateLimited { .. } => "the plan's limiter refused".into(),
            Self::PlanUnknown(plan) => format!("PLANS has no plan `{plan}`").into(),
            Self::StoreFailed(error) => format!("KV failed: {error}").into(),
            Self::StoreTimeout => "KV did not answer within KV_TIMEOUT_MS".into(),
            Self::LimiterFailed(error) => format!("the plan's limiter failed: {error}").into(),
            Self::Record(fault) => format!("the record cannot be read: {fault}").into(),
            Self::PepperUnknown(id) => {
                format!("the record's digest was made with pepper {id}, which this gate does not have").into()
            }
            Self::Misconfigured(what) => what.clone().into(),
            Self::GateFailed(what) => format!("the wasm instance ended: {what}").into(),
            Self::OriginUnreachable(error) => format!("the origin failed: {error}").into(),
            Self::OriginTimeout => "the origin did not answer within ORIGIN_TIMEOUT_SECONDS".into(),
        }
    }

    /// RFC 6750, section 3: a challenge with every 401, and with the 403 that more scope would cure.
    fn challenge(&self, realm: &str) -> Option<String> {
        match self.code() {
            Code::CredentialMissing => Some(format!("Bearer realm=\"{realm}\"")),
            Code::KeyInvalid
            | Code::KeyExpired
            | Code::KeyNotYetValid
            | Code::KeyDisabled
            | Code::KeyRevoked => Some(format!("Bearer realm=\"{realm}\", error=\"invalid_token\"")),
            Code::ScopeMissing => {
                let scope = match self {
                    Self::ScopeMissing { required } => joined(required),
                    _ => String::new(),
                };
                Some(format!("Bearer realm=\"{realm}\", error=\"insufficient_scope\", scope=\"{scope}\""))
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
            | Code::KeyStoreUnavailable
            | Code::KeyRecordInvalid
            | Code::GateMisconfigured
            | Code::GateFailed
            | Code::OriginUnreachable
            | Code::OriginTimeout => None,
        }
    }

    fn retry_after_secs(&self) -> Option<u32> {
        match self {
            Self::RateLimited { retry_after_secs } => Some(*retry_after_secs),
            // A fresh instance is there.
            Self::GateFailed(_) => Some(1),
            _ => (self.code().row().status == 503).then_some(RETRY_AFTER_SECS),
        }
    }
}

/// A refusal, and whom it concerns as far as that is known.
#[derive(Clone, Debug)]
pub struct Denial {
    /// The exact reason.
    pub cause: Cause,
    /// Known once the tag has matched.
    pub key_id: Option<KeyId>,
    /// Known once the digest has matched.
    pub subject: Option<Subject>,
}

impl From<Cause> for Denial {
    fn from(cause: Cause) -> Self {
        Self { cause, key_id: None, subject: None }
    }
}

/// A refusal as it goes out: all of it, but the request's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Header names in lower case, and their values.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    body: [String; 2],
}

impl Answer {
    /// RFC 9457 JSON, with `code`, `request_id` and (for clients of the Flask guides) `error`.
    #[must_use]
    pub fn body(&self, request_id: &str) -> String {
        let [before, after] = &self.body;
        [before, request_id, after].concat()
    }

    /// The body up to the request's id, and from there on.
    #[must_use]
    pub fn body_around_id(&self) -> [&str; 2] {
        self.body.each_ref().map(String::as_str)
    }
}

impl Denial {
    /// What the caller gets: a function of the code alone, but for `Allow`, `Retry-After`, the scopes and the request id.
    #[must_use]
    pub fn answer(&self, realm: &str) -> Answer {
        let Row { code, status, title, detail, .. } = self.cause.code().row();
        let mut headers: Vec<(&'static str, Cow<'static, str>)> = Vec::with_capacity(6);
        headers.push(("content-type", "application/problem+json".into()));
        headers.push(("cache-control", "no-store".into()));
        headers.push(("x-content-type-options", "nosniff".into()));
        if let Some(challenge) = self.cause.challenge(realm) {
            headers.push(("www-authenticate", challenge.into()));
        }
        if let Some(secs) = self.cause.retry_after_secs() {
            headers.push(("retry-after", secs.to_string().into()));
        }
        if let Cause::Method { allow } = &self.cause {
            headers.push(("allow", allow.clone().into()));
        }
        let status_text = status.to_string();
        // Constants of the table above: none of them holds a character that JSON escapes.
        let before_id = [
            "{\"type\":\"urn:problem-type:keygate:",
            code,
            "\",\"title\":\"",
            title,
            "\",\"status\":",
            &status_text,
            ",\"detail\":\"",
            detail,
            "\",\"code\":\"",
            code,
            "\",\"request_id\":\"",
        ];
        let after_id = if status == 401 { "\",\"error\":\"Unauthorized access\"}" } else { "\"}" };
        Answer { status, headers, body: [before_id.concat(), after_id.to_owned()] }
    }

    /// What [`Denial::answer`] depends on, as a number below 32; `None` where it depends on more than the code.
    #[must_use]
    pub fn kind(&self) -> Option<u8> {
        match &self.cause {
            Cause::Method { .. } | Cause::ScopeMissing { .. } | Cause::RateLimited { .. } => None,
            cause => {
                #[expect(clippy::as_conversions, reason = "the discriminant of an enum without fields")]
                let kind = cause.code() as u8;
                Some(kind)
            }
        }
    }
}

#[cfg(test)]
mod tests;
