//! A key of another system: its credential, the fields that a source may give it, and the record they make.

use std::collections::BTreeMap;

use base64ct::{Base64, Base64Unpadded, Base64Url, Base64UrlUnpadded, Encoding};
use keygate_core::address::Network;
use keygate_core::key::digest::ImportedKey;
use keygate_core::record::token::{Plan, Scope, Subject};
use keygate_core::record::{Bounded, Meta, Record};
use keygate_core::time::UnixSeconds;
use zeroize::Zeroizing;

use crate::import::{Candidate, Rules};
use crate::imported;
use crate::time::When;

/// The names of all fields, as columns and as names in JSON. `meta.<name>` is a note.
pub(super) const FIELDS: [&str; 11] = [
    "key",
    "sha256",
    "subject",
    "name",
    "scopes",
    "ips",
    "plan",
    "state",
    "created",
    "not_before",
    "not_after",
];

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
            self.meta.insert(note.to_owned(), text.to_owned());
            return Ok(());
        }
        let known = FIELDS.into_iter().find(|known| *known == field).ok_or_else(|| unknown_field(field))?;
        match known {
            "key" => self.set_credential(Credential::Key(Zeroizing::new(text.to_owned()))),
            "sha256" => self.set_credential(Credential::Sha256(sha256(text)?)),
            "scopes" | "ips" => {
                self.set_list(known, text.split_ascii_whitespace().map(str::to_owned).collect());
                Ok(())
            }
            "created" | "not_before" | "not_after" => {
                self.times.insert(known, time(text).map_err(|e| format!("`{known}`: {e}"))?);
                Ok(())
            }
            _ => {
                self.texts.insert(known, text.to_owned());
                Ok(())
            }
        }
    }

    /// Takes `scopes` or `ips` in, element by element.
    pub(super) fn set_list(&mut self, field: &'static str, list: Vec<String>) {
        self.lists.insert(field, list);
    }

    /// Says when the key ends.
    pub(super) fn set_end(&mut self, when: When) {
        self.times.insert("not_after", when);
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
        let key = match self.credential.ok_or("has neither `key` nor `sha256`")? {
            Credential::Key(text) => key(&text, rules)?,
            Credential::Sha256(hash) => ImportedKey::of_sha256(hash),
        };
        let pepper = rules.pepper.as_ref().ok_or("cannot be digested: there is no pepper")?;
        let text = |field| self.texts.get(field).map(String::as_str);
        let list = |field| self.lists.get(field).map(Vec::as_slice);
        let moment = |field| self.times.get(field).copied();
        let subject = text("subject").or(rules.subject.as_deref());
        let subject = subject.ok_or("has no `subject`; `--subject` names one for all that have none")?;

        let created = moment("created").and_then(|when| when.from(rules.now));
        let mut record = Record::new(
            key.id(),
            parsed("subject", subject.parse::<Subject>())?,
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
        if let Some(state) = text("state") {
            record.state = state.parse().map_err(|_| "`state` is not active, disabled or revoked")?;
        }
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

/// Says which field is wrong and not how: the core's own words repeat the text, and in a source whose columns are in
/// another order a key may stand there.
fn parsed<T, E>(field: &str, parsed: Result<T, E>) -> Result<T, String> {
    parsed
        .map_err(|_| format!("`{field}` has not the form that a record needs (see docs/record.schema.json)"))
}

/// A name that is no field; as short as one that could be.
pub(super) fn unknown_field(name: &str) -> String {
    // Not the name itself: a file without a heading has a key there.
    let length = name.chars().count();
    format!("has a field of {length} characters that is none of {}, meta.<name>", FIELDS.join(", "))
}

fn key(text: &str, rules: &Rules) -> Result<ImportedKey, String> {
    if text.starts_with("$secret://") || text.starts_with("$env://") || text.starts_with("{vault://") {
        return Err("is a reference to a secret, not a key; put the key in its place".to_owned());
    }
    imported::import(text, &rules.prefix, rules.allow_weak).map_err(|error| error.problem().to_owned())
}

/// A SHA-256 in hex, base64 or base64url (padded or not), or as it stands in a record.
fn sha256(text: &str) -> Result<[u8; 32], String> {
    let mut hash = [0; 32];
    let text = text.strip_prefix("sha256.").unwrap_or(text);
    let whole = |decoded: Result<&[u8], base64ct::Error>| decoded.is_ok_and(|bytes| bytes.len() == 32);
    let is_hash = unhex(text, &mut hash)
        || whole(Base64::decode(text, &mut hash))
        || whole(Base64Unpadded::decode(text, &mut hash))
        || whole(Base64Url::decode(text, &mut hash))
        || whole(Base64UrlUnpadded::decode(text, &mut hash));
    if is_hash { Ok(hash) } else { Err("`sha256` is not a SHA-256 in hex, base64 or base64url".to_owned()) }
}

fn unhex(text: &str, hash: &mut [u8; 32]) -> bool {
    if text.len() != 2 * hash.len() {
        return false;
    }
    let mut digits = text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()));
    hash.iter_mut().all(|byte| match (digits.next().flatten(), digits.next().flatten()) {
        (Some(high), Some(low)) => {
            *byte = high << 4 | low;
            true
        }
        _ => false,
    })
}

/// A time as in records, in Unix seconds, or as on the command line.
fn time(text: &str) -> Result<When, String> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        let seconds = text.parse().ok().and_then(UnixSeconds::new);
        return seconds.map(When::At).ok_or_else(|| "is no time in Unix seconds (milliseconds?)".to_owned());
    }
    text.parse()
}

#[cfg(test)]
mod tests {
    use super::{ImportedRow, Rules, sha256, time};
    use crate::time::When;
    use base64ct::{Base64, Base64Unpadded, Base64UrlUnpadded, Encoding as _};
    use keygate_core::key::KeyPrefix;
    use keygate_core::key::digest::Digest;
    use keygate_core::key::pepper::Pepper;
    use keygate_core::time::UnixSeconds;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    fn rules() -> Rules {
        Rules {
            prefix: "acme_live".parse::<KeyPrefix>().unwrap(),
            pepper: Some("0123456789abcdefghijklmnopqrstuvwxyzABCDEFG".parse::<Pepper>().unwrap()),
            now: UnixSeconds::new(1000).unwrap(),
            allow_weak: false,
            subject: None,
            scopes: vec!["default".into()],
            plan: None,
            expires: None,
        }
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
            ("not_after", "2000"),
            ("meta.team", "x"),
        ];
        let made = imported(&fields).unwrap().candidate(&rules()).unwrap();
        assert_eq!(made.record.scopes.as_slice().len(), 1);
        assert_eq!(made.record.ips.unwrap().as_slice().len(), 2);
        assert_eq!(made.record.not_after, UnixSeconds::new(2000));
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
            (&[("key", KEY), ("subject", "two words")], "`subject` has not the form"),
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
    fn a_second_import_counts_its_times_as_the_first_did() {
        let candidate = |now: u64| {
            let mut rules = rules();
            rules.now = UnixSeconds::new(now).unwrap();
            imported(&[("key", KEY), ("subject", "a"), ("not_after", "1h")])
                .unwrap()
                .candidate(&rules)
                .unwrap()
        };
        let first = candidate(1000).record;
        let again = candidate(2000).counted_as_first(&first);
        assert_eq!(first.to_json().unwrap(), again.to_json().unwrap());
    }

    proptest! {
        #[test]
        fn a_sha256_is_read_in_every_usual_form(hash in any::<[u8; 32]>()) {
            let hex = hash.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
            let record = Digest::ImportedBare(hash).to_string();
            for text in [
                hex.clone(), hex.to_uppercase(), Base64::encode_string(&hash), Base64Unpadded::encode_string(&hash),
                Base64UrlUnpadded::encode_string(&hash), record,
            ] {
                prop_assert_eq!(sha256(&text), Ok(hash), "{}", text);
            }
            prop_assert!(sha256(&(hex + "0")).is_err());
        }

        #[test]
        fn no_field_makes_the_parsers_panic(field in "[a-z0-9._]{0,12}|key|sha256|ips|not_after", text in ".{0,80}") {
            let _ = imported(&[("subject", "a"), (&field, &text)]).map(|imported| imported.candidate(&rules()).is_ok());
        }

        #[test]
        fn whole_numbers_are_unix_seconds(seconds in 0..=253_402_300_799_u64) {
            prop_assert_eq!(time(&seconds.to_string()), Ok(When::At(UnixSeconds::new(seconds).unwrap())));
        }
    }
}
