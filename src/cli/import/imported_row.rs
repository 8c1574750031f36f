//! A key of another system: its credential, the fields that a source may give it, and the record they make.

use std::collections::BTreeMap;

use keygate_core::address::Network;
use keygate_core::key::digest::ImportedKey as Key;
use keygate_core::record::token::{Plan, Scope, Subject};
use keygate_core::record::{Bounded, Meta, Record, State};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::import::values::{is_nothing, sha256, time, truth};
use crate::import::{Candidate, Rules};
use crate::imported;
use crate::time::When;

/// The names of all fields, as columns and as names in JSON. `meta.<name>` is a note.
pub(crate) const FIELDS: [&str; 12] = [
    "key",
    "sha256",
    "subject",
    "name",
    "scopes",
    "ips",
    "plan",
    "state",
    "enabled",
    "created",
    "not_before",
    "not_after",
];

/// Whether a key may have a field of this name.
pub(crate) fn is_field(name: &str) -> bool {
    FIELDS.contains(&name) || name.strip_prefix("meta.").is_some_and(|note| !note.is_empty())
}

/// The fields that hold several texts.
pub(super) const LISTS: [&str; 2] = ["scopes", "ips"];

/// What the gate will compare a presented key with.
// Absent on purpose: Debug.
enum Credential {
    Key(Zeroizing<String>),
    Sha256([u8; 32]),
}

/// What a source says of one key. Empty texts are as good as none.
// Absent on purpose: Debug; it may hold a key.
#[derive(Default)]
pub(crate) struct ImportedRow {
    credential: Option<Credential>,
    /// The first characters of a key whose digest alone is known.
    start: Option<String>,
    enabled: Option<bool>,
    note: Option<&'static str>,
    texts: BTreeMap<&'static str, String>,
    lists: BTreeMap<&'static str, Vec<String>>,
    times: BTreeMap<&'static str, When>,
    meta: BTreeMap<String, String>,
}

impl ImportedRow {
    /// Takes one field in.
    ///
    /// # Errors
    /// There is no such field, or its text is of another form. The text is not repeated.
    pub(super) fn set(&mut self, field: &str, text: &str) -> Result<(), String> {
        let text = text.trim_ascii();
        if text.is_empty() {
            return Ok(());
        }
        if let Some(note) = field.strip_prefix("meta.") {
            return once(field, self.meta.insert(note.to_owned(), text.to_owned()).is_none());
        }
        let known = FIELDS.into_iter().find(|known| *known == field);
        let known = known.ok_or_else(|| unknown_field(field))?;
        match known {
            "key" => {
                if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
                    self.set_note("64 hex digits were taken as a key; if they are a SHA-256, use `sha256` in place of `key`");
                }
                self.set_credential(Credential::Key(Zeroizing::new(text.to_owned())))
            }
            "sha256" => self.set_credential(Credential::Sha256(sha256(text)?)),
            "scopes" | "ips" => {
                let separates = |c: char| c.is_ascii_whitespace() || matches!(c, ',' | ';');
                let elements = text.split(separates).filter(|element| !element.is_empty());
                self.set_list(known, elements.map(str::to_owned).collect())
            }
            "enabled" => self.set_enabled(&Value::from(text)),
            "created" | "not_before" | "not_after" => self.set_time(known, time(known, text)?),
            _ => once(known, self.texts.insert(known, text.to_owned()).is_none()),
        }
    }

    /// Takes `scopes` or `ips` in, element by element.
    pub(super) fn set_list(&mut self, field: &'static str, list: Vec<String>) -> Result<(), String> {
        once(field, self.lists.insert(field, list).is_none())
    }

    /// Takes `created`, `not_before` or `not_after` in.
    pub(super) fn set_time(&mut self, field: &'static str, when: When) -> Result<(), String> {
        once(field, self.times.insert(field, when).is_none())
    }

    /// Says whether the key is active or disabled.
    pub(super) fn set_enabled(&mut self, value: &Value) -> Result<(), String> {
        let enabled = truth(value).ok_or("`enabled` is not true or false")?;
        once("enabled", self.enabled.replace(enabled).is_none())
    }

    /// Says how the key begins, where the source has its digest. Of several texts the longest counts.
    pub(super) fn set_start(&mut self, start: &str) {
        if self.start.as_ref().is_none_or(|known| known.len() < start.len()) {
            self.start = Some(start.to_owned());
        }
    }

    /// Adds what the operator should know of all rows like this.
    pub(super) fn set_note(&mut self, note: &'static str) {
        self.note = Some(note);
    }

    pub(super) fn note(&self) -> Option<&'static str> {
        self.note
    }

    /// Whether the source has the key's digest, and not the key.
    pub(super) fn is_digest(&self) -> bool {
        matches!(self.credential, Some(Credential::Sha256(_)))
    }

    fn set_credential(&mut self, credential: Credential) -> Result<(), String> {
        match self.credential.replace(credential) {
            None => Ok(()),
            Some(_) => Err("has both a key and a digest".to_owned()),
        }
    }

    pub(super) fn candidate(self, rules: &Rules) -> Result<Candidate, String> {
        if self.start.as_deref().is_some_and(|start| rules.prefix.strip(start).is_some()) {
            return Err(format!(
                "begins with this gate's own prefix `{}_`, so the gate would never look it up as an imported one",
                rules.prefix.as_str()
            ));
        }
        let key = match self.credential.ok_or("has neither `key` nor `sha256`")? {
            Credential::Key(text) => key(&text, rules)?,
            Credential::Sha256(hash) => Key::of_sha256(hash),
        };
        let pepper = rules.pepper.as_ref().ok_or("cannot be digested: there is no pepper")?;
        let text = |field| self.texts.get(field).map(String::as_str);
        let list = |field| self.lists.get(field).map(Vec::as_slice);
        let moment = |field| self.times.get(field).copied();
        let subject = text("subject").or(rules.subject.as_deref());
        let subject = subject.ok_or("has no `subject`; `--subject` names one for all that have none")?;
        let subject = rules.subjects.of(subject);

        let created = moment("created").and_then(|when| when.from(rules.now));
        let mut record = Record::new(
            key.id(),
            subject.parse::<Subject>().map_err(|_| {
                format!("`subject` is not {}; `--subject-map` gives it another", Subject::ALLOWED)
            })?,
            pepper.imported_digest(&key),
            created.unwrap_or(rules.now),
        );
        record.name = parsed("name", text("name").unwrap_or_default().parse())?;
        let scopes = list("scopes").unwrap_or(&rules.scopes).iter().map(|scope| scope.parse::<Scope>());
        record.scopes =
            parsed("scopes", Bounded::try_from(parsed("scopes", scopes.collect::<Result<Vec<_>, _>>())?))?;
        if let Some(ips) = list("ips").filter(|ips| !ips.is_empty()) {
            let ips = ips.iter().map(|ip| ip.parse::<Network>()).collect::<Result<Vec<_>, _>>();
            record.ips = Some(parsed("ips", Bounded::try_from(parsed("ips", ips)?))?);
        }
        let plan = text("plan").or(rules.plan.as_deref());
        record.plan = plan.map(|plan| parsed("plan", plan.parse::<Plan>())).transpose()?;
        record.meta = parsed("meta", Meta::try_from(self.meta.clone()))?;
        record.state = match (text("state"), self.enabled) {
            (Some(_), Some(_)) => return Err("has both `state` and `enabled`".to_owned()),
            (Some(state), None) => state.parse().map_err(|_| "`state` is not active, disabled or revoked")?,
            (None, Some(false)) => State::Disabled,
            (None, _) => State::Active,
        };
        record.not_before = moment("not_before").and_then(|when| when.from(rules.now));
        let end = moment("not_after").or(rules.expires);
        record.not_after = end.and_then(|when| when.from(rules.now));
        Ok(Candidate {
            record,
            created_now: created.is_none(),
            ends_from_now: matches!(end, Some(When::In(_))),
        })
    }
}

/// Refuses a second value of a field: two fields of the source may stand for one of ours.
fn once(field: &str, is_first: bool) -> Result<(), String> {
    if is_first { Ok(()) } else { Err(format!("has two values for {}", quoted(field))) }
}

/// Says which field is wrong and not how: the core's own words repeat the text, and in a source whose columns are in
/// another order a key may stand there.
fn parsed<T, E>(field: &str, parsed: Result<T, E>) -> Result<T, String> {
    parsed
        .map_err(|_| format!("`{field}` has not the form that a record needs (see docs/record.schema.json)"))
}

/// What is said of a field that no key of this format has.
pub(super) fn unknown_field(name: &str) -> String {
    format!(
        "has the field {}, which is none of {}, meta.<name>; `--rename` gives it one of these names, `--ignore` passes it over",
        quoted(name),
        FIELDS.join(", ")
    )
}

/// Refuses a field that restricts a key, unless it says nothing, and one that `system` does not document.
pub(super) fn check_restriction(
    system: &str,
    field: &str,
    value: &Value,
    is_documented: bool,
) -> Result<(), String> {
    match is_documented {
        true if is_nothing(value) => Ok(()),
        true => Err(restriction(field)),
        false => Err(format!(
            "has the field {}, which {system} does not document; `--ignore` passes it over",
            quoted(field)
        )),
    }
}

/// What is said of a field that restricts a key, where a record has none of the kind.
pub(super) fn restriction(field: &str) -> String {
    // Names of plugins are longer than those of fields: `graphql-rate-limiting-advanced`.
    let is_word = |word: &str| {
        let word = word.strip_suffix(|c: char| c.is_ascii_digit()).unwrap_or(word);
        (1..=14).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase())
    };
    let (name, to_ignore) = if field.split(['-', '_', '.']).all(is_word) {
        (format!("`{field}`"), field)
    } else if quoted(field).starts_with('`') {
        (quoted(field), field)
    } else {
        (format!("a field or plugin {}", quoted(field)), "NAME")
    };
    format!(
        "has {name}, which restricts the key in a way that a record cannot; `--ignore {to_ignore}` imports it without"
    )
}

/// The name of a field for a message, unless it could be a key, or a part of one: a file without names has them there.
pub(super) fn quoted(name: &str) -> String {
    if Key::may_be_in(name) || name.contains(|c: char| c.is_control() || c.is_ascii_digit()) {
        format!("of {} characters", name.chars().count())
    } else {
        format!("`{name}`")
    }
}

fn key(text: &str, rules: &Rules) -> Result<Key, String> {
    imported::import(text, &rules.prefix, rules.allow_weak).map_err(|error| error.problem().to_owned())
}

#[cfg(test)]
mod tests {
    use super::{ImportedRow, Rules, restriction};
    use crate::import::tests::without_defaults;
    use keygate_core::time::UnixSeconds;
    use proptest::prelude::proptest;

    fn rules() -> Rules {
        Rules { scopes: vec!["default".into()], ..without_defaults() }
    }

    fn imported(fields: &[(&str, &str)]) -> Result<ImportedRow, String> {
        let mut imported = ImportedRow::default();
        fields.iter().try_for_each(|(field, text)| imported.set(field, text)).map(|()| imported)
    }

    const KEY: &str = "Zk3vQ9xLr2K7hVbT1mWcQq";

    #[test]
    fn a_record_has_what_the_source_says_and_the_defaults_for_the_rest() {
        let fields = [
            ("key", KEY),
            ("subject", "acme"),
            ("ips", "203.0.113.0/24 ::1"),
            ("not_after", "1800000000"),
            ("meta.team", "x"),
        ];
        let made = imported(&fields).unwrap().candidate(&rules()).unwrap();
        assert_eq!(made.record.scopes.as_slice().len(), 1);
        assert_eq!(made.record.ips.unwrap().as_slice().len(), 2);
        assert_eq!(made.record.not_after, UnixSeconds::new(1_800_000_000));
        assert!(made.created_now && !made.ends_from_now);
    }

    #[test]
    fn what_cannot_be_a_record_is_refused_without_repeating_the_key() {
        for (fields, said) in [
            (&[("subject", "acme")][..], "neither `key` nor `sha256`"),
            (&[("key", KEY)], "no `subject`"),
            (&[("key", "password"), ("subject", "acme")], "cannot be imported"),
            (&[("key", "12345678901234567890"), ("subject", "acme")], "too easy to guess"),
            (&[("key", "{vault://env/key}"), ("subject", "acme")], "reference to a secret"),
            (&[("key", "acme_live_Zk3vQ9xLr2K7hVbT1mWc"), ("subject", "acme")], "this gate's own prefix"),
            (&[("key", KEY), ("subject", "two words")], "`subject` is not a subject: 1 to 128"),
            (&[("key", KEY), ("subject", "acme"), ("state", "on")], "`state` is not"),
        ] {
            let Err(problem) = imported(fields).unwrap().candidate(&rules()) else { panic!("{said}") };
            assert!(problem.contains(said), "{problem}");
            assert!(!problem.contains(KEY) && !problem.contains("Zk3v"), "{problem}");
        }
        for (field, text) in [
            ("key", "b"),
            ("sha256", "zz"),
            ("not_after", "soon"),
            ("not_after", "1764000000000"),
            (KEY, "x"),
        ] {
            let mut imported = imported(&[("key", KEY)]).unwrap();
            let problem = imported.set(field, text).unwrap_err();
            assert!(!problem.contains(KEY), "{problem}");
        }
    }

    #[test]
    fn a_restriction_is_named_unless_its_name_could_be_a_key() {
        for name in [
            "rate-limiting-advanced",
            "oauth2-introspection",
            "consumer-restriction",
            "rateLimitMax",
            "identity.ratelimits",
        ] {
            assert!(restriction(name).starts_with(&format!("has `{name}`, ")), "{name}");
        }
        assert!(
            !restriction(KEY).contains("Zk3v") && !restriction("abcdefghijklmnopqrstuvwxyz").contains("abc")
        );
    }

    #[test]
    fn a_second_import_counts_its_times_as_the_first_did() {
        let candidate = |now: u64| {
            let mut rules = rules();
            rules.now = UnixSeconds::new(now).unwrap();
            rules.expires = Some("1h".parse().unwrap());
            imported(&[("key", KEY), ("subject", "a")]).unwrap().candidate(&rules).unwrap()
        };
        let first = candidate(1000).record;
        let again = candidate(2000).counted_as_first(&first);
        assert_eq!(first.to_json().unwrap(), again.to_json().unwrap());
    }

    proptest! {
        #[test]
        fn no_field_makes_the_parsers_panic(field in "[a-z0-9._]{0,12}|key|sha256|ips|not_after", text in ".{0,80}") {
            let _ = imported(&[("subject", "a"), (&field, &text)]).map(|imported| imported.candidate(&rules()).is_ok());
        }
    }
}
