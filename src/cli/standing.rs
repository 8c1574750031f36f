//! What a record amounts to at one moment.

use clap::ValueEnum;
use keygate_core::record::State;
use keygate_core::time::UnixSeconds;
use keygate_delivery::KeyStatus;
use serde::Serialize;

/// Whether the gate takes a key now, and why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Standing {
    /// The gate takes it.
    Active,
    /// Its time has not come.
    Pending,
    /// Its time is over.
    Expired,
    /// It is switched off, and can be switched on.
    Disabled,
    /// It is refused for good.
    Revoked,
}

impl Standing {
    /// In the gate's order: state, then time.
    pub(crate) fn of(
        state: State,
        not_before: Option<UnixSeconds>,
        not_after: Option<UnixSeconds>,
        now: UnixSeconds,
    ) -> Self {
        match KeyStatus::of(state, not_before, not_after, now) {
            KeyStatus::Active => Self::Active,
            KeyStatus::Pending => Self::Pending,
            KeyStatus::Expired => Self::Expired,
            KeyStatus::Disabled => Self::Disabled,
            KeyStatus::Revoked => Self::Revoked,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Pending => "pending",
            Self::Expired => "expired",
            Self::Disabled => "disabled",
            Self::Revoked => "revoked",
        }
    }
}
