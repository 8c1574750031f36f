//! The fields of a record, from what was given on the command line.

use std::collections::BTreeMap;
use std::fmt::Display;

use keygate_core::address::Network;
use keygate_core::key::KeyId;
use keygate_core::record::token::{Plan, Scope, Subject};
use keygate_core::record::{Bounded, Meta, Name, Record};
use keygate_core::time::UnixSeconds;

use crate::args::FieldArgs;
use crate::error::{Error, Outcome};
use crate::time::{When, utc};

/// Sets what is given; all else stays, notes one by one.
///
/// # Errors
/// A text is none that the field takes.
pub(crate) fn set(record: &mut Record, given: &FieldArgs, now: UnixSeconds) -> Outcome<()> {
    if let Some(text) = &given.name {
        record.name = name(text)?;
    }
    if !given.scopes.is_empty() {
        record.scopes = scopes(&given.scopes)?;
    }
    if !given.ips.is_empty() {
        record.ips = Some(ips(&given.ips)?);
    }
    if let Some(when) = given.expires {
        record.not_after = end(when, now)?;
    }
    if let Some(text) = &given.plan {
        record.plan = Some(plan(text)?);
    }
    record.meta = meta(&record.meta, &given.meta)?;
    Ok(())
}

/// The id of a key.
///
/// # Errors
/// It is none; of a whole key that was given in its place nothing is repeated.
pub(crate) fn id(text: &str) -> Outcome<KeyId> {
    text.parse::<KeyId>().map_err(|e| {
        Error::usage(
            e.to_string(),
            "give the 12 characters after the key's prefix; `keygate list` shows them",
        )
    })
}

pub(crate) fn subject(text: &str) -> Outcome<Subject> {
    text.parse::<Subject>().map_err(|e| wrong("--subject", e))
}

fn name(text: &str) -> Outcome<Name> {
    text.parse::<Name>().map_err(|e| wrong("--name", e))
}

fn plan(text: &str) -> Outcome<Plan> {
    text.parse::<Plan>().map_err(|e| wrong("--plan", e))
}

fn scopes(texts: &[String]) -> Outcome<Bounded<Scope>> {
    let scopes: Result<Vec<Scope>, _> = texts.iter().map(|text| text.parse::<Scope>()).collect();
    Bounded::try_from(scopes.map_err(|e| wrong("--scope", e))?).map_err(|e| wrong("--scope", e))
}

fn ips(texts: &[String]) -> Outcome<Bounded<Network>> {
    let networks: Result<Vec<Network>, _> = texts.iter().map(|text| text.parse::<Network>()).collect();
    Bounded::try_from(networks.map_err(|e| wrong("--ip", e))?).map_err(|e| wrong("--ip", e))
}

/// The notes in `old`, with those of `texts` set.
fn meta(old: &Meta, texts: &[String]) -> Outcome<Meta> {
    let mut notes: BTreeMap<String, String> = old.as_map().clone();
    for text in texts {
        let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(|| {
            Error::usage("--meta has not the form NAME=VALUE", "write for example --meta team=billing")
        })?;
        notes.insert(name.to_owned(), value.to_owned());
    }
    Meta::try_from(notes).map_err(|e| wrong("--meta", e))
}

/// The end of a key.
///
/// # Errors
/// It has passed.
pub(crate) fn end(when: When, now: UnixSeconds) -> Outcome<Option<UnixSeconds>> {
    match when.from(now) {
        Some(end) if end <= now => Err(Error::usage(
            format!("--expires is {}, which has passed", utc(end)),
            "give a time to come; to end a key now, use `keygate disable` or `keygate revoke`",
        )),
        end => Ok(end),
    }
}

fn wrong(option: &str, problem: impl Display) -> Error {
    Error::usage(format!("{option}: {problem}"), "give another value; see `--help`")
}

#[cfg(test)]
mod tests {
    use super::{end, id, meta};
    use crate::time::When;
    use keygate_core::record::Meta;
    use keygate_core::time::UnixSeconds;

    #[test]
    fn a_whole_key_given_for_an_id_is_not_repeated() {
        let key = format!("acme_live_{}", "Zx9".repeat(17));
        let error = id(&key).unwrap_err();
        assert!(!error.to_string().contains("Zx9Zx9"), "{error}");
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn notes_are_set_one_by_one_and_may_hold_an_equals_sign() {
        let old = meta(&Meta::default(), &["a=1".into(), "b=x=y".into()]).unwrap();
        let new = meta(&old, &["a=2".into(), "c=".into()]).unwrap();
        let notes = new.as_map();
        let notes: Vec<_> = notes.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(notes, [("a", "2"), ("b", "x=y"), ("c", "")]);
        for bad in ["a", "=1", ""] {
            assert!(meta(&Meta::default(), &[bad.into()]).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_end_that_has_passed_is_refused() {
        let at = |seconds| UnixSeconds::new(seconds).unwrap();
        assert!(end(When::At(at(10)), at(10)).is_err());
        assert_eq!(end(When::At(at(11)), at(10)).unwrap(), Some(at(11)));
        assert_eq!(end(When::Never, at(10)).unwrap(), None);
    }
}
