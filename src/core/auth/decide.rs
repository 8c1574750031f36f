//! Step 9: the decision. Only this module can create a [`Permit`], which forwarding requires.

mod permit;

use alloc::string::String;

use crate::auth::admission::{Admitted, AuthRequirement, Gate, PresentedKey};
use crate::key::Key;
use crate::key::pepper::DigestMatch;
use crate::policy::route::{DEFAULT_COST, Route};
use crate::policy::{PlanLimits, Rate};
use crate::quota::{Payer, Quota, Remaining};
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
// INVARIANT: private fields; created by `decide`, and by `Limited::settle` and `Charged::settle` on what `decide` returned.
#[derive(Debug)]
pub struct Permit<'a> {
    gate: &'a Gate,
    request: &'a Admitted<'a>,
    holder: Option<&'a Record>,
    limits: KeyLimits<'a>,
    /// What is left of the quota, if it is known.
    remaining: Option<Remaining>,
}

/// The limits of a key: its plan's, and its record's own quota in place of the plan's.
#[derive(Clone, Copy, Debug, Default)]
struct KeyLimits<'a> {
    rate: Option<&'a Rate>,
    quota: Option<Quota>,
}

/// A request that is permitted if the limiter of its plan allows it, and its quota pays for it.
#[derive(Debug)]
pub struct Limited<'a> {
    permit: Permit<'a>,
    holder: &'a Record,
    rate: &'a Rate,
}

/// A request that is permitted if the quota of its key pays for it.
#[derive(Debug)]
pub struct Charged<'a> {
    permit: Permit<'a>,
    holder: &'a Record,
    quota: Quota,
    cost: u64,
}

/// The decision on a request that is not refused.
#[derive(Debug)]
pub enum Decision<'a> {
    /// It is permitted.
    Permit(Permit<'a>),
    /// It is permitted if the limiter allows it, and then if the quota pays for it.
    Limited(Limited<'a>),
    /// It is permitted if the quota pays for it.
    Charged(Charged<'a>),
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

/// What became of the charge for a request.
#[derive(Clone, Debug)]
pub enum QuotaAnswer {
    /// It is paid; with what is left.
    Paid(Option<Remaining>),
    /// The units that are left do not suffice.
    Exceeded(Remaining),
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
        return Ok(Decision::Permit(Permit {
            gate,
            request,
            holder: None,
            limits: KeyLimits::default(),
            remaining: None,
        }));
    };
    let id = key.id();
    let refused = |cause, key_id| Denial { cause, key_id, subject: None };
    // The id of an imported key is a hash of whatever was sent; a record shows that it is one.
    let known = matches!(key, PresentedKey::Issued { .. }).then_some(id);
    let record = record_of(found).map_err(|cause| refused(cause, known))?;
    check_digest(gate, key, record).map_err(|cause| refused(cause, Some(id)))?;

    let limits = check_holder(gate, request, record, now).and_then(|()| limits_of(gate, record));
    let denied = |cause| Denial { cause, key_id: Some(id), subject: Some(record.subject.clone()) };
    let limits = limits.map_err(denied)?;
    let permit = Permit { gate, request, holder: Some(record), limits, remaining: None };
    Ok(match limits.rate {
        Some(rate) => Decision::Limited(Limited { permit, holder: record, rate }),
        None => charged(permit, record),
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

/// The limits of the record.
fn limits_of<'a>(gate: &'a Gate, record: &Record) -> Result<KeyLimits<'a>, Cause> {
    let none = KeyLimits { rate: None, quota: record.quota };
    let Some(plan) = &record.plan else {
        return Ok(none);
    };
    match gate.policy.plan(plan) {
        PlanLimits::Unlimited => Ok(none),
        PlanLimits::Limits(limits) => {
            Ok(KeyLimits { rate: limits.rate(), quota: record.quota.or(limits.quota()) })
        }
        // An unknown plan may have a limit.
        PlanLimits::Unknown => Err(Cause::PlanUnknown(plan.clone())),
    }
}

/// The decision on a request that no limiter refuses. What the gate itself answers costs nothing.
fn charged<'a>(permit: Permit<'a>, holder: &'a Record) -> Decision<'a> {
    let request = permit.request;
    let cost = if request.is_whoami { 0 } else { request.route.map_or(DEFAULT_COST, Route::cost) };
    match permit.limits.quota.filter(|_| cost > 0) {
        Some(quota) => Decision::Charged(Charged { permit, holder, quota, cost: cost.into() }),
        None => Decision::Permit(permit),
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
        self.rate.binding()
    }

    /// The key of the counter: the subject, so that rotating a key does not reset its limit.
    #[must_use]
    pub fn counted(&self) -> &'a str {
        self.holder.subject.as_str()
    }

    /// Goes on with the limiter's answer.
    ///
    /// # Errors
    /// The limit is exceeded, or the limiter failed.
    pub fn settle(self, answer: LimiterAnswer) -> Result<Decision<'a>, Denial> {
        let cause = match answer {
            LimiterAnswer::Within => return Ok(charged(self.permit, self.holder)),
            LimiterAnswer::Exceeded => Cause::RateLimited {
                retry_after_secs: self.rate.period_secs(),
                policies: self.permit.policies_header(),
            },
            LimiterAnswer::Failed(error) => Cause::LimiterFailed(error),
        };
        Err(self.permit.withdraw(cause))
    }
}

impl<'a> Charged<'a> {
    /// Whose units are spent: the subject's, so that rotating a key does not reset its quota.
    #[must_use]
    pub fn payer(&self) -> Payer {
        Payer { subject: self.holder.subject.as_str().into(), quota: self.quota }
    }

    /// How many units the request costs.
    #[must_use]
    pub fn cost(&self) -> u64 {
        self.cost
    }

    /// Completes the decision with what became of the charge.
    ///
    /// # Errors
    /// The quota is exceeded, or could not be counted.
    pub fn settle(self, answer: QuotaAnswer) -> Result<Permit<'a>, Denial> {
        let cause = match answer {
            QuotaAnswer::Paid(remaining) => return Ok(Permit { remaining, ..self.permit }),
            QuotaAnswer::Exceeded(remaining) => Cause::QuotaExceeded {
                policies: self.permit.policies_header().unwrap_or_default(),
                remaining,
            },
            QuotaAnswer::Failed(error) => Cause::QuotaFailed(error),
        };
        Err(self.permit.withdraw(cause))
    }
}

#[cfg(test)]
mod tests;
