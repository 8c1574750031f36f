//! The effective status of a key.

use keygate_core::record::{Record, State};
use keygate_core::time::UnixSeconds;
use serde::Serialize;

/// Whether the gate accepts a key at one moment, and why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum KeyStatus {
    /// The gate accepts it.
    Active,
    /// Its validity has not begun.
    Pending,
    /// It has expired.
    Expired,
    /// It is switched off, and can be switched on.
    Disabled,
    /// It is refused for good.
    Revoked,
}

impl KeyStatus {
    /// The status in the gate's order: state, then time.
    #[must_use]
    pub fn of(
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
    #[must_use]
    pub fn of_record(record: &Record, now: UnixSeconds) -> Self {
        Self::of(record.state, record.not_before, record.not_after, now)
    }

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
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
    fn a_key_is_active_from_its_first_second_to_the_one_before_its_expiry() {
        let at = |seconds| UnixSeconds::new(seconds).unwrap();
        for (state, now, expected) in [
            (State::Active, 9, KeyStatus::Pending),
            (State::Active, 10, KeyStatus::Active),
            (State::Active, 19, KeyStatus::Active),
            (State::Active, 20, KeyStatus::Expired),
            (State::Disabled, 20, KeyStatus::Disabled),
            (State::Revoked, 20, KeyStatus::Revoked),
        ] {
            let status = KeyStatus::of(state, Some(at(10)), Some(at(20)), at(now));
            assert_eq!(status, expected, "{state:?} at {now}");
        }
        assert_eq!(KeyStatus::of(State::Active, None, None, at(0)), KeyStatus::Active);
    }
}
