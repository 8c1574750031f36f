//! The secret `STATIC_KEYS`: records that the gate uses while KV fails, times out, or has no entry of that id.
//!
//! What is written to KV does not change them: a key that is revoked there is still served by its static record.

use std::fmt::Display;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use keygate_core::key::KeyId;
use keygate_core::record::Record;
use keygate_core::time::UnixSeconds;
use keygate_delivery::{KeyStatus, sibling_file};

use crate::dev_vars::DevVars;
use crate::error::{Error, Outcome};
use crate::output::Output;
use crate::wrangler_config::WranglerConfig;

/// The secret's name.
pub(crate) const STATIC_KEYS: &str = "STATIC_KEYS";

/// What can be known from here of one gate's `STATIC_KEYS`.
#[derive(Debug, Default)]
pub(crate) struct StaticKeys {
    /// The records of the local gate that it would use now.
    records: Vec<Record>,
    /// Why they cannot be read.
    unreadable: Option<String>,
    /// The deployed gate has the secret, which cannot be read back.
    is_hidden: bool,
}

impl StaticKeys {
    /// Of the local gate by its `.dev.vars`, of the deployed one by `secrets.required`.
    pub(crate) fn of(config: &WranglerConfig, remote: bool, now: UnixSeconds) -> Self {
        if remote {
            return Self { is_hidden: config.requires_secret(STATIC_KEYS), ..Self::default() };
        }
        let serves = |record: &Record| {
            let status = KeyStatus::of_record(record, now);
            matches!(status, KeyStatus::Active | KeyStatus::Pending)
        };
        match local(config) {
            Ok(records) => Self { records: records.into_iter().filter(serves).collect(), ..Self::default() },
            // Not an error: a key must be revocable whatever that file holds.
            Err(error) => Self { unreadable: Some(error.problem().to_owned()), ..Self::default() },
        }
    }

    /// Whether the gate uses another record than `stored` while KV fails.
    pub(crate) fn overrides(&self, stored: &Record) -> bool {
        let json = |record: &Record| serde_json::to_value(record).ok();
        self.records.iter().any(|record| record.id == stored.id && json(record) != json(stored))
    }

    /// Whether the deployed gate has the secret, which cannot be read back.
    pub(crate) fn is_hidden(&self) -> bool {
        self.is_hidden
    }

    /// Warns of the keys whose records were just written to KV, and which static records may still serve.
    pub(crate) fn warn(&self, out: Output, written: &[&Record]) {
        let key = match written {
            [] => return,
            [one] => format!("key {}", one.id),
            _ => "one of these keys".to_owned(),
        };
        if self.is_hidden {
            out.note(format_args!(
                "warning: STATIC_KEYS of the deployed gate cannot be read from here: if it has a record of {key}, the gate still uses that while KV fails; {HIDDEN_REMEDY}"
            ));
        }
        if let Some(problem) = &self.unreadable {
            out.note(format_args!(
                "warning: it is not known whether STATIC_KEYS has a record of {key}: {problem}"
            ));
        }
        for record in written.iter().filter(|record| self.overrides(record)) {
            out.note(format_args!("warning: key {} {OVERRIDDEN}; {OVERRIDDEN_REMEDY}", record.id));
        }
    }

    /// The error that the key cannot be read from KV, with what is known of it here.
    pub(crate) fn explain(&self, id: KeyId, error: Error) -> Error {
        if self.records.iter().any(|record| record.id == id) {
            return error.and(
                "STATIC_KEYS in .dev.vars has a record of it, which this command does not change",
                format!("to end key {id}, take its record out of STATIC_KEYS"),
            );
        }
        error
    }
}

/// What is wrong with a key whose static record is another one than KV's.
pub(crate) const OVERRIDDEN: &str = "has another record in STATIC_KEYS (.dev.vars): while KV fails, or has no entry of the id, the gate still uses that one";
/// What to do about it.
pub(crate) const OVERRIDDEN_REMEDY: &str =
    "take it out of STATIC_KEYS, or put the id into DENIED_IDS for the time being";
/// What to do about what cannot be read from here.
pub(crate) const HIDDEN_REMEDY: &str = "look into your copy of the secret, take the record out and set the secret anew (`wrangler secret put STATIC_KEYS`), or add the id to DENIED_IDS for the time being (`wrangler secret put DENIED_IDS`)";

/// The static records of the local gate.
///
/// # Errors
/// `.dev.vars` cannot be read, or its `STATIC_KEYS` is not an array of records.
pub(crate) fn local(config: &WranglerConfig) -> Outcome<Vec<Record>> {
    let file = DevVars::of(config)?;
    let Some(text) = file.as_ref().and_then(|file| file.value(STATIC_KEYS)) else {
        return Ok(Vec::new());
    };
    Record::parse_list(text).map_err(|e| {
        Error::failed(
            format!(
                "STATIC_KEYS in {} is not an array of records: {e}",
                file.as_ref().map_or_else(String::new, |file| file.place(STATIC_KEYS))
            ),
            "correct it; `keygate check FILE` checks one",
        )
    })
}

/// Adds a record to a file with an array of records, which only its owner can read; where there is none, makes it.
///
/// # Errors
/// The file holds something else, or cannot be written; it is then as before.
pub(crate) fn add(file: &Path, record: &Record) -> Outcome<()> {
    let failed = |what: &str, error: &dyn Display| {
        Error::failed(
            format!("cannot {what} {}: {error}", file.display()),
            "name a file for an array of records, in a folder that you can write to",
        )
    };
    let mut records = match fs::read_to_string(file) {
        Ok(text) => Record::parse_list(&text).map_err(|error| failed("read the records of", &error))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(failed("read", &error)),
    };
    records.push(record.clone());
    let json = serde_json::to_string(&records).map_err(|error| failed("write", &error))?;
    // What the gate would refuse as a whole is not written.
    Record::parse_list(&json).map_err(|error| failed("add the record to", &error))?;
    let write = || {
        let mut fresh = sibling_file(file)?;
        writeln!(fresh, "{json}")?;
        fresh.as_file().sync_all()?;
        fresh.persist(file)?;
        Ok::<_, io::Error>(())
    };
    write().map_err(|error| failed("write", &error))
}

#[cfg(test)]
mod tests {
    use keygate_core::key::KeyId;
    use keygate_core::record::State;

    use super::StaticKeys;
    use crate::store::fake::{at, record};
    use crate::wrangler_config::fake::gate;

    const NOW: u64 = 1_000;

    #[test]
    fn a_static_record_that_serves_and_differs_overrides_the_stored_one() {
        let stored = record(|r| r.state = State::Revoked);
        for (fixed, overrides) in [
            (record(|_| {}), true),
            (record(|r| r.not_after = Some(at(NOW + 1))), true),
            (record(|r| r.not_after = Some(at(NOW))), false),
            (record(|r| r.state = State::Disabled), false),
            (record(|r| r.id = "000000000000".parse::<KeyId>().unwrap()), false),
        ] {
            let list = serde_json::to_string(&[fixed]).unwrap();
            let (_folder, config) = gate("", &format!("STATIC_KEYS='{list}'\n"));
            assert_eq!(StaticKeys::of(&config, false, at(NOW)).overrides(&stored), overrides, "{list}");
            assert!(
                !StaticKeys::of(&config, false, at(NOW)).overrides(&record(|_| {})) || list.contains("1001")
            );
            assert!(
                !StaticKeys::of(&config, true, at(NOW)).overrides(&stored),
                "the deployed gate has others"
            );
        }
    }

    #[test]
    fn a_secret_that_wrangler_does_not_take_has_no_records() {
        let list = serde_json::to_string(&[record(|_| {})]).unwrap();
        let stored = record(|r| r.state = State::Revoked);
        for (required, [local, hidden]) in [
            ("", [true, false]),
            ("secrets = { required = ['PEPPER'] }", [false, false]),
            ("secrets = { required = ['STATIC_KEYS'] }", [true, true]),
        ] {
            let (_folder, config) = gate(required, &format!("STATIC_KEYS='{list}'\n"));
            assert_eq!(StaticKeys::of(&config, false, at(NOW)).overrides(&stored), local, "{required}");
            assert_eq!(StaticKeys::of(&config, true, at(NOW)).is_hidden(), hidden, "{required}");
        }
    }
}
