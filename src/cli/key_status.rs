//! The effective status of a key at one moment.

use clap::ValueEnum;
use keygate_core::record::{Record, State};
use keygate_core::time::UnixSeconds;
use serde::Serialize;

/// Whether the gate takes a key now, and why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) enum KeyStatus {
    /// The gate accepts it.
    Active,
    /// The key is not valid yet.
    // Not to be chosen: the metadata of an entry, which `list` filters by, does not tell.
    #[value(skip)]
    Pending,
    /// The key has expired.
    Expired,
    /// The gate refuses it until it is enabled again.
    Disabled,
    /// The gate refuses it for good.
    Revoked,
}

impl KeyStatus {
    /// In the gate's order: state, then time.
    pub(crate) fn of(
        state: State,
        not_before: Option<UnixSeconds>,
        not_after: Option<UnixSeconds>,
        now: UnixSeconds,
    ) -> Self {
        match keygate_delivery::KeyStatus::of(state, not_before, not_after, now) {
            keygate_delivery::KeyStatus::Active => Self::Active,
            keygate_delivery::KeyStatus::Pending => Self::Pending,
            keygate_delivery::KeyStatus::Expired => Self::Expired,
            keygate_delivery::KeyStatus::Disabled => Self::Disabled,
            keygate_delivery::KeyStatus::Revoked => Self::Revoked,
        }
    }

    /// The status of a key by its record.
    pub(crate) fn of_record(record: &Record, now: UnixSeconds) -> Self {
        Self::of(record.state, record.not_before, record.not_after, now)
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
