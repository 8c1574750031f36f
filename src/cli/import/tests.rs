//! What holds for every reader, whatever the source.

use super::{Format, Options, Rules, SubjectMap, read};
use crate::error::Outcome;
use clap::ValueEnum as _;
use keygate_core::key::KeyPrefix;
use keygate_core::key::pepper::Pepper;
use keygate_core::time::UnixSeconds;
use proptest::collection::vec;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

/// An import at second 1000 that gives a key nothing that its source does not say.
pub(super) fn without_defaults() -> Rules {
    Rules {
        prefix: "acme_live".parse::<KeyPrefix>().unwrap(),
        pepper: Some("0123456789abcdefghijklmnopqrstuvwxyzABCDEFG".parse::<Pepper>().unwrap()),
        now: UnixSeconds::new(1000).unwrap(),
        allow_weak: false,
        subject: None,
        subjects: SubjectMap::default(),
        scopes: Vec::new(),
        plan: None,
        expires: None,
    }
}

/// Line, subject, scopes, end of each key; or the problem.
pub(super) fn found(format: Format, text: &str, options: &Options) -> Outcome<Vec<String>> {
    let rules = without_defaults();
    let mut found = Vec::new();
    read(format, text.as_bytes(), options, &mut |place, read| {
        let line = place.line;
        found.push(match read.and_then(|draft| draft.candidate(&rules)) {
            Ok(made) => {
                let scopes: Vec<_> = made.record.scopes.as_slice().iter().map(ToString::to_string).collect();
                let end = made.record.not_after.map_or(0, UnixSeconds::seconds);
                format!("{line} {} {scopes:?} {end}", made.record.subject)
            }
            Err(problem) => format!("{line} {problem}"),
        });
        Ok(())
    })?;
    Ok(found)
}

/// The same, without options.
pub(super) fn read_as(format: Format, text: &str) -> Outcome<Vec<String>> {
    found(format, text, &Options::default())
}

proptest! {
    #[test]
    fn no_source_makes_a_reader_panic_or_repeat_a_key(
        text in "(key|sha256|hash|data|consumers|plugins|username|subject|v|meta\\.x|[,;:\"'{}\\[\\]\\r\\n \t#]|[a-z0-9]{1,8}){0,30}",
        at in 0..8_usize,
    ) {
        // A key, and one that is too short to be imported.
        const KEYS: &str = "Canary7hVbT1mWcZk3vQ9x,Canary7hVbT1";
        const CANARY: &str = "Canary7hVbT1";
        let mut lines: Vec<&str> = text.lines().collect();
        lines.insert(at.min(lines.len()), KEYS);
        for format in Format::value_variants() {
            let outcome = read(*format, lines.join("\n").as_bytes(), &Options::default(), &mut |_, read| {
                let problem = read.err().unwrap_or_default();
                assert!(!problem.contains(CANARY), "{problem}");
                Ok(())
            });
            let error = outcome.err().map(|error| error.to_string()).unwrap_or_default();
            prop_assert!(!error.contains(CANARY), "{error}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_a_fault_or_bad_lines(bytes in vec(any::<u8>(), 0..80)) {
        for format in Format::value_variants() {
            let _ = read(*format, &bytes, &Options::default(), &mut |_, _| Ok(()));
        }
    }

    #[test]
    fn every_line_with_something_on_it_is_accounted_for(lines in vec("[!-\"$-~]{1,12}|", 0..20)) {
        // The first line shows what kind of source it is.
        let lines: Vec<String> = std::iter::once("first".to_owned()).chain(lines).collect();
        let text = lines.join("\n");
        let mut found = Vec::new();
        read(Format::Keys, text.as_bytes(), &Options::default(), &mut |place, _| {
            found.push(place.line);
            Ok(())
        })
        .unwrap();
        let expected: Vec<u64> = (1_u64..).zip(&lines).filter(|(_, line)| !line.is_empty()).map(|(at, _)| at).collect();
        prop_assert_eq!(found, expected);
    }
}
