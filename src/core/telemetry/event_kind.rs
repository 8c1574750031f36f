//! The kinds of events, by their names in the log.

/// Names of events; where OWASP's logging vocabulary has a word for it, that word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A request was let through.
    Access,
    /// No valid key.
    AuthnFail,
    /// A valid key, but not for this.
    AuthzFail,
    /// The request has no single reading.
    InputFail,
    /// The plan's limit.
    RateExceeded,
    /// The gate or its store failed.
    SystemFail,
    /// The origin failed.
    OriginFail,
    /// A panic ended a wasm instance.
    Panic,
    /// Rejections that were not logged one by one.
    Suppressed,
}

impl EventKind {
    /// The event's name in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "authn_login_success",
            Self::AuthnFail => "authn_login_fail",
            Self::AuthzFail => "authz_fail",
            Self::InputFail => "input_validation_fail",
            Self::RateExceeded => "excess_rate_limit_exceeded",
            Self::SystemFail => "sys_gate_fail",
            Self::OriginFail => "sys_origin_fail",
            Self::Panic => "sys_crash",
            Self::Suppressed => "sys_log_suppressed",
        }
    }

    /// `info`, `warn` or `error`.
    #[must_use]
    pub const fn level(self) -> &'static str {
        match self {
            Self::Access => "info",
            Self::AuthnFail | Self::AuthzFail | Self::InputFail | Self::RateExceeded | Self::Suppressed => {
                "warn"
            }
            Self::SystemFail | Self::OriginFail | Self::Panic => "error",
        }
    }
}
