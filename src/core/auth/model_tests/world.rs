//! Operators, KV, the clock, and a gate.

use alloc::rc::Rc;
use std::collections::BTreeMap;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use super::step::{Kv, State, Step};
use crate::auth::admission::{Admission, Gate};
use crate::auth::cache::RecordCache;
use crate::auth::decide::{Decision, Lookup, decide};
use crate::auth::lookup::{LookupError, LookupStep, StoreReply, after_store, before_store};
use crate::auth::secrets::{SecretValues, Secrets};
use crate::key::pepper::Pepper;
use crate::key::{KeyId, KeyPrefix, NewKey};
use crate::policy::Policy;
use crate::record::Record;
use crate::request::head::RequestHead;
use crate::time::UnixSeconds;

pub(super) const CACHE_SECS: u64 = 30;
pub(super) const STALE_SECS: u64 = 120;
/// Fewer than there are keys, so that records are evicted.
pub(super) const CACHE_ENTRIES: usize = 3;
pub(super) const START_MS: u64 = 1_800_000_000_000;

const POLICY: &str = r#"{
    "ORIGIN":"https://origin.example", "KEY_PREFIX":"acme_live",
    "CACHE_SECONDS":30, "STALE_SECONDS":120, "CACHE_ENTRIES":3,
    "ROUTES":[
        {"path":"/public/*","access":"public"}, {"path":"/closed/*","access":"deny"},
        {"path":"/admin/*","scopes":["admin"]}, {"path":"/acme/*","subjects":["acme"]}]
}"#;

/// The content of an entry.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) state: State,
    pub(super) acme: bool,
    pub(super) admin: bool,
    pub(super) local: bool,
    pub(super) not_before: Option<u64>,
    pub(super) not_after: Option<u64>,
}

/// A key that was issued.
pub(super) struct Issued {
    pub(super) text: String,
    pub(super) id: KeyId,
    pub(super) digest: String,
    pub(super) pepper: usize,
}

pub(super) type Store = BTreeMap<usize, Option<Facts>>;

pub(super) struct World {
    pub(super) now_ms: u64,
    pub(super) keys: Vec<Issued>,
    /// The entries in KV; `None`: one that is not a record.
    pub(super) store: Store,
    /// The entries that KV returns while it lags.
    pub(super) lagging: Store,
    pub(super) kv: Kv,
    pub(super) pepper: usize,
    pub(super) denied: Vec<usize>,
    pub(super) statics: BTreeMap<usize, Facts>,
    // The real side.
    pub(super) gate: Gate,
    pub(super) cache: RecordCache,
    // The model's cache: key, content, time of the read; the most recently used comes last.
    pub(super) cached: Vec<(usize, Facts, u64)>,
}

/// The reply of KV for a key.
pub(super) enum Read<'a> {
    Found(&'a Facts),
    Unknown,
    Failed,
    TimedOut,
    Invalid,
}

fn pepper_text(generation: usize) -> String {
    format!("{generation:04}Zk9wVGVzdFBlcHBlck5vdEZvclVzZTAxMjM0NTY3ODkrLw")
}

fn cache() -> RecordCache {
    RecordCache::new(
        u32::try_from(CACHE_ENTRIES).unwrap(),
        u32::try_from(CACHE_SECS).unwrap(),
        u32::try_from(STALE_SECS).unwrap(),
    )
}

fn gate(pepper: usize, static_keys: &str, denied_ids: &str) -> Gate {
    let previous = pepper.checked_sub(1).map(pepper_text);
    let values = SecretValues {
        pepper: Some(&pepper_text(pepper)),
        pepper_previous: previous.as_deref(),
        static_keys: Some(static_keys),
        denied_ids: Some(denied_ids),
        ..SecretValues::default()
    };
    Gate { policy: Policy::from_json(POLICY).unwrap(), secrets: Secrets::parse(&values).unwrap() }
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            now_ms: START_MS,
            keys: Vec::new(),
            store: Store::new(),
            lagging: Store::new(),
            kv: Kv::Working,
            pepper: 0,
            denied: Vec::new(),
            statics: BTreeMap::new(),
            gate: gate(0, "", ""),
            cache: cache(),
            cached: Vec::new(),
        }
    }

    pub(super) fn now_secs(&self) -> u64 {
        self.now_ms / 1000
    }

    /// The key that a step refers to; `None` if there are no keys yet.
    pub(super) fn key(&self, at: usize) -> Option<usize> {
        at.checked_rem(self.keys.len())
    }

    /// Deploys: new secrets, and empty caches.
    fn deploy(&mut self) {
        let statics: Vec<String> = self.statics.iter().map(|(at, facts)| self.json(*at, facts)).collect();
        let denied: Vec<&str> = self.denied.iter().map(|at| self.keys[*at].id.as_str()).collect();
        self.gate = gate(self.pepper, &format!("[{}]", statics.join(",")), &denied.join(","));
        self.cache = cache();
        self.cached.clear();
    }

    fn json(&self, at: usize, facts: &Facts) -> String {
        let key = &self.keys[at];
        let time = |time: Option<u64>| time.map_or("null".into(), |time| time.to_string());
        format!(
            r#"{{"v":1,"id":"{}","subject":"{}","digest":"{}","state":"{}","created":1700000000,
                "not_before":{},"not_after":{},"scopes":{},"ips":{}}}"#,
            key.id,
            if facts.acme { "acme" } else { "other" },
            key.digest,
            match facts.state {
                State::Active => "active",
                State::Disabled => "disabled",
                State::Revoked => "revoked",
            },
            time(facts.not_before),
            time(facts.not_after),
            if facts.admin { r#"["admin"]"# } else { "[]" },
            if facts.local { r#"["203.0.113.0/24"]"# } else { "null" },
        )
    }

    fn issue(&mut self, facts: Facts) {
        let number = u8::try_from(self.keys.len()).unwrap();
        let pepper = pepper_text(self.pepper).parse::<Pepper>().unwrap();
        let prefix = "acme_live".parse::<KeyPrefix>().unwrap();
        let key = NewKey::from_entropy(&prefix, &pepper, |bytes| {
            bytes.iter_mut().zip(0_u8..).for_each(|(byte, at)| *byte = number.wrapping_add(at) % 62);
            Ok::<(), ()>(())
        })
        .unwrap();
        let digest = pepper.digest(&key.as_presented()).to_string();
        self.keys.push(Issued { text: key.reveal().into(), id: key.id(), digest, pepper: self.pepper });
        self.store.insert(self.keys.len() - 1, Some(facts));
    }

    /// The entry of a key, to be changed; `None` if it is invalid, because `keygate` does not change those either.
    fn entry(&mut self, at: usize) -> Option<&mut Facts> {
        let at = self.key(at)?;
        self.store.get_mut(&at)?.as_mut()
    }

    pub(super) fn apply(&mut self, step: &Step) {
        match *step {
            Step::Issue { holder, admin, local, starts_in, ends_in } => {
                let now = self.now_secs();
                let not_before = starts_in.map(|secs| now + secs);
                let not_after = ends_in.map(|secs| not_before.unwrap_or(now) + secs);
                self.issue(Facts { state: State::Active, acme: holder, admin, local, not_before, not_after });
            }
            Step::Rotate { key, grace_secs } => {
                let expiry = self.now_secs() + grace_secs;
                let Some(old) = self.entry(key).filter(|old| old.state == State::Active) else { return };
                let new = Facts { not_before: None, not_after: None, ..old.clone() };
                // `not_after` must be after `not_before`, and an expiry is never extended.
                if old.not_before.is_none_or(|start| start < expiry) {
                    old.not_after = Some(old.not_after.map_or(expiry, |before| before.min(expiry)));
                }
                self.issue(new);
            }
            Step::SetState { key, state } => {
                if let Some(facts) = self.entry(key).filter(|facts| facts.state != State::Revoked) {
                    facts.state = state;
                }
            }
            Step::Delete { key } => {
                if let Some(at) = self.key(key) {
                    self.store.remove(&at);
                }
            }
            Step::Garble { key } => {
                if let Some(at) = self.key(key) {
                    self.store.insert(at, None);
                }
            }
            Step::Deny { key } => {
                if let Some(at) = self.key(key).filter(|at| !self.denied.contains(at)) {
                    self.denied.push(at);
                    self.deploy();
                }
            }
            Step::MakeStatic { key } => {
                if let Some(facts) = self.entry(key).cloned() {
                    let at = self.key(key).unwrap();
                    self.statics.insert(at, facts);
                    self.deploy();
                }
            }
            Step::RotatePepper => {
                self.pepper += 1;
                self.deploy();
            }
            Step::Pass { ms } => self.now_ms += ms,
            Step::Kv(kv) => {
                if kv == Kv::Lagging && self.kv != Kv::Lagging {
                    self.lagging = self.store.clone();
                }
                self.kv = kv;
            }
            Step::Ask { .. } => {}
        }
    }

    pub(super) fn read_kv(&self, at: usize) -> Read<'_> {
        let store = match self.kv {
            Kv::Failing => return Read::Failed,
            Kv::Hanging => return Read::TimedOut,
            Kv::Working => &self.store,
            Kv::Lagging => &self.lagging,
        };
        match store.get(&at) {
            None => Read::Unknown,
            Some(None) => Read::Invalid,
            Some(Some(facts)) => Read::Found(facts),
        }
    }

    // The real side.

    fn find(&mut self, at: usize) -> Result<Rc<Record>, LookupError> {
        let id = self.keys[at].id;
        if let LookupStep::Found(record) = before_store(&mut self.cache, &id, self.now_ms) {
            return Ok(record);
        }
        let reply = match self.read_kv(at) {
            Read::Found(facts) => StoreReply::Found(self.json(at, facts)),
            Read::Invalid => StoreReply::Found("{\"v\":2}".into()),
            Read::Unknown => StoreReply::Absent,
            Read::Failed => StoreReply::Failed("error".into()),
            Read::TimedOut => StoreReply::TimedOut,
        };
        after_store(&mut self.cache, &self.gate.secrets, &id, self.now_ms, reply, Rc::new)
    }

    pub(super) fn real(&mut self, at: usize, path: &str, text: Option<&str>, inside: bool) -> &'static str {
        let found = if self.is_looked_up(at, path, text) { Some(self.find(at)) } else { None };
        let found = match &found {
            None => Lookup::NotNeeded,
            Some(Ok(record)) => Lookup::Found(record),
            Some(Err(error)) => error.clone().into(),
        };
        let now = UnixSeconds::new(self.now_secs()).unwrap();
        let headers = headers(text, inside);
        let url = format!("https://gate.example{path}");
        let head = head(&url, &headers);
        let admitted = match self.gate.admit(&head) {
            Ok(Admission::Proceed(admitted)) => admitted,
            Ok(Admission::AnswerPreflight) => panic!("a preflight was answered"),
            Err(denial) => return denial.cause.code().row().code,
        };
        match decide(&self.gate, &admitted, found, now) {
            Ok(Decision::Permit(_)) => "permit",
            Ok(Decision::Limited(_) | Decision::Charged(_)) => panic!("no plan has a limit"),
            Err(denial) => denial.cause.code().row().code,
        }
    }

    /// Whether the request leads to a lookup, which must then be of the key's own record.
    fn is_looked_up(&self, at: usize, path: &str, text: Option<&str>) -> bool {
        let headers = headers(text, true);
        let url = format!("https://gate.example{path}");
        let Ok(Admission::Proceed(admitted)) = self.gate.admit(&head(&url, &headers)) else {
            return false;
        };
        assert!(admitted.key_id().is_none_or(|id| id == self.keys[at].id));
        admitted.key_id().is_some()
    }
}

fn headers(text: Option<&str>, inside: bool) -> [(&'static str, &str); 2] {
    let address = if inside { "203.0.113.9" } else { "198.51.100.9" };
    [("cf-connecting-ip", address), ("x-api-key", text.unwrap_or_default())]
}

fn head<'a>(url: &'a str, headers: &'a [(&'a str, &'a str)]) -> RequestHead<'a> {
    RequestHead { method: "GET", url, header_names: "", headers }
}
