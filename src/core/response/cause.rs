//! Why a request is refused, exactly. Only the log contains it; the caller gets the [`Code`].

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::code::Code;
use crate::key::{KeyError, PepperId};
use crate::quota::Remaining;
use crate::record::RecordError;
use crate::record::token::{Plan, Scope, joined};
use crate::request::credential::CredentialError;
use crate::request::path::PathError;
use crate::time::UnixSeconds;

/// The exact reason of a refusal, for the log only.
#[derive(Clone, Debug)]
pub enum Cause {
    /// The gate has forwarded the request before.
    Loop,
    /// The marks of too many other gates are in the request.
    TooManyHops,
    /// The request used plain HTTP.
    PlainHttp {
        /// The host and the port that the client used.
        authority: String,
        /// `ALLOW_HTTP`, which is for loopback only.
        allow_http: bool,
    },
    /// The gate or the route does not accept the method.
    Method {
        /// The value of `Allow`.
        allow: String,
    },
    /// The path is ambiguous or malformed.
    Path(PathError),
    /// The query or a header names another method, to which another rule applies.
    MethodOverride,
    /// Another rule applies to the path in `Destination`.
    Destination,
    /// The route has access `deny`.
    RouteDenied,
    /// No credential source contains a credential.
    CredentialMissing,
    /// The credential is ambiguous or malformed.
    Credential(CredentialError),
    /// The credential is not a key of this gate; it caused no I/O.
    Key(KeyError),
    /// The key's tag was made with none of the gate's peppers, which are named because all tags fail if the gate has the wrong one.
    Tag {
        /// `PEPPER`.
        current: PepperId,
        /// `PEPPER_PREVIOUS`.
        previous: Option<PepperId>,
    },
    /// No record has this id.
    KeyUnknown,
    /// The digest of the key is not the one in the record.
    DigestMismatch,
    /// `DENIED_IDS` contains the id.
    KeyDenied,
    /// The record's state is revoked.
    KeyRevoked,
    /// The record's state is disabled.
    KeyDisabled,
    /// The key has expired.
    KeyExpired {
        /// The first second at which it had expired.
        not_after: UnixSeconds,
    },
    /// The key is not valid yet.
    KeyNotYetValid {
        /// The first second at which it is valid.
        not_before: UnixSeconds,
    },
    /// The client's address is in none of the record's networks, or is unknown.
    Address,
    /// The route does not list the subject.
    SubjectNotAllowed,
    /// The record lacks scopes that the route requires.
    ScopeMissing {
        /// All scopes that the route requires.
        required: Vec<Scope>,
    },
    /// The rate limit of the plan is exceeded.
    RateLimited {
        /// The limiter's period.
        retry_after_secs: u32,
        /// The value of `RateLimit-Policy`, if there is something to say.
        policies: Option<String>,
    },
    /// The quota of the key does not suffice.
    QuotaExceeded {
        /// The value of `RateLimit-Policy`.
        policies: String,
        /// What is left.
        remaining: Remaining,
    },
    /// `PLANS` does not list the plan of the record.
    PlanUnknown(Plan),
    /// KV returned an error, and no copy is cached.
    StoreFailed(String),
    /// KV did not answer in time, and no copy is cached.
    StoreTimeout,
    /// The limiter's binding failed, or did not answer in time.
    LimiterFailed(String),
    /// The binding that counts the quota is missing, failed, or did not answer in time.
    QuotaFailed(String),
    /// The record is invalid.
    Record(RecordError),
    /// The record's digest was made with a pepper that this gate does not have.
    PepperUnknown(PepperId),
    /// The gate's own variables, secrets or bindings are wrong.
    Misconfigured(String),
    /// The wasm instance that handled the request ended; with the runtime's message.
    GateFailed(String),
    /// The origin could not be reached.
    OriginUnreachable {
        /// The runtime's message.
        error: String,
        /// The request has a body; the error is the same if it ended early.
        has_body: bool,
    },
    /// The origin did not answer in time.
    OriginTimeout,
    /// The client has disconnected while it sent the body.
    ClientDisconnected,
}

impl Cause {
    /// The code that the caller gets. Before the digest has matched, every cause of an invalid key has the same one.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Loop => Code::LoopDetected,
            Self::TooManyHops => Code::TooManyHops,
            Self::PlainHttp { .. } => Code::HttpsRequired,
            Self::Method { .. } => Code::MethodNotAllowed,
            Self::Path(_) => Code::PathAmbiguous,
            Self::MethodOverride => Code::MethodAmbiguous,
            Self::Destination => Code::DestinationNotAllowed,
            Self::RouteDenied => Code::RouteDenied,
            Self::CredentialMissing => Code::CredentialMissing,
            Self::Credential(CredentialError::Malformed(..)) => Code::CredentialMalformed,
            Self::Credential(_) => Code::CredentialAmbiguous,
            Self::Key(_) | Self::Tag { .. } | Self::KeyUnknown | Self::DigestMismatch => Code::KeyInvalid,
            Self::KeyDenied | Self::KeyRevoked => Code::KeyRevoked,
            Self::KeyDisabled => Code::KeyDisabled,
            Self::KeyExpired { .. } => Code::KeyExpired,
            Self::KeyNotYetValid { .. } => Code::KeyNotYetValid,
            Self::Address => Code::IpNotAllowed,
            Self::SubjectNotAllowed => Code::SubjectNotAllowed,
            Self::ScopeMissing { .. } => Code::ScopeMissing,
            Self::RateLimited { .. } => Code::RateLimited,
            Self::QuotaExceeded { .. } => Code::QuotaExceeded,
            Self::QuotaFailed(_) => Code::QuotaUnavailable,
            Self::StoreFailed(_) | Self::StoreTimeout => Code::KeyStoreUnavailable,
            Self::Record(_) | Self::PepperUnknown(_) | Self::PlanUnknown(_) => Code::KeyRecordInvalid,
            Self::Misconfigured(_) | Self::LimiterFailed(_) => Code::GateMisconfigured,
            Self::GateFailed(_) => Code::GateFailed,
            Self::OriginUnreachable { .. } => Code::OriginUnreachable,
            Self::OriginTimeout => Code::OriginTimeout,
            Self::ClientDisconnected => Code::ClientDisconnected,
        }
    }

    /// The reason in the log.
    #[must_use]
    pub fn reason(&self) -> Cow<'static, str> {
        match self {
            Self::Loop => "the gate has forwarded this request before: its origin leads back to it".into(),
            Self::TooManyHops => "Keygate-Via has the marks of too many other gates; a client may have sent them".into(),
            Self::PlainHttp { authority, allow_http } => format!(
                "the request used plain HTTP to `{authority}`; ALLOW_HTTP is {allow_http}, and allows it to localhost and loopback addresses only"
            )
            .into(),
            Self::Method { .. } => "the method is not allowed here".into(),
            Self::Path(error) => error.as_str().into(),
            Self::MethodOverride => {
                "the query or a header names a method to which another rule applies".into()
            }
            Self::Destination => "another rule applies to the path in the Destination header".into(),
            Self::RouteDenied => "the route denies all access".into(),
            Self::CredentialMissing => "no configured credential source contains a credential".into(),
            Self::Credential(error) => error.to_string().into(),
            Self::Key(error) => error.as_str().into(),
            Self::Tag { current, previous: None } => {
                format!("the key's tag does not match; the gate's pepper is {current}").into()
            }
            Self::Tag { current, previous: Some(previous) } => {
                format!("the key's tag does not match; the gate's peppers are {current} and {previous}").into()
            }
            Self::KeyUnknown => "no record has this id".into(),
            Self::DigestMismatch => "the digest does not match".into(),
            Self::KeyDenied => "the id is in DENIED_IDS".into(),
            Self::KeyRevoked => "the record is revoked".into(),
            Self::KeyDisabled => "the record is disabled".into(),
            Self::KeyExpired { not_after } => format!("the key expired at {}", not_after.seconds()).into(),
            Self::KeyNotYetValid { not_before } => {
                format!("the key is valid from {}", not_before.seconds()).into()
            }
            Self::Address => "the client's address is in none of the record's networks".into(),
            Self::SubjectNotAllowed => "the route does not list this subject".into(),
            Self::ScopeMissing { required } => format!("the route requires `{}`", joined(required)).into(),
            Self::RateLimited { .. } => "the rate limit of the plan is exceeded".into(),
            Self::QuotaExceeded { remaining, .. } => {
                format!("the quota is exceeded; {} units are left", remaining.units).into()
            }
            Self::PlanUnknown(plan) => format!("PLANS has no plan `{plan}`").into(),
            Self::StoreFailed(error) => format!("KV failed: {error}").into(),
            Self::StoreTimeout => "KV did not answer within KV_TIMEOUT_MS".into(),
            Self::LimiterFailed(error) => format!("the plan's limiter failed: {error}").into(),
            Self::QuotaFailed(error) => format!("the quota could not be counted: {error}").into(),
            Self::Record(error) => format!("the record is invalid: {error}").into(),
            Self::PepperUnknown(id) => {
                format!("the record's digest was made with pepper {id}, which this gate does not have").into()
            }
            Self::Misconfigured(what) => what.clone().into(),
            Self::GateFailed(what) => format!("the wasm instance ended: {what}").into(),
            Self::OriginUnreachable { error, has_body: false } => format!("the origin failed: {error}").into(),
            Self::OriginUnreachable { error, has_body: true } => {
                format!("the origin failed, or the client ended the connection before the body: {error}").into()
            }
            Self::OriginTimeout => "the origin did not answer within ORIGIN_TIMEOUT_SECONDS".into(),
            Self::ClientDisconnected => "the client disconnected before it had sent the whole body".into(),
        }
    }
}
