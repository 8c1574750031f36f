//! Step 9: the decision. Only this module can create a [`Permit`], which forwarding requires.

mod permit;

use alloc::string::String;

use crate::auth::admission::{Admitted, AuthRequirement, Gate, PresentedKey};
use crate::key::Key;
use crate::key::pepper::DigestMatch;
use crate::policy::PlanLimit;
use crate::record::{Record, RecordError, State};
use crate::response::{Cause, Denial};
use crate::time::UnixSeconds;

pub use permit::{Authorization, Destination, Holder, WhoAmI};

/// The result of looking up the record of the presented key.
#[derive(Clone, Debug)]
pub enum Lookup<'a> {
    /// No key is needed.
    NotNeeded,
    /// The record.
    Found(&'a Record),
    /// No store has a record of this id.
    Unknown,
    /// KV failed, and no copy is cached.
    Failed(String),
    /// KV did not answer in time, and no copy is cached.
    TimedOut,
    /// The entry is not a valid record.
    Invalid(RecordError),
}

/// The right to forward one request.
// INVARIANT: private fields; created by `decide`, and by `Limited::settle` on what `decide` returned.
#[derive(Debug)]
pub struct Permit<'a> {
    gate: &'a Gate,
    request: &'a Admitted<'a>,
    holder: Option<&'a Record>,
}

/// A request that is permitted if the limiter of its plan allows it.
#[derive(Debug)]
pub struct Limited<'a> {
    permit: Permit<'a>,
    holder: &'a Record,
    limiter: &'a str,
    period_secs: u32,
}

/// The decision on a request that is not refused.
#[derive(Debug)]
pub enum Decision<'a> {
    /// It is permitted.
    Permit(Permit<'a>),
    /// It is permitted if the limiter allows it.
    Limited(Limited<'a>),
}

/// The answer of a limiter.
#[derive(Clone, Debug)]
pub enum LimiterAnswer {
    /// Within the limit.
    Within,
    /// Over the limit.
    Exceeded,
    /// The binding is missing, failed, or did not answer in time.
    Failed(String),
}

/// Decides on an admitted request: digest, state, time, address, subject, scopes, limits. The first check that fails determines the refusal.
///
/// # Errors
/// Before the digest has matched, only causes whose code is `key_invalid` or a 503. Afterwards the caller has proved to hold
/// the key, and gets the exact code.
pub fn decide<'a>(
    gate: &'a Gate,
    request: &'a Admitted<'a>,
    found: Lookup<'a>,
    now: UnixSeconds,
) -> Result<Decision<'a>, Denial> {
    let AuthRequirement::Key(key) = &request.requirement else {
        return Ok(Decision::Permit(Permit { gate, request, holder: None }));
    };
    let id = key.id();
    let refused = |cause, key_id| Denial { cause, key_id, subject: None };
    // The id of an imported key is a hash of whatever was sent; a record shows that it is one.
    let known = matches!(key, PresentedKey::Issued { .. }).then_some(id);
    let record = record_of(found).map_err(|cause| refused(cause, known))?;
    check_digest(gate, key, record).map_err(|cause| refused(cause, Some(id)))?;

    let limiter = check_holder(gate, request, record, now).and_then(|()| limiter_of(gate, record));
    let denied = |cause| Denial { cause, key_id: Some(id), subject: Some(record.subject.clone()) };
    let limiter = limiter.map_err(denied)?;
    let permit = Permit { gate, request, holder: Some(record) };
    Ok(match limiter {
        None => Decision::Permit(permit),
        Some((limiter, period_secs)) => {
            Decision::Limited(Limited { permit, holder: record, limiter, period_secs })
        }
    })
}

fn record_of(found: Lookup<'_>) -> Result<&Record, Cause> {
    match found {
        Lookup::Found(record) => Ok(record),
        Lookup::Unknown | Lookup::NotNeeded => Err(Cause::KeyUnknown),
        Lookup::Failed(error) => Err(Cause::StoreFailed(error)),
        Lookup::TimedOut => Err(Cause::StoreTimeout),
        Lookup::Invalid(error) => Err(Cause::Record(error)),
    }
}

/// The limiter of the record's plan, and its period.
fn limiter_of<'a>(gate: &'a Gate, record: &Record) -> Result<Option<(&'a str, u32)>, Cause> {
    let Some(plan) = &record.plan else {
        return Ok(None);
    };
    match gate.policy.plan(plan) {
        PlanLimit::Unlimited => Ok(None),
        PlanLimit::Limiter { binding, period_secs } => Ok(Some((binding, period_secs))),
        // An unknown plan may have a limit.
        PlanLimit::Unknown => Err(Cause::PlanUnknown(plan.clone())),
    }
}

fn check_digest(gate: &Gate, key: &PresentedKey<'_>, record: &Record) -> Result<(), Cause> {
    // The record of another id must never be used.
    if record.id != key.id() {
        return Err(Cause::KeyUnknown);
    }
    let matched = match key {
        PresentedKey::Issued { text, id } => {
            let key = Key::of_parts(text.expose(), *id);
            gate.secrets.peppers().digest_matches(&key, &record.digest)
        }
        PresentedKey::Imported(key) => gate.secrets.peppers().imported_matches(key, &record.digest),
    };
    match matched {
        DigestMatch::Yes => Ok(()),
        DigestMatch::No => Err(Cause::DigestMismatch),
        DigestMatch::UnknownPepper(pepper) => Err(Cause::PepperUnknown(pepper)),
    }
}

/// The checks whose result only the holder of the key may learn.
fn check_holder(gate: &Gate, request: &Admitted<'_>, record: &Record, now: UnixSeconds) -> Result<(), Cause> {
    if gate.secrets.is_denied(&record.id) {
        return Err(Cause::KeyDenied);
    }
    match record.state {
        State::Active => {}
        State::Disabled => return Err(Cause::KeyDisabled),
        State::Revoked => return Err(Cause::KeyRevoked),
    }
    if let Some(not_after) = record.not_after.filter(|expiry| now >= *expiry) {
        return Err(Cause::KeyExpired { not_after });
    }
    if let Some(not_before) = record.not_before.filter(|start| now < *start) {
        return Err(Cause::KeyNotYetValid { not_before });
    }
    let networks = record.ips.as_ref().map_or(&[][..], |ips| ips.as_slice());
    if !networks.is_empty() {
        // An unknown client address is in no network.
        let allowed =
            request.client_address().is_some_and(|address| networks.iter().any(|n| n.contains(address)));
        if !allowed {
            return Err(Cause::Address);
        }
    }
    let Some(route) = request.route else {
        return Ok(());
    };
    if !route.subjects().is_empty() && !route.subjects().contains(&record.subject) {
        return Err(Cause::SubjectNotAllowed);
    }
    let scopes = record.scopes.as_slice();
    if !route.scopes().iter().all(|scope| scopes.contains(scope)) {
        return Err(Cause::ScopeMissing { required: route.scopes().to_vec() });
    }
    Ok(())
}

impl<'a> Limited<'a> {
    /// The name of the limiter's binding.
    #[must_use]
    pub fn limiter(&self) -> &'a str {
        self.limiter
    }

    /// The key of the counter: the subject, so that rotating a key does not reset its limit.
    #[must_use]
    pub fn counted(&self) -> &'a str {
        self.holder.subject.as_str()
    }

    /// Completes the decision with the limiter's answer.
    ///
    /// # Errors
    /// The limit is exceeded, or the limiter failed.
    pub fn settle(self, answer: LimiterAnswer) -> Result<Permit<'a>, Denial> {
        let cause = match answer {
            LimiterAnswer::Within => return Ok(self.permit),
            LimiterAnswer::Exceeded => Cause::RateLimited { retry_after_secs: self.period_secs },
            LimiterAnswer::Failed(error) => Cause::LimiterFailed(error),
        };
        Err(Denial { cause, key_id: Some(self.holder.id), subject: Some(self.holder.subject.clone()) })
    }
}

#[cfg(test)]
mod tests;
