//! How long a gate may go by what a record said before it was changed.

use crate::gate_bindings::GateBindings;
use crate::time::in_words;
use crate::wrangler_config::WranglerConfig;

/// "60 seconds or more", says Workers KV of how long a change takes to be seen at other locations.
const KV_PROPAGATION_SECS: u64 = 60;

/// The bounds that hold for one gate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Staleness {
    remote: bool,
    /// `None` when the policy has faults, and so no times.
    bounds: Option<Bounds>,
}

#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// An isolate goes by a record this long before it reads it again.
    isolate_secs: u64,
    /// A location goes by its copy of an entry this long.
    location_secs: u64,
}

impl Staleness {
    pub(crate) fn of(config: &WranglerConfig, remote: bool) -> Self {
        // A key must be revocable while the policy has faults: they are no error here.
        let policy = GateBindings::of(config).policy().ok();
        Self {
            remote,
            bounds: policy.map(|policy| Bounds {
                isolate_secs: match policy.cache_entries() {
                    0 => 0,
                    _ => policy.cache_secs().into(),
                },
                location_secs: KV_PROPAGATION_SECS.max(policy.kv_cache_ttl_secs().into()),
            }),
        }
    }

    /// The longest that is to be expected while KV keeps to what it says.
    pub(crate) fn worst_secs(self) -> Option<u64> {
        let bounds = self.bounds?;
        Some(bounds.isolate_secs + if self.remote { bounds.location_secs } else { 0 })
    }

    /// Whether it is about a deployed gate.
    pub(crate) fn is_remote(self) -> bool {
        self.remote
    }

    /// One sentence for the reader: until when a gate may go by the old record.
    pub(crate) fn sentence(self) -> String {
        let (Some(bounds), Some(worst)) = (self.bounds, self.worst_secs()) else {
            return "not known, because the policy has faults; see `keygate check`".to_owned();
        };
        let (worst, isolate) = (in_words(worst), in_words(bounds.isolate_secs));
        if self.remote {
            format!(
                "gates may go by the old record for up to {worst}: {} until KV shows the change everywhere (\"60 seconds or more\", says KV), {isolate} in an isolate's cache; longer while KV fails",
                in_words(bounds.location_secs),
            )
        } else {
            format!("a running `wrangler dev` may go by the old record for up to {isolate}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Bounds, Staleness};

    #[test]
    fn the_worst_case_is_the_sum_of_the_caches_on_the_way() {
        let bounds = Some(Bounds { isolate_secs: 30, location_secs: 60 });
        for (remote, bounds, worst) in
            [(true, bounds, Some(90)), (false, bounds, Some(30)), (true, None, None)]
        {
            assert_eq!(Staleness { remote, bounds }.worst_secs(), worst);
        }
    }
}
