//! The keys that are sent: good ones, and every kind of one that must not open anything.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use keygate_core::key::KeyPrefix;
use keygate_core::key::pepper::Pepper;
use keygate_testbed::chance::Chance;
use keygate_testbed::keys::new_key;
use serde_json::{Value, json};

pub(crate) const PREFIX: &str = "acme_live";
pub(crate) const PEPPER: &str = "random-only-6uS1dH7fQm2ZxV8bKc4Lt9Pw3YjRgAe5NoXi";
/// The address that the keys with networks are good from.
pub(crate) const HOME: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
/// How many keys there are of each kind.
const OF_EACH: usize = 4;

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    #[default]
    Active,
    /// With the scope that `/admin/*` asks for.
    Admin,
    /// Good from [`HOME`] only.
    Networked,
    /// Its record is in `STATIC_KEYS`.
    Static,
    Revoked,
    Disabled,
    Expired,
    NotYetValid,
    /// Its id is on `DENIED_IDS`.
    Denied,
    /// Its record has a field that no gate knows.
    BadRecord,
    /// Its tag is right, and there is no record of it.
    Unknown,
    /// Its record's digest is another key's.
    WrongDigest,
    /// Its tag was made with another pepper.
    Forged,
    /// It is another environment's, and good there.
    OtherPrefix,
}

impl Kind {
    const ALL: [Self; 14] = [
        Self::Active,
        Self::Admin,
        Self::Networked,
        Self::Static,
        Self::Revoked,
        Self::Disabled,
        Self::Expired,
        Self::NotYetValid,
        Self::Denied,
        Self::BadRecord,
        Self::Unknown,
        Self::WrongDigest,
        Self::Forged,
        Self::OtherPrefix,
    ];
}

#[derive(Clone, Default)]
pub(crate) struct Key {
    pub(crate) kind: Kind,
    pub(crate) text: String,
    pub(crate) id: String,
    pub(crate) subject: String,
}

pub(crate) struct Ring {
    pub(crate) keys: Vec<Key>,
    /// What KV holds.
    pub(crate) entries: HashMap<String, Arc<[u8]>>,
    /// The secret `STATIC_KEYS`.
    pub(crate) static_keys: String,
    /// The secret `DENIED_IDS`.
    pub(crate) denied_ids: String,
}

impl Ring {
    pub(crate) fn make(seed: u64) -> Result<Self> {
        let prefix = |text: &str| text.parse::<KeyPrefix>().map_err(|fault| anyhow!("{fault}"));
        let pepper = |text: &str| text.parse::<Pepper>().map_err(|fault| anyhow!("{fault}"));
        let (ours, theirs) = (prefix(PREFIX)?, prefix("acme_test")?);
        let (right, wrong) = (pepper(PEPPER)?, pepper(&PEPPER.replace("random", "forged"))?);
        // No request has this number.
        let mut chance = Chance::of(seed, u64::MAX);
        let (mut keys, mut entries) = (Vec::new(), HashMap::new());
        let (mut static_keys, mut denied_ids) = (Vec::new(), Vec::new());
        for (number, kind) in Kind::ALL.iter().flat_map(|kind| [kind; OF_EACH]).enumerate() {
            let prefix = if *kind == Kind::OtherPrefix { &theirs } else { &ours };
            let pepper = if *kind == Kind::Forged { &wrong } else { &right };
            let key = new_key(prefix, pepper, &mut chance);
            let (id, subject) = (key.id().as_str().to_owned(), format!("holder-{number}"));
            let digested =
                if *kind == Kind::WrongDigest { &new_key(prefix, pepper, &mut chance) } else { &key };
            let digest = pepper.digest(&digested.as_presented()).to_string();
            let record = record(*kind, &id, &subject, &digest);
            match kind {
                Kind::Unknown => {}
                Kind::Static => static_keys.push(record),
                _ => drop(entries.insert(key.id().kv_name(), record.to_string().into_bytes().into())),
            }
            if *kind == Kind::Denied {
                denied_ids.push(id.clone());
            }
            keys.push(Key { kind: *kind, text: key.reveal().to_owned(), id, subject });
        }
        let static_keys = Value::from(static_keys).to_string();
        Ok(Self { keys, entries, static_keys, denied_ids: denied_ids.join(",") })
    }

    /// What nobody but the holder may read: the random half of each key.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().filter_map(|key| {
            let (before_tag, _) = key.text.split_at_checked(key.text.len().checked_sub(8)?)?;
            Some(before_tag.split_at_checked(before_tag.len().checked_sub(30)?)?.1)
        })
    }
}

fn record(kind: Kind, id: &str, subject: &str, digest: &str) -> Value {
    let mut record = json!({
        "v": 1, "id": id, "subject": subject, "name": "Made by the driver", "digest": digest,
        "state": match kind { Kind::Revoked => "revoked", Kind::Disabled => "disabled", _ => "active" },
        "created": 1_500_000_000,
    });
    let more = match kind {
        Kind::Admin => Some(("scopes", json!(["admin"]))),
        Kind::Networked => Some(("ips", json!([format!("{HOME}/32")]))),
        Kind::Expired => Some(("not_after", json!(1_600_000_000))),
        Kind::NotYetValid => Some(("not_before", json!(4_000_000_000_u64))),
        Kind::BadRecord => Some(("only_on_mondays", json!(true))),
        _ => None,
    };
    if let (Some((name, value)), Some(fields)) = (more, record.as_object_mut()) {
        fields.insert(name.to_owned(), value);
    }
    record
}
