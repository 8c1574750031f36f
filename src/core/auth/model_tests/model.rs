//! The model: what the documents promise.

use super::step::{Presented, State};
use super::world::{CACHE_ENTRIES, CACHE_SECS, Facts, Read, STALE_SECS, World};

impl World {
    pub(super) fn expected(
        &mut self,
        at: usize,
        path: &str,
        presented: Presented,
        inside: bool,
    ) -> &'static str {
        if path == "/closed/x" {
            return "route_denied";
        }
        if path == "/public/x" {
            return "permit";
        }
        match presented {
            Presented::Nothing => return "credential_missing",
            Presented::AnotherSecret => return "key_invalid",
            Presented::TheKey => {}
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
        } else if facts.not_after.is_some_and(|expiry| now >= expiry) {
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

    /// The content that the gate must decide by.
    fn facts(&mut self, at: usize) -> Result<Facts, &'static str> {
        let position = self.cached.iter().position(|(key, ..)| *key == at);
        let cached = position.map(|position| {
            let cached = self.cached.remove(position);
            self.cached.push(cached.clone());
            (cached.1, self.now_ms - cached.2)
        });
        if let Some((facts, _)) = cached.as_ref().filter(|(_, age)| *age < CACHE_SECS * 1000) {
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
                let usable = cached.filter(|(_, age)| *age < (CACHE_SECS + STALE_SECS) * 1000);
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
        self.cached.retain(|(key, ..)| *key != at);
        if let Ok(facts) = &read {
            self.cached.push((at, facts.clone(), read_at_ms));
            if self.cached.len() > CACHE_ENTRIES {
                self.cached.remove(0);
            }
        }
        read
    }
}
