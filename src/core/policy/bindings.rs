//! Which bindings concern the gate, by name: at runtime, variables, secrets and other values look alike.

use alloc::string::String;
use alloc::vec::Vec;

use super::vars::VARIABLES;

/// The names of the secret bindings.
pub const SECRETS: [&str; 6] =
    ["PEPPER", "PEPPER_PREVIOUS", "STATIC_KEYS", "DENIED_IDS", "ORIGIN_AUTHORIZATION", "ORIGIN_SIGNING_KEY"];

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
        is_swap(&name, &known) || edit_distance(&name, &known) <= edits_max
    })
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

/// How many characters have to be inserted, removed or replaced (Levenshtein); at least the difference in length.
fn edit_distance(left: &str, right: &str) -> usize {
    // The caller asks for no more than 2.
    if left.len().abs_diff(right.len()) > 2 {
        return left.len().abs_diff(right.len());
    }
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
    use super::{edit_distance, is_read_as_variable, mistyped};

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
