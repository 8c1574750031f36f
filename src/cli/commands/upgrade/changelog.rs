//! What changed between two versions, by CHANGELOG.md.

use std::fmt;

use semver::Version;
use serde::Serialize;

const CHANGELOG: &str = include_str!("../../../../CHANGELOG.md");
const UNRELEASED: &str = "Unreleased";
const BREAKING: &str = "**Breaking**";

/// A line of the change log.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Change {
    /// The version, or `Unreleased`.
    version: &'static str,
    /// `Added`, `Changed`, `Fixed` …
    kind: &'static str,
    breaking: bool,
    text: String,
}

/// The changes after `from`, up to `to`.
pub(super) fn changes(from: &Version, to: &Version) -> Vec<Change> {
    changes_in(CHANGELOG, from, to)
}

fn changes_in(changelog: &'static str, from: &Version, to: &Version) -> Vec<Change> {
    let heading = |line: &'static str| line.strip_prefix("## [")?.split_once(']').map(|(name, _)| name);
    let names = changelog.lines().filter_map(heading);
    let is_released = names.filter_map(|name| name.parse::<Version>().ok()).any(|version| version == *to);
    let is_between = |name: &str| match name.parse::<Version>() {
        Ok(version) => *from < version && version <= *to,
        // A version that has no section of its own yet.
        Err(_) => name == UNRELEASED && !is_released,
    };
    let mut found: Vec<Change> = Vec::new();
    let (mut version, mut kind, mut is_wanted) = ("", "", false);
    for line in changelog.lines() {
        if let Some(name) = heading(line) {
            (version, kind, is_wanted) = (name, "", is_between(name));
        } else if !is_wanted {
        } else if let Some(name) = line.strip_prefix("### ") {
            kind = name;
        } else if let Some(text) = line.strip_prefix("- ") {
            found.push(Change { version, kind, breaking: false, text: text.to_owned() });
        } else if let Some((change, more)) = found.last_mut().zip(line.strip_prefix("  ")) {
            change.text.push(' ');
            change.text.push_str(more.trim_start());
        }
    }
    for change in &mut found {
        change.breaking = change.text.contains(BREAKING);
    }
    found
}

/// The changes as they are shown: what breaks first, then the rest by version and kind.
pub(super) struct Shown<'c>(pub(super) &'c [Change]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (breaking, rest): (Vec<_>, Vec<_>) = self.0.iter().partition(|change| change.breaking);
        if !breaking.is_empty() {
            writeln!(f, "Breaking changes:")?;
            breaking.iter().try_for_each(|change| writeln!(f, "  - {}", change.text))?;
        }
        let mut under = ("", "");
        for change in rest {
            if under != (change.version, change.kind) {
                under = (change.version, change.kind);
                writeln!(f, "{} ({}):", change.kind, change.version)?;
            }
            writeln!(f, "  - {}", change.text)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{CHANGELOG, Change, Shown, changes_in};
    use semver::Version;

    const LOG: &str = "# Changelog\n\n- no change\n\n## [Unreleased]\n\n### Added\n\n- next\n\n## [0.3.0] - 2027-01-01\n\n### Changed\n\n- one\n  line\n- **Breaking**: two\n\n### Fixed\n- three\n\n## [0.2.0] - 2026-12-01\n\n### Added\n\n- four\n";

    #[test]
    fn the_sections_between_two_versions_are_shown() {
        for (from, to, expected) in [
            ("0.2.0", "0.3.0", &["one line", "**Breaking**: two", "three"][..]),
            ("0.1.0", "0.3.0", &["one line", "**Breaking**: two", "three", "four"]),
            ("0.1.0", "0.2.0", &["four"]),
            ("0.3.0", "0.3.0", &[]),
            ("0.3.0", "0.4.0", &["next"]),
            ("0.3.0-rc.1", "0.3.0", &["one line", "**Breaking**: two", "three"]),
        ] {
            let version = |text: &str| text.parse::<Version>().unwrap();
            let changes = changes_in(LOG, &version(from), &version(to));
            let texts: Vec<&str> = changes.iter().map(|change| change.text.as_str()).collect();
            assert_eq!(texts, expected, "{from} {to}");
            for Change { breaking, text, kind, .. } in &changes {
                assert_eq!(*breaking, text.starts_with("**"), "{text}");
                assert!(!kind.is_empty(), "{text}");
            }
        }
    }

    #[test]
    fn what_breaks_is_shown_first() {
        let changes = changes_in(LOG, &Version::new(0, 1, 0), &Version::new(0, 3, 0));
        assert_eq!(
            Shown(&changes).to_string(),
            "Breaking changes:\n  - **Breaking**: two\nChanged (0.3.0):\n  - one line\nFixed (0.3.0):\n  - three\nAdded (0.2.0):\n  - four\n"
        );
    }

    #[test]
    fn every_line_of_the_own_change_log_is_understood() {
        // A version without a section of its own has what is unreleased as well.
        let changes = changes_in(CHANGELOG, &Version::new(0, 0, 0), &Version::new(9999, 0, 0));
        let bullets = CHANGELOG.lines().filter(|line| line.starts_with("- ")).count();
        assert_eq!(changes.len(), bullets);
        assert!(changes.iter().all(|change| !change.kind.is_empty() && !change.text.is_empty()));
    }
}
