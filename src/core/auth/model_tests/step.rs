//! The events that the model test generates.

use std::vec;

use proptest::prelude::{Just, any, prop, prop_oneof};
use proptest::strategy::Strategy;

/// An event in the life of a gate.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Issue {
        holder: bool,
        admin: bool,
        local: bool,
        starts_in: Option<u64>,
        ends_in: Option<u64>,
    },
    Rotate {
        key: usize,
        grace_secs: u64,
    },
    SetState {
        key: usize,
        state: State,
    },
    /// Someone deletes the entry, which `keygate` never does.
    Delete {
        key: usize,
    },
    /// Someone overwrites the entry with invalid data.
    Garble {
        key: usize,
    },
    Deny {
        key: usize,
    },
    MakeStatic {
        key: usize,
    },
    RotatePepper,
    Pass {
        ms: u64,
    },
    Kv(Kv),
    Ask {
        key: usize,
        path: &'static str,
        presented: Presented,
        inside: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Active,
    Disabled,
    Revoked,
}

/// How KV behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kv {
    Working,
    Failing,
    Hanging,
    /// It answers with the data from when it began to lag.
    Lagging,
}

/// The credential of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presented {
    Nothing,
    TheKey,
    /// With one character of its secret changed.
    AnotherSecret,
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let key = || any::<usize>();
    let secs = || prop::option::of(prop_oneof![1..10_u64, 10..400_u64]);
    let state = prop_oneof![Just(State::Active), Just(State::Disabled), Just(State::Revoked)];
    let kv = prop_oneof![4 => Just(Kv::Working), 2 => Just(Kv::Failing), 1 => Just(Kv::Hanging), 2 => Just(Kv::Lagging)];
    let presented = prop_oneof![1 => Just(Presented::Nothing), 8 => Just(Presented::TheKey), 1 => Just(Presented::AnotherSecret)];
    let path =
        prop::sample::select(vec!["/v1", "/v1", "/v1", "/admin/x", "/acme/x", "/public/x", "/closed/x"]);
    // Short times, and times just before and at a limit.
    let exact = prop::sample::select(vec![29_999_u64, 30_000, 119_999, 120_000, 149_999, 150_000]);
    let ms = prop_oneof![2 => 1..5_000_u64, 2 => exact, 1 => 1..400_000_u64];
    let issue = (
        any::<bool>(),
        any::<bool>(),
        prop::bool::weighted(0.2),
        prop::option::weighted(0.2, 1..60_u64),
        secs(),
    );
    prop_oneof![
        3 => issue.prop_map(|(holder, admin, local, starts_in, ends_in)| {
            Step::Issue { holder, admin, local, starts_in, ends_in }
        }),
        2 => (key(), prop_oneof![Just(0), 1..300_u64]).prop_map(|(key, grace_secs)| Step::Rotate { key, grace_secs }),
        3 => (key(), state).prop_map(|(key, state)| Step::SetState { key, state }),
        1 => key().prop_map(|key| Step::Delete { key }),
        1 => key().prop_map(|key| Step::Garble { key }),
        1 => key().prop_map(|key| Step::Deny { key }),
        1 => key().prop_map(|key| Step::MakeStatic { key }),
        1 => Just(Step::RotatePepper),
        6 => ms.prop_map(|ms| Step::Pass { ms }),
        3 => kv.prop_map(Step::Kv),
        12 => (key(), path, presented, any::<bool>())
            .prop_map(|(key, path, presented, inside)| Step::Ask { key, path, presented, inside }),
    ]
}
