//! Which bindings concern the gate, by name: at runtime, variables, secrets and other values look alike.

use alloc::string::String;
use alloc::vec::Vec;

use thiserror::Error;

use super::Policy;
use super::vars::VARIABLES;

/// The KV namespace of the records.
pub const KEYS: &str = "KEYS";
/// The Analytics Engine dataset; optional.
pub const USAGE: &str = "USAGE";
/// The Durable Objects that sum up the counts of requests; optional.
pub const KEY_USAGE: &str = "KEY_USAGE";
/// The Durable Objects that count what is spent of quotas, one for each subject; needed if a plan or a record has one.
pub const QUOTA: &str = "QUOTA";
/// The secrets that may come from a Secrets Store.
const PEPPERS: [&str; 2] = ["PEPPER", "PEPPER_PREVIOUS"];

/// The names of the secret bindings.
pub const SECRETS: [&str; 6] =
    ["PEPPER", "PEPPER_PREVIOUS", "STATIC_KEYS", "DENIED_IDS", "ORIGIN_AUTHORIZATION", "ORIGIN_SIGNING_KEY"];

/// What stands under a name of the Worker's environment, as far as the gate tells it apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// Nothing.
    Unbound,
    /// A string: a secret, or a value of `[vars]`.
    Text,
    /// Another value of JSON.
    Value,
    /// A KV namespace.
    Kv,
    /// A rate limiter.
    RateLimiter,
    /// An Analytics Engine dataset.
    Dataset,
    /// A Worker, or anything else with `fetch`. It may have methods of any name, and so stand in for a limiter or a stored secret.
    Service,
    /// A namespace of Durable Objects.
    DurableObjects,
    /// A secret of a Secrets Store.
    StoredSecret,
    /// Any other object of the platform.
    Other,
}

impl Binding {
    /// Whether it is a value, and so read as a variable under the name of one.
    #[must_use]
    pub fn is_value(self) -> bool {
        matches!(self, Self::Text | Self::Value)
    }
}

/// Why what stands under a name is not what the gate needs there.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{name} {problem}")]
pub struct BindingError {
    name: String,
    needed: Binding,
    problem: &'static str,
}

impl BindingError {
    /// The name of the binding.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What has to stand there, if anything.
    #[must_use]
    pub fn needed(&self) -> Binding {
        self.needed
    }

    /// What is wrong.
    #[must_use]
    pub fn problem(&self) -> &'static str {
        self.problem
    }
}

/// Checks what is bound under the gate's names, and under those that the policy names, if it has no errors of its own.
pub fn check_bindings(policy: Option<&Policy>, bound: impl Fn(&str) -> Binding) -> Vec<BindingError> {
    let mut errors = Vec::new();
    let mut require = |name: &str, needed: Binding, is_right: bool, problem: &'static str| {
        if !is_right {
            errors.push(BindingError { name: name.into(), needed, problem });
        }
    };
    require(KEYS, Binding::Kv, bound(KEYS) == Binding::Kv, "is not bound to a KV namespace");
    let is_dataset = matches!(bound(USAGE), Binding::Unbound | Binding::Dataset);
    require(USAGE, Binding::Dataset, is_dataset, "is not an Analytics Engine dataset");
    let is_counting = matches!(bound(KEY_USAGE), Binding::Unbound | Binding::DurableObjects);
    require(KEY_USAGE, Binding::DurableObjects, is_counting, "is not a Durable Object namespace");
    let needs_quota = policy.is_some_and(Policy::has_quotas);
    let (is_quota, problem) = match bound(QUOTA) {
        Binding::Unbound if needs_quota => {
            (false, "is needed by a plan's quota, and not bound to a Durable Object namespace")
        }
        Binding::Unbound | Binding::DurableObjects => (true, ""),
        _ => (false, "is not a Durable Object namespace"),
    };
    require(QUOTA, Binding::DurableObjects, is_quota, problem);
    for name in SECRETS {
        let is_secret = match bound(name) {
            Binding::Unbound | Binding::Text => true,
            Binding::StoredSecret | Binding::Service => PEPPERS.contains(&name),
            _ => false,
        };
        require(name, Binding::Text, is_secret, "is a secret, and bound to something other than a string");
    }
    for variable in VARIABLES {
        let binding = bound(variable.name);
        let is_variable = binding == Binding::Unbound || binding.is_value();
        require(variable.name, Binding::Value, is_variable, "is a binding, not a variable");
    }
    for name in policy.into_iter().flat_map(Policy::services) {
        require(
            name,
            Binding::Service,
            bound(name) == Binding::Service,
            "is named as an origin, and not bound to a service",
        );
    }
    for name in policy.into_iter().flat_map(Policy::limiters) {
        let is_limiter = matches!(bound(name), Binding::RateLimiter | Binding::Service);
        require(
            name,
            Binding::RateLimiter,
            is_limiter,
            "is named by a plan, and not bound to a rate limiter",
        );
    }
    errors
}

/// Whether a value under this name is read as a variable: it is one, or the name is a mistyped one, which is then an error. Any
/// other value is not for the gate, such as the version's metadata, or a secret of something else.
#[must_use]
pub fn is_read_as_variable(name: &str) -> bool {
    is_variable(name) || mistyped(name).is_some()
}

/// Whether a variable has this name.
#[must_use]
pub fn is_variable(name: &str) -> bool {
    VARIABLES.iter().any(|variable| variable.name == name)
}

/// The variable or secret that `name` is a mistyped form of; `None` if it is one itself.
pub(crate) fn mistyped(name: &str) -> Option<&'static str> {
    let mut known = VARIABLES.iter().map(|variable| variable.name).chain(SECRETS);
    if known.clone().any(|known| known == name) {
        return None;
    }
    let name = folded(name);
    known.find(|known| {
        // Two edits make another word of a short one.
        let edits_max = if known.len() < 8 { 1 } else { 2 };
        let known = folded(known);
        is_swap(&name, &known)
            || name.len().abs_diff(known.len()) <= edits_max && edit_distance(&name, &known) <= edits_max
    })
}

/// The variable or secret whose name is nearest to `name`, first by the words that both have.
#[must_use]
pub fn nearest_name(name: &str) -> &'static str {
    let words = |name: &str| -> Vec<String> { name.split(['_', '-']).map(str::to_ascii_uppercase).collect() };
    let own = words(name);
    let shared = |known: &str| {
        let is_shared = |word: &String| own.iter().any(|own| stem(own) == stem(word));
        words(known).iter().filter(|word| is_shared(word)).count()
    };
    let distance = |known: &str| edit_distance(&folded(name), &folded(known));
    let names = VARIABLES.iter().map(|variable| variable.name).chain(SECRETS);
    names.min_by_key(|known| (usize::MAX - shared(known), distance(known))).unwrap_or_default()
}

/// The start of a word, which its plural and its abbreviation share.
fn stem(word: &str) -> &str {
    word.get(..3).unwrap_or(word)
}

fn folded(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '-' | '_')).map(|c| c.to_ascii_uppercase()).collect()
}

/// Whether two characters have changed places.
fn is_swap(left: &str, right: &str) -> bool {
    let mut others = left.chars().zip(right.chars()).filter(|(a, b)| a != b);
    left.len() == right.len()
        && matches!(
            (others.next(), others.next(), others.next()),
            (Some((a, b)), Some((c, d)), None) if a == d && b == c
        )
}

/// How many characters have to be inserted, removed or replaced (Levenshtein).
fn edit_distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.chars().count()).collect();
    for (at, a) in left.chars().enumerate() {
        let mut diagonal = at;
        let mut before = at + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(right.chars()) {
            let replaced = diagonal + usize::from(a != b);
            diagonal = *cell;
            before = replaced.min(diagonal + 1).min(before + 1);
            *cell = before;
        }
        if let Some(first) = row.first_mut() {
            *first = at + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::vars::VARIABLES;
    use super::{Binding, check_bindings, edit_distance, is_read_as_variable, mistyped, nearest_name};
    use crate::policy::Policy;
    use std::string::ToString;
    use std::vec::Vec;

    #[test]
    fn what_stands_under_the_names_of_the_gate_has_to_be_what_it_needs() {
        let policy = Policy::from_json(
            r#"{"ORIGIN": "service:API", "KEY_PREFIX": "acme", "PLANS": {"free": {"rate": {"limiter": "FREE", "period": 10}, "quota": {"limit": 5, "period": "day"}}}}"#,
        )
        .unwrap();
        let sound = |name: &str| match name {
            "KEYS" => Binding::Kv,
            "API" => Binding::Service,
            "FREE" => Binding::RateLimiter,
            "QUOTA" => Binding::DurableObjects,
            "PEPPER" => Binding::StoredSecret,
            "ORIGIN" => Binding::Text,
            "ROUTES" => Binding::Value,
            "DB" => Binding::Other,
            _ => Binding::Unbound,
        };
        assert_eq!(check_bindings(Some(&policy), sound), []);
        for (name, binding, error) in [
            ("KEYS", Binding::Unbound, "KEYS is not bound to a KV namespace"),
            ("KEYS", Binding::Service, "KEYS is not bound to a KV namespace"),
            ("KEYS", Binding::Text, "KEYS is not bound to a KV namespace"),
            ("USAGE", Binding::Value, "USAGE is not an Analytics Engine dataset"),
            ("USAGE", Binding::Kv, "USAGE is not an Analytics Engine dataset"),
            ("KEY_USAGE", Binding::Service, "KEY_USAGE is not a Durable Object namespace"),
            ("QUOTA", Binding::Kv, "QUOTA is not a Durable Object namespace"),
            (
                "QUOTA",
                Binding::Unbound,
                "QUOTA is needed by a plan's quota, and not bound to a Durable Object namespace",
            ),
            ("PEPPER", Binding::Value, "PEPPER is a secret, and bound to something other than a string"),
            ("PEPPER", Binding::Kv, "PEPPER is a secret, and bound to something other than a string"),
            (
                "STATIC_KEYS",
                Binding::StoredSecret,
                "STATIC_KEYS is a secret, and bound to something other than a string",
            ),
            ("METHODS", Binding::Service, "METHODS is a binding, not a variable"),
            ("API", Binding::Kv, "API is named as an origin, and not bound to a service"),
            ("FREE", Binding::Unbound, "FREE is named by a plan, and not bound to a rate limiter"),
        ] {
            let bound = |other: &str| if other == name { binding } else { sound(other) };
            let errors: Vec<_> =
                check_bindings(Some(&policy), bound).iter().map(ToString::to_string).collect();
            assert_eq!(errors, [error]);
        }
    }

    #[test]
    fn the_nearest_name_is_the_one_that_was_probably_meant() {
        for (name, nearest) in [
            ("DENY_IDS", "DENIED_IDS"),
            ("CACHE_SECS", "CACHE_SECONDS"),
            ("ALLOWED_METHODS", "METHODS"),
            ("ORIGIN_AUTH", "ORIGIN_AUTHORIZATION"),
            ("UPSTREAM_ORIGIN", "ORIGIN"),
            ("RATE_PLANS", "PLANS"),
            ("KV_TIMEOUT_SECONDS", "KV_TIMEOUT_MS"),
        ] {
            assert_eq!(nearest_name(name), nearest, "{name}");
        }
    }

    #[test]
    fn near_misses_of_variables_and_secrets_are_mistyped() {
        for (name, expected) in [
            ("ORIGINS", Some("ORIGIN")),
            ("origin", Some("ORIGIN")),
            ("KEY-PREFIX", Some("KEY_PREFIX")),
            ("KEYPREFIX", Some("KEY_PREFIX")),
            ("KEY_PREFFIXX", Some("KEY_PREFIX")),
            ("Cache_Seconds", Some("CACHE_SECONDS")),
            ("ROUTE", Some("ROUTES")),
            ("ROTUES", Some("ROUTES")),
            ("routs", Some("ROUTES")),
            ("METHDOS", Some("METHODS")),
            ("PALNS", Some("PLANS")),
            ("plan", Some("PLANS")),
            ("denied_id", Some("DENIED_IDS")),
            ("REALMS", Some("REALM")),
            ("PEPER", Some("PEPPER")),
            ("DENIED_ID", Some("DENIED_IDS")),
            ("STATIC_KEY", Some("STATIC_KEYS")),
            ("PEPPER_PREVIUOS", Some("PEPPER_PREVIOUS")),
            ("CF_VERSION_METADATA", None),
            ("KEYS", None),
            ("USAGE", None),
            ("DATABASE_URL", None),
            ("SENTRY_DSN", None),
            ("STRIPE_SECRET_KEY", None),
            ("ENVIRONMENT", None),
            ("EMAIL", None),
            ("ORIGIN_URL", None),
            ("", None),
            ("\u{e9}", None),
        ] {
            assert_eq!(mistyped(name), expected, "{name}");
            assert_eq!(is_read_as_variable(name), expected.is_some(), "{name}");
        }
    }

    #[test]
    fn a_known_name_is_not_a_mistyped_one() {
        for variable in VARIABLES {
            assert_eq!(mistyped(variable.name), None, "{}", variable.name);
            assert!(is_read_as_variable(variable.name), "{}", variable.name);
        }
        for secret in super::SECRETS {
            assert!(mistyped(secret).is_none() && !is_read_as_variable(secret), "{secret}");
        }
    }

    #[test]
    fn distance_counts_edits() {
        for (left, right, distance) in [
            ("", "", 0),
            ("a", "", 1),
            ("abc", "abd", 1),
            ("abc", "bc", 1),
            ("ab", "ba", 2),
            ("kitten", "sitting", 3),
            ("\u{e9}a", "ea", 1),
        ] {
            assert_eq!(edit_distance(left, right), distance, "{left} {right}");
        }
    }
}
