//! The kinds of log events, and which refusal is logged as which.

use crate::response::Code;

/// The kind of a log event; the names are those of OWASP's logging vocabulary where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A request was accepted.
    Access,
    /// No valid key.
    AuthnFail,
    /// A valid key that may not access this resource.
    AuthzFail,
    /// The request is ambiguous.
    InputFail,
    /// The plan's limit was reached.
    RateExceeded,
    /// The gate or its store failed.
    SystemFail,
    /// The origin failed.
    OriginFail,
    /// The client disconnected.
    ClientDisconnect,
    /// A panic ended a wasm instance.
    Panic,
    /// Rejections that were counted and not logged.
    Suppressed,
    /// The day's warnings were sent, or there are none.
    Webhook,
    /// The day's warnings could not be sent.
    WebhookFail,
    /// The control Worker failed.
    ControlFail,
}

impl EventKind {
    /// The kind of event that a refusal with this code is logged as.
    #[must_use]
    pub const fn of_refusal(code: Code) -> Self {
        match code {
            Code::CredentialMissing
            | Code::CredentialMalformed
            | Code::KeyInvalid
            | Code::KeyExpired
            | Code::KeyNotYetValid
            | Code::KeyDisabled
            | Code::KeyRevoked => Self::AuthnFail,
            Code::IpNotAllowed
            | Code::ScopeMissing
            | Code::SubjectNotAllowed
            | Code::RouteDenied
            | Code::HttpsRequired
            | Code::DestinationNotAllowed => Self::AuthzFail,
            Code::CredentialAmbiguous
            | Code::PathAmbiguous
            | Code::MethodAmbiguous
            | Code::MethodNotAllowed
            | Code::TooManyHops => Self::InputFail,
            Code::RateLimited | Code::QuotaExceeded => Self::RateExceeded,
            Code::LoopDetected
            | Code::KeyStoreUnavailable
            | Code::KeyRecordInvalid
            | Code::QuotaUnavailable
            | Code::GateMisconfigured
            | Code::GateFailed => Self::SystemFail,
            Code::OriginUnreachable | Code::OriginTimeout => Self::OriginFail,
            Code::ClientDisconnected => Self::ClientDisconnect,
        }
    }

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
            Self::ClientDisconnect => "sys_client_disconnect",
            Self::Panic => "sys_crash",
            Self::Suppressed => "sys_log_suppressed",
            Self::Webhook => "sys_webhook",
            Self::WebhookFail => "sys_webhook_fail",
            Self::ControlFail => "sys_control_fail",
        }
    }

    /// `info`, `warn` or `error`.
    #[must_use]
    pub const fn level(self) -> &'static str {
        match self {
            Self::Access | Self::ClientDisconnect | Self::Webhook => "info",
            Self::AuthnFail | Self::AuthzFail | Self::InputFail | Self::RateExceeded | Self::Suppressed => {
                "warn"
            }
            Self::SystemFail | Self::OriginFail | Self::Panic | Self::WebhookFail | Self::ControlFail => {
                "error"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::EventKind;
    use crate::response::Code;
    use alloc::collections::BTreeSet;
    use std::vec::Vec;

    #[test]
    fn events_have_their_documented_names_and_levels() {
        let kinds: BTreeSet<_> = Code::ALL
            .into_iter()
            .map(EventKind::of_refusal)
            .chain([EventKind::Access, EventKind::Panic, EventKind::Suppressed])
            .chain([EventKind::Webhook, EventKind::WebhookFail, EventKind::ControlFail])
            .map(|kind| (kind.as_str(), kind.level()))
            .collect();
        assert_eq!(
            kinds.into_iter().collect::<Vec<_>>(),
            [
                ("authn_login_fail", "warn"),
                ("authn_login_success", "info"),
                ("authz_fail", "warn"),
                ("excess_rate_limit_exceeded", "warn"),
                ("input_validation_fail", "warn"),
                ("sys_client_disconnect", "info"),
                ("sys_control_fail", "error"),
                ("sys_crash", "error"),
                ("sys_gate_fail", "error"),
                ("sys_log_suppressed", "warn"),
                ("sys_origin_fail", "error"),
                ("sys_webhook", "info"),
                ("sys_webhook_fail", "error"),
            ]
        );
    }
}
