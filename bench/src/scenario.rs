//! What is measured: each scenario is a kind of request and a configuration.

use std::fmt::Write as _;

use keygate_core::key::NewKey;
use serde_json::{Value, json};

use crate::contender::{Contender, Settings};
use crate::keys::{self, KeyMaker};
use crate::load::Traffic;
use crate::origin::LARGE_PATH;

#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// What a filter answers; the contender that only forwards answers 200 to everything.
    pub(crate) status: u16,
    credential: Credential,
    path: &'static str,
    headers: usize,
    /// Whether the requests take turns with every key there is, not with ten.
    pub(crate) all_keys: bool,
    /// Whether contenders without routes and scopes cannot take part.
    needs_policy: bool,
    /// Requests are fewer by this factor, where each is a lot of work.
    pub(crate) thinned: usize,
    pub(crate) settings: Settings,
}

#[derive(Clone, Copy)]
enum Credential {
    None,
    /// An issued key.
    Issued,
    /// An issued key with another secret: its tag is wrong.
    Forged,
    /// Of the right shape, and all made up.
    Guessed,
    /// Well-tagged, and no record has its id.
    Unknown,
}

/// The requests of an ordinary client behind the platform's edge have about as many.
const HEADERS: usize = 10;
const FEW_KEYS: usize = 10;
const UNKNOWN_KEYS: usize = 1000;
const PATH: &str = "/v1/reports/42?from=2026-01-01";

const SETTINGS: Settings = Settings {
    // Longer than any scenario runs: a cached record stays cached.
    cache_secs: 3600,
    cache_entries: 10_000,
    rejection_logs_per_minute: None,
    routes: one_route,
};
const EACH_LOGGED: Settings = Settings { rejection_logs_per_minute: Some(100_000), ..SETTINGS };

const ACCEPTED: Scenario = Scenario {
    name: "accepted",
    title: "accepted, record cached",
    status: 200,
    credential: Credential::Issued,
    path: PATH,
    headers: HEADERS,
    all_keys: false,
    needs_policy: false,
    thinned: 1,
    settings: SETTINGS,
};

pub(crate) const ALL: [Scenario; 13] = [
    ACCEPTED,
    Scenario {
        name: "accepted-kv",
        title: "accepted, KV read each time",
        settings: Settings { cache_secs: 0, ..SETTINGS },
        ..ACCEPTED
    },
    Scenario {
        name: "no-key",
        title: "refused, no key",
        status: 401,
        credential: Credential::None,
        ..ACCEPTED
    },
    Scenario {
        name: "forged",
        title: "refused, forged key of a known id",
        status: 401,
        credential: Credential::Forged,
        ..ACCEPTED
    },
    Scenario {
        name: "guessed",
        title: "refused, forged key of a guessed id",
        status: 401,
        credential: Credential::Guessed,
        ..ACCEPTED
    },
    Scenario {
        name: "unknown",
        title: "refused, good tag, unknown id",
        status: 401,
        credential: Credential::Unknown,
        ..ACCEPTED
    },
    Scenario {
        name: "scope",
        title: "refused, scope missing",
        status: 403,
        needs_policy: true,
        settings: Settings { routes: closed_route, ..SETTINGS },
        ..ACCEPTED
    },
    Scenario {
        name: "no-key-logged",
        title: "refused, no key, each logged",
        status: 401,
        credential: Credential::None,
        settings: EACH_LOGGED,
        ..ACCEPTED
    },
    Scenario {
        name: "forged-logged",
        title: "refused, forged key, each logged",
        status: 401,
        credential: Credential::Forged,
        settings: EACH_LOGGED,
        ..ACCEPTED
    },
    Scenario { name: "headers", title: "accepted, 200 request headers", headers: 200, ..ACCEPTED },
    Scenario {
        name: "routes",
        title: "accepted, 200 routes",
        needs_policy: true,
        settings: Settings { routes: many_routes, ..SETTINGS },
        ..ACCEPTED
    },
    Scenario {
        name: "keys",
        title: "accepted, all keys in turn",
        all_keys: true,
        settings: Settings { cache_entries: 100_000, ..SETTINGS },
        ..ACCEPTED
    },
    Scenario { name: "large", title: "accepted, 1 MB response", path: LARGE_PATH, thinned: 10, ..ACCEPTED },
];

/// The ordinary request.
pub(crate) fn accepted() -> Scenario {
    ACCEPTED
}

/// Far more keys than the isolate keeps records, which then come and go.
pub(crate) fn all_keys_in_a_small_cache() -> Scenario {
    Scenario { all_keys: true, ..ACCEPTED }
}

impl Scenario {
    pub(crate) fn contenders(&self) -> impl Iterator<Item = Contender> {
        Contender::ALL.into_iter().filter(|contender| match contender {
            Contender::Refuse => self.is_refusal(),
            Contender::Minimal | Contender::Hono => !self.needs_policy,
            // It costs the same whatever the key is, or the record's age.
            Contender::VerifyApi => matches!(self.name, "accepted" | "forged"),
            Contender::Forward | Contender::Handwritten | Contender::Gate => true,
        })
    }

    pub(crate) fn is_refusal(&self) -> bool {
        self.status >= 400
    }

    /// Whether only some of the requests are logged.
    pub(crate) fn has_capped_log(&self) -> bool {
        self.is_refusal() && self.settings.rejection_logs_per_minute.is_none()
    }

    pub(crate) fn status_of(&self, contender: Contender) -> u16 {
        match contender {
            Contender::Forward => 200,
            Contender::Refuse => 401,
            _ => self.status,
        }
    }

    /// The requests, with keys out of `issued` or made for the purpose.
    pub(crate) fn traffic(&self, issued: &[NewKey], maker: &mut KeyMaker) -> Traffic {
        let keys = match self.credential {
            Credential::None => Vec::new(),
            Credential::Issued if self.all_keys => texts(issued),
            Credential::Issued => texts(issued.get(..FEW_KEYS).unwrap_or(issued)),
            Credential::Forged => {
                let mut keys = texts(issued.get(..FEW_KEYS).unwrap_or(issued));
                for key in &mut keys {
                    another_secret(key);
                }
                keys
            }
            Credential::Guessed => texts(&maker.forge(UNKNOWN_KEYS)),
            Credential::Unknown => texts(&maker.make(UNKNOWN_KEYS)),
        };
        let mut head = format!(
            "GET {} HTTP/1.1\r\nHost: api.example.com\r\nAccept: application/json\r\nAccept-Encoding: gzip, br\r\n\
             User-Agent: reports-client/2.7.1 (linux; x86_64)\r\nCF-Connecting-IP: 203.0.113.7\r\n\
             CF-Ray: 8f2d3c4b5a697887-FRA\r\nCF-IPCountry: DE\r\nCF-Visitor: {{\"scheme\":\"https\"}}\r\n\
             X-Forwarded-Proto: https\r\n",
            self.path
        );
        for number in HEADERS..self.headers {
            // Writing to a String does not fail.
            let _ = write!(head, "X-Trace-Attribute-{number}: some value of ordinary length\r\n");
        }
        let has_key = !keys.is_empty();
        if has_key {
            head.push_str("Authorization: Bearer ");
        }
        let after_key = if has_key { "\r\n\r\n" } else { "\r\n" };
        Traffic { before_key: head.into_bytes(), keys, after_key: after_key.into() }
    }
}

fn texts(keys: &[NewKey]) -> Vec<Vec<u8>> {
    keys.iter().map(|key| key.reveal().as_bytes().to_vec()).collect()
}

/// Changes one digit of the secret; id and tag stay.
fn another_secret(key: &mut [u8]) {
    const DIGITS_AFTER: usize = 20;
    let at = key.len().saturating_sub(DIGITS_AFTER);
    if let Some(digit) = key.get_mut(at) {
        *digit = if *digit == b'0' { b'1' } else { b'0' };
    }
}

fn one_route() -> Value {
    json!([reports_route(keys::SCOPE)])
}

/// No key of the bench has this scope.
fn closed_route() -> Value {
    json!([reports_route("reports:write")])
}

fn reports_route(scope: &str) -> Value {
    json!({ "path": "/v1/reports/*", "methods": ["GET"], "scopes": [scope] })
}

/// The one that matches is the last.
fn many_routes() -> Value {
    let others = (1..200).map(|number| {
        json!({ "path": format!("/v1/service-{number}/items/*"), "methods": ["GET"], "scopes": [keys::SCOPE] })
    });
    others.chain([reports_route(keys::SCOPE)]).collect()
}

#[cfg(test)]
mod tests {
    use super::{ALL, another_secret};
    use crate::contender::Contender;
    use crate::keys::KeyMaker;
    use std::collections::BTreeSet;

    #[test]
    fn every_name_is_one_scenario_or_one_contender() {
        let names: Vec<&str> =
            ALL.iter().map(|one| one.name).chain(Contender::ALL.map(Contender::name)).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    }

    #[test]
    fn a_forged_key_keeps_its_id_and_its_tag() {
        for key in KeyMaker::new().iter_mut().flat_map(|maker| maker.make(5)) {
            let mut forged = key.reveal().as_bytes().to_vec();
            another_secret(&mut forged);
            let (before, after) = (key.reveal().as_bytes(), forged.as_slice());
            let different = before.iter().zip(after).filter(|(before, after)| before != after);
            assert_eq!(different.count(), 1);
            assert_eq!(before.get(..22), after.get(..22), "prefix and id");
            assert_eq!(before.last_chunk::<8>(), after.last_chunk::<8>(), "tag");
        }
    }
}
