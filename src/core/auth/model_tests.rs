//! The gate's decisions over time, compared with a simple model of what the documents promise.
//!
//! A random series of what operators, clients, the clock and KV do is applied to both. The real side is the core, assembled as
//! the gate does it (steps 2 to 9); the model is a list of facts.

mod model;
mod step;
mod world;

use std::collections::BTreeMap;
use std::format;
use std::string::String;

use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};

use step::{Kv, Presented, State, Step, step};
use world::{CACHE_SECS, STALE_SECS, START_MS, World};

fn with_another_secret(text: &str) -> String {
    let (before, after) = text.split_at(30);
    let other = if after.starts_with('A') { 'B' } else { 'A' };
    format!("{before}{other}{}", &after[1..])
}

proptest! {
    #[test]
    fn gate_decides_as_the_model(steps in prop::collection::vec(step(), 1..80)) {
        let mut world = World::new();
        // When each key was revoked in KV.
        let mut revoked_at: BTreeMap<usize, u64> = BTreeMap::new();
        // Since when KV works.
        let mut working_since = START_MS;
        for step in &steps {
            let was = world.kv;
            world.apply(step);
            if was != Kv::Working && world.kv == Kv::Working {
                working_since = world.now_ms;
            }
            for (at, facts) in &world.store {
                if facts.as_ref().is_some_and(|facts| facts.state == State::Revoked) {
                    revoked_at.entry(*at).or_insert(world.now_ms);
                }
            }
            // Without an entry the static record applies: the revocation was deleted.
            revoked_at.retain(|at, _| !world.statics.contains_key(at) || world.store.contains_key(at));
            let Step::Ask { key, path, presented, inside } = *step else { continue };
            let Some(at) = world.key(key) else { continue };
            let text = match presented {
                Presented::Nothing => None,
                Presented::TheKey => Some(world.keys[at].text.clone()),
                Presented::AnotherSecret => Some(with_another_secret(&world.keys[at].text)),
            };
            let real = world.real(at, path, text.as_deref(), inside);
            let expected = world.expected(at, path, presented, inside);
            prop_assert_eq!(real, expected, "{:?} of {:?}", step, steps);

            if real != "permit" || path == "/public/x" {
                continue;
            }
            // Independent of the model.
            prop_assert!(presented == Presented::TheKey && !world.denied.contains(&at));
            if let Some(revoked) = revoked_at.get(&at) {
                let is_static = world.statics.contains_key(&at);
                let (revoked, worst_case_secs) = match world.kv {
                    // A revocation applies to a static record too, as soon as KV works.
                    Kv::Working if is_static => ((*revoked).max(working_since), CACHE_SECS),
                    Kv::Working => (*revoked, CACHE_SECS),
                    Kv::Failing | Kv::Hanging if is_static => continue,
                    Kv::Failing | Kv::Hanging => (*revoked, CACHE_SECS + STALE_SECS),
                    Kv::Lagging => continue,
                };
                // A copy that was read while KV lagged may be as old as the data from before.
                let lag = world.lagging.get(&at).is_some_and(|facts| facts.as_ref().is_some_and(|f| f.state != State::Revoked));
                prop_assert!(lag || world.now_ms - revoked < worst_case_secs * 1000, "a revoked key works for too long");
            }
        }
    }
}
