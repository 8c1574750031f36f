//! The gate's decision over time, against a plain model of what the documents promise.
//!
//! A random series of what operators, clients, the clock and KV do is played to both. The real side is the core, put together
//! as the gate puts it together (steps 2 to 9); the model is a list of facts.

use alloc::rc::Rc;
use std::collections::BTreeMap;
use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use proptest::prelude::{Just, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy;

use crate::auth::admission::{Admission, Gate};
use crate::auth::cache::RecordCache;
use crate::auth::decide::{Lookup, Verdict, decide};
use crate::auth::lookup::{LookupError, LookupStep, StoreReply, after_store, before_store};
use crate::auth::secrets::{SecretTexts, Secrets};
use crate::key::pepper::Pepper;
use crate::key::{KeyId, KeyPrefix, NewKey};
use crate::policy::Policy;
use crate::record::Record;
use crate::request::head::RequestHead;
use crate::time::UnixSeconds;

const CACHE_SECS: u64 = 30;
const STALE_SECS: u64 = 120;
/// Fewer than there are keys, so that records are pushed out.
const CACHE_ENTRIES: usize = 3;
const START_MS: u64 = 1_800_000_000_000;

const POLICY: &str = r#"{
    "ORIGIN":"https://origin.example", "KEY_PREFIX":"acme_live",
    "CACHE_SECONDS":30, "STALE_SECONDS":120, "CACHE_ENTRIES":3,
    "ROUTES":[
        {"path":"/public/*","access":"public"}, {"path":"/closed/*","access":"deny"},
        {"path":"/admin/*","scopes":["admin"]}, {"path":"/acme/*","subjects":["acme"]}]
}"#;

/// What happens.
#[derive(Clone, Debug)]
enum Step {
    Issue {
        holder: bool,
        admin: bool,
        local: bool,
        starts_in: Option<u64>,
        ends_in: Option<u64>,
    },
    Rotate {
        key: usize,
        grace_secs: u64,
    },
    SetState {
        key: usize,
        state: State,
    },
    /// Somebody deletes the entry, which `keygate` never does.
    Delete {
        key: usize,
    },
    /// Somebody writes something else into it.
    Garble {
        key: usize,
    },
    Deny {
        key: usize,
    },
    MakeStatic {
        key: usize,
    },
    RotatePepper,
    Pass {
        ms: u64,
    },
    Kv(Kv),
    Ask {
        key: usize,
        path: &'static str,
        sent: Sent,
        inside: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Active,
    Disabled,
    Revoked,
}

/// How KV behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kv {
    Good,
    Failing,
    Hanging,
    /// It answers, and knows of nothing that happened since it began to.
    Lagging,
}

/// What a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Nothing,
    TheKey,
    /// With one character of its secret changed.
    AnotherSecret,
}

/// What an entry says.
#[derive(Clone, Debug)]
struct Facts {
    state: State,
    acme: bool,
    admin: bool,
    local: bool,
    not_before: Option<u64>,
    not_after: Option<u64>,
}

/// A key that was issued, whatever became of it.
struct Issued {
    text: String,
    id: KeyId,
    digest: String,
    pepper: usize,
}

type Store = BTreeMap<usize, Option<Facts>>;

struct World {
    now_ms: u64,
    keys: Vec<Issued>,
    /// What stands in KV; `None`: something that is no record.
    store: Store,
    /// What KV answers with while it lags.
    lagging: Store,
    kv: Kv,
    pepper: usize,
    denied: Vec<usize>,
    statics: BTreeMap<usize, Facts>,
    // The real side.
    gate: Gate,
    cache: RecordCache,
    // The model's cache: which key, what was read, when; what was used last comes last.
    kept: Vec<(usize, Facts, u64)>,
}

/// What KV says of a key.
enum Read<'a> {
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
    let texts = SecretTexts {
        pepper: Some(&pepper_text(pepper)),
        pepper_previous: previous.as_deref(),
        static_keys: Some(static_keys),
        denied_ids: Some(denied_ids),
        ..SecretTexts::default()
    };
    Gate { policy: Policy::from_json(POLICY).unwrap(), secrets: Secrets::parse(&texts).unwrap() }
}

impl World {
    fn new() -> Self {
        Self {
            now_ms: START_MS,
            keys: Vec::new(),
            store: Store::new(),
            lagging: Store::new(),
            kv: Kv::Good,
            pepper: 0,
            denied: Vec::new(),
            statics: BTreeMap::new(),
            gate: gate(0, "", ""),
            cache: cache(),
            kept: Vec::new(),
        }
    }

    fn now_secs(&self) -> u64 {
        self.now_ms / 1000
    }

    /// The key that a step means; none as long as there is none.
    fn key(&self, at: usize) -> Option<usize> {
        at.checked_rem(self.keys.len())
    }

    /// A deployment: other secrets, and isolates that know nothing yet.
    fn deploy(&mut self) {
        let statics: Vec<String> = self.statics.iter().map(|(at, facts)| self.json(*at, facts)).collect();
        let denied: Vec<&str> = self.denied.iter().map(|at| self.keys[*at].id.as_str()).collect();
        self.gate = gate(self.pepper, &format!("[{}]", statics.join(",")), &denied.join(","));
        self.cache = cache();
        self.kept.clear();
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

    /// What stands in KV of a key, to be changed; nothing if it cannot be read, where `keygate` changes nothing either.
    fn entry(&mut self, at: usize) -> Option<&mut Facts> {
        let at = self.key(at)?;
        self.store.get_mut(&at)?.as_mut()
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Issue { holder, admin, local, starts_in, ends_in } => {
                let now = self.now_secs();
                let not_before = starts_in.map(|secs| now + secs);
                let not_after = ends_in.map(|secs| not_before.unwrap_or(now) + secs);
                self.issue(Facts { state: State::Active, acme: holder, admin, local, not_before, not_after });
            }
            Step::Rotate { key, grace_secs } => {
                let end = self.now_secs() + grace_secs;
                let Some(old) = self.entry(key).filter(|old| old.state == State::Active) else { return };
                let new = Facts { not_before: None, not_after: None, ..old.clone() };
                // `not_after` has to be after `not_before`, and a deadline never moves back.
                if old.not_before.is_none_or(|start| start < end) {
                    old.not_after = Some(old.not_after.map_or(end, |before| before.min(end)));
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

    fn read_kv(&self, at: usize) -> Read<'_> {
        let store = match self.kv {
            Kv::Failing => return Read::Failed,
            Kv::Hanging => return Read::TimedOut,
            Kv::Good => &self.store,
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

    fn real(&mut self, at: usize, path: &str, text: Option<&str>, inside: bool) -> &'static str {
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
            Ok(Verdict::Permit(_)) => "permit",
            Ok(Verdict::Limited(_)) => panic!("no plan has a limit"),
            Err(denial) => denial.cause.code().row().code,
        }
    }

    /// Whether the request gets as far as its record, which must then be the key's own.
    fn is_looked_up(&self, at: usize, path: &str, text: Option<&str>) -> bool {
        let headers = headers(text, true);
        let url = format!("https://gate.example{path}");
        let Ok(Admission::Proceed(admitted)) = self.gate.admit(&head(&url, &headers)) else {
            return false;
        };
        assert!(admitted.key_id().is_none_or(|id| id == self.keys[at].id));
        admitted.key_id().is_some()
    }

    // The model.

    fn expected(&mut self, at: usize, path: &str, sent: Sent, inside: bool) -> &'static str {
        if path == "/closed/x" {
            return "route_denied";
        }
        if path == "/public/x" {
            return "permit";
        }
        match sent {
            Sent::Nothing => return "credential_missing",
            Sent::AnotherSecret => return "key_invalid",
            Sent::TheKey => {}
        }
        // The current pepper and the one before it.
        if self.pepper - self.keys[at].pepper > 1 {
            return "key_invalid";
        }
        let facts = match self.facts(at) {
            Ok(facts) => facts,
            Err(code) => return code,
        };
        let now = self.now_secs();
        if self.denied.contains(&at) || facts.state == State::Revoked {
            "key_revoked"
        } else if facts.state == State::Disabled {
            "key_disabled"
        } else if facts.not_after.is_some_and(|end| now >= end) {
            "key_expired"
        } else if facts.not_before.is_some_and(|start| now < start) {
            "key_not_yet_valid"
        } else if facts.local && !inside {
            "ip_not_allowed"
        } else if path == "/acme/x" && !facts.acme {
            "subject_not_allowed"
        } else if path == "/admin/x" && !facts.admin {
            "scope_missing"
        } else {
            "permit"
        }
    }

    /// What the gate may know of a key at this moment.
    fn facts(&mut self, at: usize) -> Result<Facts, &'static str> {
        let position = self.kept.iter().position(|(key, ..)| *key == at);
        let kept = position.map(|position| {
            let kept = self.kept.remove(position);
            self.kept.push(kept.clone());
            (kept.1, self.now_ms - kept.2)
        });
        if let Some((facts, _)) = kept.as_ref().filter(|(_, age)| *age < CACHE_SECS * 1000) {
            return Ok(facts.clone());
        }
        let in_static_keys = self.statics.get(&at).cloned();
        let mut read_at_ms = self.now_ms;
        // A static record is fresh for 5 s.
        let as_static_ms = self.now_ms - (CACHE_SECS - 5) * 1000;
        let read = match self.read_kv(at) {
            Read::Found(facts) => Ok(facts.clone()),
            Read::Unknown => {
                read_at_ms = as_static_ms;
                in_static_keys.ok_or("key_invalid")
            }
            Read::Invalid => Err("key_record_invalid"),
            Read::Failed | Read::TimedOut => {
                let usable = kept.filter(|(_, age)| *age < (CACHE_SECS + STALE_SECS) * 1000);
                if let Some((facts, _)) = usable {
                    return Ok(facts);
                }
                read_at_ms = as_static_ms;
                match in_static_keys {
                    Some(facts) => Ok(facts),
                    None => return Err("key_store_unavailable"),
                }
            }
        };
        self.kept.retain(|(key, ..)| *key != at);
        if let Ok(facts) = &read {
            self.kept.push((at, facts.clone(), read_at_ms));
            if self.kept.len() > CACHE_ENTRIES {
                self.kept.remove(0);
            }
        }
        read
    }
}

fn headers(text: Option<&str>, inside: bool) -> [(&'static str, &str); 2] {
    let address = if inside { "203.0.113.9" } else { "198.51.100.9" };
    [("cf-connecting-ip", address), ("x-api-key", text.unwrap_or_default())]
}

fn head<'a>(url: &'a str, headers: &'a [(&'a str, &'a str)]) -> RequestHead<'a> {
    RequestHead { method: "GET", url, header_names: "", headers }
}

fn step() -> impl Strategy<Value = Step> {
    let key = || any::<usize>();
    let secs = || prop::option::of(prop_oneof![1..10_u64, 10..400_u64]);
    let state = prop_oneof![Just(State::Active), Just(State::Disabled), Just(State::Revoked)];
    let kv = prop_oneof![4 => Just(Kv::Good), 2 => Just(Kv::Failing), 1 => Just(Kv::Hanging), 2 => Just(Kv::Lagging)];
    let sent = prop_oneof![1 => Just(Sent::Nothing), 8 => Just(Sent::TheKey), 1 => Just(Sent::AnotherSecret)];
    let path =
        prop::sample::select(vec!["/v1", "/v1", "/v1", "/admin/x", "/acme/x", "/public/x", "/closed/x"]);
    // Small steps, and those that end just before, at and just after a limit.
    let exact = prop::sample::select(vec![29_999_u64, 30_000, 119_999, 120_000, 149_999, 150_000]);
    let ms = prop_oneof![2 => 1..5_000_u64, 2 => exact, 1 => 1..400_000_u64];
    let issue = (
        any::<bool>(),
        any::<bool>(),
        prop::bool::weighted(0.2),
        prop::option::weighted(0.2, 1..60_u64),
        secs(),
    );
    prop_oneof![
        3 => issue.prop_map(|(holder, admin, local, starts_in, ends_in)| {
            Step::Issue { holder, admin, local, starts_in, ends_in }
        }),
        2 => (key(), prop_oneof![Just(0), 1..300_u64]).prop_map(|(key, grace_secs)| Step::Rotate { key, grace_secs }),
        3 => (key(), state).prop_map(|(key, state)| Step::SetState { key, state }),
        1 => key().prop_map(|key| Step::Delete { key }),
        1 => key().prop_map(|key| Step::Garble { key }),
        1 => key().prop_map(|key| Step::Deny { key }),
        1 => key().prop_map(|key| Step::MakeStatic { key }),
        1 => Just(Step::RotatePepper),
        6 => ms.prop_map(|ms| Step::Pass { ms }),
        3 => kv.prop_map(Step::Kv),
        12 => (key(), path, sent, any::<bool>())
            .prop_map(|(key, path, sent, inside)| Step::Ask { key, path, sent, inside }),
    ]
}

fn with_another_secret(text: &str) -> String {
    let (before, after) = text.split_at(30);
    let other = if after.starts_with('A') { 'B' } else { 'A' };
    format!("{before}{other}{}", &after[1..])
}

proptest! {
    #[test]
    fn whatever_happens_the_gate_decides_as_the_model(steps in prop::collection::vec(step(), 1..80)) {
        let mut world = World::new();
        // When each key was last found to be revoked in KV by an honest reading of it.
        let mut revoked_at: BTreeMap<usize, u64> = BTreeMap::new();
        // Since when KV answers, and with what it knows.
        let mut good_since = START_MS;
        for step in &steps {
            let was = world.kv;
            world.take(step);
            if was != Kv::Good && world.kv == Kv::Good {
                good_since = world.now_ms;
            }
            for (at, facts) in &world.store {
                if facts.as_ref().is_some_and(|facts| facts.state == State::Revoked) {
                    revoked_at.entry(*at).or_insert(world.now_ms);
                }
            }
            // Where KV has none, the static record serves: the revocation was deleted.
            revoked_at.retain(|at, _| !world.statics.contains_key(at) || world.store.contains_key(at));
            let Step::Ask { key, path, sent, inside } = *step else { continue };
            let Some(at) = world.key(key) else { continue };
            let text = match sent {
                Sent::Nothing => None,
                Sent::TheKey => Some(world.keys[at].text.clone()),
                Sent::AnotherSecret => Some(with_another_secret(&world.keys[at].text)),
            };
            let real = world.real(at, path, text.as_deref(), inside);
            let expected = world.expected(at, path, sent, inside);
            prop_assert_eq!(real, expected, "{:?} of {:?}", step, steps);

            if real != "permit" || path == "/public/x" {
                continue;
            }
            // What holds whatever the model says.
            prop_assert!(sent == Sent::TheKey && !world.denied.contains(&at));
            if let Some(revoked) = revoked_at.get(&at) {
                let is_static = world.statics.contains_key(&at);
                let (revoked, worst_case_secs) = match world.kv {
                    // A revocation holds for a static record too, as soon as KV can be asked.
                    Kv::Good if is_static => ((*revoked).max(good_since), CACHE_SECS),
                    Kv::Good => (*revoked, CACHE_SECS),
                    Kv::Failing | Kv::Hanging if is_static => continue,
                    Kv::Failing | Kv::Hanging => (*revoked, CACHE_SECS + STALE_SECS),
                    Kv::Lagging => continue,
                };
                // A copy that was read while KV lagged is as old as what KV then knew.
                let lag = world.lagging.get(&at).is_some_and(|facts| facts.as_ref().is_some_and(|f| f.state != State::Revoked));
                prop_assert!(lag || world.now_ms - revoked < worst_case_secs * 1000, "a revoked key works for too long");
            }
        }
    }
}
