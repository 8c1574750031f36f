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
        match state {
            State::Revoked => Self::Revoked,
            State::Disabled => Self::Disabled,
            State::Active if not_after.is_some_and(|end| now >= end) => Self::Expired,
            State::Active if not_before.is_some_and(|start| now < start) => Self::Pending,
            State::Active => Self::Active,
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

#[cfg(test)]
mod tests {
    use super::KeyStatus;
    use keygate_core::record::State;
    use keygate_core::time::UnixSeconds;

    #[test]
    fn a_key_is_valid_from_its_first_second_to_the_one_before_its_expiry() {
        let at = |seconds| UnixSeconds::new(seconds).unwrap();
        let status = |state, now| KeyStatus::of(state, Some(at(10)), Some(at(20)), at(now));
        for (state, now, expected) in [
            (State::Active, 9, KeyStatus::Pending),
            (State::Active, 10, KeyStatus::Active),
            (State::Active, 19, KeyStatus::Active),
            (State::Active, 20, KeyStatus::Expired),
            (State::Disabled, 20, KeyStatus::Disabled),
            (State::Revoked, 20, KeyStatus::Revoked),
        ] {
            assert_eq!(status(state, now), expected, "{state:?} at {now}");
        }
        assert_eq!(KeyStatus::of(State::Active, None, None, at(0)), KeyStatus::Active);
    }
}
