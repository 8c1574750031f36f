//! The steps of a request, one by one, as the gate takes them.
//!
//! `native.rs` times them with divan; `run.mjs` times the same code in wasm, under Node.

use std::fmt::Write as _;
use std::hint::black_box;
use std::rc::Rc;

use keygate_core::auth::admission::{Admission, Gate};
use keygate_core::auth::cache::RecordCache;
use keygate_core::auth::decide::{Decision, Lookup, decide};
use keygate_core::auth::lookup::{LookupStep, before_store};
use keygate_core::auth::secrets::{SecretValues, Secrets};
use keygate_core::key::pepper::Pepper;
use keygate_core::key::{Key, KeyPrefix, NewKey};
use keygate_core::policy::Policy;
use keygate_core::record::Record;
use keygate_core::request::head::RequestHead;
use keygate_core::request::path::CanonicalPath;
use keygate_core::response::{Cause, Denial};
use keygate_core::telemetry::event::{Event, RequestContext};
use keygate_core::time::UnixSeconds;

const PEPPER: &str = "bench-only-3vJ0mB8nXqT5wYc7RzK1pLd9GhFs2aUe6iOx4N";
const PREFIX: &str = "acme_live";
const NOW_MS: u64 = 1_800_000_000_000;
const URL: &str = "https://api.example.com/v1/reports/42?from=2026-01-01";

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The key's shape, and its tag by one HMAC.
    ParseAndTag,
    /// The digest by one HMAC, and the comparison.
    DigestAndCompare,
    /// The canonical path, and its route among one.
    OneRoute,
    /// The same among 200.
    ManyRoutes,
    /// A record from its JSON, as after a KV read.
    RecordParse,
    /// Everything from the request's head to the permit, the record cached.
    WholeDecision,
    /// Everything from the head to the refusal of a key with a bad tag.
    Refusal,
    /// The log line of a refusal.
    LogLine,
}

impl Step {
    /// Every step, in the order of a request.
    pub const ALL: [Self; 8] = [
        Self::ParseAndTag,
        Self::DigestAndCompare,
        Self::OneRoute,
        Self::ManyRoutes,
        Self::RecordParse,
        Self::WholeDecision,
        Self::Refusal,
        Self::LogLine,
    ];
}

/// A gate, a key, and its record.
pub struct Fixture {
    gate: Gate,
    many: Gate,
    key: String,
    forged: String,
    record: Rc<Record>,
    json: String,
    cache: RecordCache,
    prefix: KeyPrefix,
    denial: Denial,
}

impl Fixture {
    /// # Panics
    /// A constant above is not what the core takes.
    #[must_use]
    pub fn new() -> Self {
        let prefix = PREFIX.parse::<KeyPrefix>().expect("a prefix");
        let pepper = PEPPER.parse::<Pepper>().expect("a pepper");
        let mut next = 1_u8;
        let fill = |bytes: &mut [u8]| {
            for byte in bytes {
                next = next.wrapping_mul(5).wrapping_add(17);
                *byte = next;
            }
            Ok::<(), ()>(())
        };
        let new = NewKey::from_entropy(&prefix, &pepper, fill).expect("a key");
        let (id, digest) = (new.id(), pepper.digest(&new.as_presented()));
        let json = format!(
            r#"{{"v":1,"id":"{id}","subject":"acme","name":"Acme production","digest":"{digest}","state":"active","created":1764000000,"not_before":null,"not_after":4102444800,"scopes":["reports:read"],"ips":null,"plan":null,"replaces":null,"replaced_by":null,"meta":{{"team":"billing"}}}}"#
        );
        let record = Rc::new(Record::parse_entry(id, &json).expect("a record"));
        let mut cache = RecordCache::new(10_000, 3600, 300);
        cache.insert(&record, NOW_MS);
        let key = new.reveal().to_owned();
        let mut forged = key.clone();
        let last = forged.pop();
        forged.push(if last == Some('0') { '1' } else { '0' });
        Self {
            gate: gate(0),
            many: gate(199),
            key,
            forged,
            record,
            json,
            cache,
            prefix,
            denial: Denial::from(Cause::CredentialMissing),
        }
    }

    /// Takes a step once; the result says whether it went as it must.
    pub fn take(&mut self, step: Step) -> bool {
        match step {
            Step::ParseAndTag => Key::parse(black_box(&self.key), &self.prefix)
                .is_ok_and(|key| self.gate.secrets.peppers().tag_matches(&key)),
            Step::DigestAndCompare => Key::parse(black_box(&self.key), &self.prefix).is_ok_and(|key| {
                let matched = self.gate.secrets.peppers().digest_matches(&key, &self.record.digest);
                matches!(matched, keygate_core::key::pepper::DigestMatch::Yes)
            }),
            Step::OneRoute => finds_route(&self.gate),
            Step::ManyRoutes => finds_route(&self.many),
            Step::RecordParse => Record::parse_entry(self.record.id, black_box(&self.json)).is_ok(),
            Step::WholeDecision => self.decides(),
            Step::Refusal => {
                let headers = headers(black_box(&self.forged));
                self.gate.admit(&head(&headers)).is_err_and(|denial| denial.kind().is_some())
            }
            Step::LogLine => {
                let context = RequestContext {
                    request_id: "8f2c1d0e9b7a6543-FRA",
                    method: "GET",
                    path: "/v1/reports/42",
                    client_ip: Some("203.0.113.9"),
                    user_agent: Some("python-requests/2.32.3"),
                };
                let time = "2026-01-02T03:04:05.678Z";
                let line = Event::denied(time, &self.denial, &context, Some(&self.gate.policy)).to_line();
                black_box(line).len() > 200
            }
        }
    }

    fn decides(&mut self) -> bool {
        let headers = headers(black_box(&self.key));
        let Ok(Admission::Proceed(admitted)) = self.gate.admit(&head(&headers)) else {
            return false;
        };
        let found = admitted.key_id().map(|id| before_store(&mut self.cache, &id, NOW_MS));
        let Some(LookupStep::Found(record)) = found else {
            return false;
        };
        let Some(now) = UnixSeconds::new(NOW_MS / 1000) else {
            return false;
        };
        match decide(&self.gate, &admitted, Lookup::Found(&record), now) {
            Ok(Decision::Permit(permit)) => black_box(permit.no_store()),
            _ => false,
        }
    }
}

impl Default for Fixture {
    fn default() -> Self {
        Self::new()
    }
}

fn gate(more_routes: usize) -> Gate {
    let mut routes = String::new();
    for number in 0..more_routes {
        let _ = write!(routes, r#"{{"path":"/v1/area-{number}/*","scopes":["reports:read"]}},"#);
    }
    let policy = format!(
        r#"{{"ORIGIN":"https://origin.example","KEY_PREFIX":"{PREFIX}","CREDENTIALS":["bearer","header:x-api-key"],
            "ROUTES":[{routes}{{"path":"/v1/reports/*","methods":["GET"],"scopes":["reports:read"]}}]}}"#
    );
    Gate {
        policy: Policy::from_json(&policy).expect("a policy"),
        secrets: Secrets::parse(&SecretValues { pepper: Some(PEPPER), ..SecretValues::default() })
            .expect("secrets"),
    }
}

fn headers(key: &str) -> [(&str, &str); 2] {
    [("cf-connecting-ip", "203.0.113.9"), ("x-api-key", key)]
}

fn head<'a>(headers: &'a [(&'a str, &'a str)]) -> RequestHead<'a> {
    RequestHead { method: "GET", url: black_box(URL), header_names: "cf-connecting-ip\nx-api-key", headers }
}

fn finds_route(gate: &Gate) -> bool {
    let policy = &gate.policy;
    let Ok(path) = CanonicalPath::parse(black_box("/v1/reports/42"), policy.path_rules()) else {
        return false;
    };
    let Some(method) = policy.methods().index_of("GET") else {
        return false;
    };
    matches!(policy.routes().find(&path, method), keygate_core::policy::route::Found::Route(_))
}

/// What `run.mjs` calls.
#[cfg(target_arch = "wasm32")]
mod exports {
    use super::{Fixture, Step};
    use std::alloc::{GlobalAlloc, Layout, System};
    use std::cell::RefCell;
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Counting;

    static BYTES: AtomicUsize = AtomicUsize::new(0);

    #[global_allocator]
    static ALLOCATOR: Counting = Counting;

    // SAFETY: every call is handed on to the system's allocator as it came.
    #[expect(unsafe_code, reason = "an allocator that counts is one that is called by unsafe functions")]
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            BYTES.fetch_add(layout.size(), Ordering::Relaxed);
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
            unsafe { System.dealloc(place, layout) }
        }
    }

    thread_local! {
        static FIXTURE: RefCell<Option<Fixture>> = const { RefCell::new(None) };
    }

    /// Takes step number `step` so many times; how often it went as it must.
    #[unsafe(no_mangle)]
    #[expect(unsafe_code, reason = "an exported name")]
    pub extern "C" fn take(step: usize, times: u32) -> u32 {
        FIXTURE.with_borrow_mut(|fixture| {
            let fixture = fixture.get_or_insert_with(Fixture::new);
            Step::ALL.get(step).map_or(0, |step| (0..times).map(|_| u32::from(fixture.take(*step))).sum())
        })
    }

    /// How many bytes have been allocated so far.
    #[unsafe(no_mangle)]
    #[expect(unsafe_code, reason = "an exported name")]
    pub extern "C" fn allocated() -> usize {
        BYTES.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::{Fixture, Step};

    #[test]
    fn every_step_goes_as_it_must() {
        let mut fixture = Fixture::new();
        for step in Step::ALL {
            assert!(fixture.take(step), "{step:?}");
        }
    }
}
