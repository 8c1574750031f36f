//! The codes that callers get, and the one table of their statuses and texts.

/// The reason of a refusal as the caller gets it. Clients rely on codes, so a code never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the codes; `row` describes each")]
pub enum Code {
    CredentialMissing,
    CredentialMalformed,
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
    QuotaExceeded,
    LoopDetected,
    TooManyHops,
    KeyStoreUnavailable,
    KeyRecordInvalid,
    QuotaUnavailable,
    GateMisconfigured,
    GateFailed,
    OriginUnreachable,
    OriginTimeout,
    ClientDisconnected,
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
    /// RFC 9457 `detail`: what to do about it. How a key is to be sent is added to those of a missing or malformed credential.
    pub detail: &'static str,
}

impl Code {
    /// Every code, in the order of the table.
    pub const ALL: [Self; 29] = [
        Self::CredentialMissing,
        Self::CredentialMalformed,
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
        Self::QuotaExceeded,
        Self::LoopDetected,
        Self::TooManyHops,
        Self::KeyStoreUnavailable,
        Self::KeyRecordInvalid,
        Self::QuotaUnavailable,
        Self::GateMisconfigured,
        Self::GateFailed,
        Self::OriginUnreachable,
        Self::OriginTimeout,
        Self::ClientDisconnected,
    ];

    /// Whether the request was accepted, and forwarding it failed.
    #[must_use]
    pub const fn is_of_forwarding(self) -> bool {
        matches!(self, Self::OriginUnreachable | Self::OriginTimeout | Self::ClientDisconnected)
    }

    /// The table: the response for each code.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "a table, which is not split")]
    pub const fn row(self) -> Row {
        let (code, status, title, detail) = match self {
            Self::CredentialMissing => {
                ("credential_missing", 401, "No API key", "The request contains no API key.")
            }
            Self::CredentialMalformed => (
                "credential_malformed",
                401,
                "API key in a wrong form",
                "The request contains an API key in quotes, after a wrong scheme or in other text.",
            ),
            Self::CredentialAmbiguous => {
                ("credential_ambiguous", 400, "More than one credential", "Send exactly one API key, once.")
            }
            Self::KeyInvalid => (
                "key_invalid",
                401,
                "API key not valid",
                "The API key is not valid here. Check that it was copied whole and belongs to this environment.",
            ),
            Self::KeyExpired => {
                ("key_expired", 401, "API key expired", "The API key has expired. Ask for a new one.")
            }
            Self::KeyNotYetValid => (
                "key_not_yet_valid",
                401,
                "API key not valid yet",
                "The API key is not valid yet. Try again later.",
            ),
            Self::KeyDisabled => {
                ("key_disabled", 401, "API key disabled", "The API key is disabled. Ask its issuer.")
            }
            Self::KeyRevoked => (
                "key_revoked",
                401,
                "API key revoked",
                "The API key was revoked and will not work again. Ask for a new one.",
            ),
            Self::IpNotAllowed => (
                "ip_not_allowed",
                403,
                "Address not allowed",
                "The API key may not be used from this address.",
            ),
            Self::ScopeMissing => {
                ("scope_missing", 403, "Scope missing", "The API key lacks a scope that this resource needs.")
            }
            Self::SubjectNotAllowed => (
                "subject_not_allowed",
                403,
                "Holder not allowed",
                "The holder of the API key may not use this resource.",
            ),
            Self::RouteDenied => {
                ("route_denied", 403, "Route denied", "No API key gives access to this resource.")
            }
            Self::HttpsRequired => (
                "https_required",
                403,
                "HTTPS required",
                "Use https. Replace the API key if it was sent over plain HTTP.",
            ),
            Self::PathAmbiguous => {
                ("path_ambiguous", 400, "Ambiguous path", "The path is ambiguous. Send it in canonical form.")
            }
            Self::MethodAmbiguous => (
                "method_ambiguous",
                400,
                "Ambiguous method",
                "The query or a header names another method than the request's own. Send the request with that method.",
            ),
            Self::DestinationNotAllowed => (
                "destination_not_allowed",
                403,
                "Destination not allowed",
                "Another access rule applies to the path in the Destination header.",
            ),
            Self::MethodNotAllowed => (
                "method_not_allowed",
                405,
                "Method not allowed",
                "The Allow header lists the allowed methods.",
            ),
            Self::RateLimited => (
                "rate_limited",
                429,
                "Too many requests",
                "The rate limit of the plan is exceeded. Wait for the time in Retry-After.",
            ),
            Self::QuotaExceeded => (
                "quota_exceeded",
                429,
                "Quota exceeded",
                "The quota of the API key does not suffice for this request. The RateLimit header says how much of it is left.",
            ),
            Self::LoopDetected => (
                "loop_detected",
                508,
                "Loop detected",
                "The gate in front of this API forwards to itself. Contact its operator.",
            ),
            Self::TooManyHops => (
                "too_many_hops",
                400,
                "Too many hops",
                "The Keygate-Via header names too many gates. Send the request without it.",
            ),
            Self::KeyStoreUnavailable => (
                "key_store_unavailable",
                503,
                "Key store unavailable",
                "The API key could not be checked. Try again after the time in Retry-After.",
            ),
            Self::KeyRecordInvalid => (
                "key_record_invalid",
                503,
                "Key record invalid",
                "The API key could not be checked. Contact its issuer.",
            ),
            Self::QuotaUnavailable => (
                "quota_unavailable",
                503,
                "Quota unavailable",
                "The quota of the API key could not be checked. Try again after the time in Retry-After.",
            ),
            Self::GateMisconfigured => (
                "gate_misconfigured",
                503,
                "Gate misconfigured",
                "The gate in front of this API is not configured correctly. Contact its operator.",
            ),
            Self::GateFailed => (
                "gate_failed",
                503,
                "Gate failed",
                "The gate in front of this API failed while it handled the request. Try again.",
            ),
            Self::OriginUnreachable => (
                "origin_unreachable",
                502,
                "Origin unreachable",
                "The gate accepted the request, but could not reach the API behind it.",
            ),
            Self::OriginTimeout => (
                "origin_timeout",
                504,
                "Origin timeout",
                "The gate accepted the request, but the API behind it did not respond in time.",
            ),
            // The status that nginx logs; the client does not get it.
            Self::ClientDisconnected => (
                "client_disconnected",
                499,
                "Client disconnected",
                "The client disconnected before it had sent the whole body.",
            ),
        };
        Row { code, status, title, detail }
    }
}
