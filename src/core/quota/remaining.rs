//! What is left of a quota, and how a response says so.

use alloc::format;
use alloc::string::String;

use super::period::Quota;

/// The name of the quota in the headers and in `violated-policies`.
pub const POLICY: &str = "plan";

/// What is left of the period, as far as it is known where the request is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remaining {
    /// Units.
    pub units: u64,
    /// Seconds until the period ends; `None` if it does not end.
    pub resets_in_secs: Option<u64>,
}

impl Remaining {
    /// The value of `RateLimit` (draft-ietf-httpapi-ratelimit-headers-11, section 4).
    #[must_use]
    pub fn header(&self) -> String {
        let reset = self.resets_in_secs.map(|secs| format!(";t={secs}")).unwrap_or_default();
        format!("\"{POLICY}\";r={}{reset}", self.units.min(Quota::LIMIT_MAX))
    }
}

impl Quota {
    /// The quota in `RateLimit-Policy` (the same draft, section 3), which has a window only if all are of the same length.
    #[must_use]
    pub fn policy_item(&self) -> String {
        let window = self.period.secs().map(|secs| format!(";w={secs}")).unwrap_or_default();
        format!("\"{POLICY}\";q={}{window}", self.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::{Quota, Remaining};

    #[test]
    fn headers_are_those_of_the_draft() {
        for (quota, policy) in [
            ("1000/hour", "\"plan\";q=1000;w=3600"),
            ("5/day", "\"plan\";q=5;w=86400"),
            ("5/month", "\"plan\";q=5"),
            ("5/total", "\"plan\";q=5"),
        ] {
            assert_eq!(quota.parse::<Quota>().unwrap().policy_item(), policy);
        }
        for (units, resets_in_secs, header) in [
            (7, Some(60), "\"plan\";r=7;t=60"),
            (0, None, "\"plan\";r=0"),
            (u64::MAX, None, "\"plan\";r=999999999999999"),
        ] {
            assert_eq!(Remaining { units, resets_in_secs }.header(), header);
        }
    }
}
