//! Step 9: the decision. Nothing else in this code base can make a [`Permit`], and forwarding takes one.

use alloc::string::String;
use alloc::vec::Vec;

use crate::auth::admission::{Admitted, Claim, Gate, PresentedKey};
use crate::key::pepper::DigestMatch;
use crate::key::{Key, KeyId};
use crate::policy::PlanLimit;
use crate::policy::cors::AnswerCors;
use crate::policy::origin::Origin;
use crate::policy::route::Route;
use crate::record::token::{Scope, joined};
use crate::record::{Record, RecordError, State};
use crate::request::credential::AuthorizationFate;
use crate::request::head::RequestHead;
use crate::response::denial::{Cause, Denial};
use crate::signature::SigningKey;
use crate::time::UnixSeconds;

/// What the stores said of the presented key's id.
#[derive(Clone, Debug)]
pub enum Lookup<'a> {
    /// No key was presented, and none is needed.
    NotNeeded,
    /// Its record.
    Found(&'a Record),
    /// No store has it.
    Unknown,
    /// KV failed, and no copy was kept.
    Failed(String),
    /// KV did not answer in time, and no copy was kept.
    TimedOut,
    /// There is an entry, but no record can be read from it.
    Invalid(RecordError),
}

/// The right to forward one request.
// INVARIANT: private fields; made by `decide` and by `Limited::settle`, which only `decide` makes.
#[derive(Debug)]
pub struct Permit<'a> {
    gate: &'a Gate,
    request: &'a Admitted<'a>,
    holder: Option<&'a Record>,
}

/// A request that may go once its plan's limiter has agreed.
#[derive(Debug)]
pub struct Limited<'a> {
    permit: Permit<'a>,
    holder: &'a Record,
    limiter: &'a str,
    period_secs: u32,
}

/// What `decide` says to a request that it does not turn away.
#[derive(Debug)]
pub enum Verdict<'a> {
    /// It may go.
    Permit(Permit<'a>),
    /// It may go if the limiter agrees.
    Limited(Limited<'a>),
}

/// What a limiter said.
#[derive(Clone, Debug)]
pub enum LimiterAnswer {
    /// Within the limit.
    Within,
    /// Past it.
    Exceeded,
    /// The binding is missing or failed.
    Failed(String),
}

/// Decides on an admitted request: digest, state, time, address, subject, scopes, limits; the first failure is the answer.
///
/// # Errors
/// Until the digest has matched, only causes whose code is `key_invalid` or a 503. After it has
/// matched the caller has proved to hold the key and is told the truth.
pub fn decide<'a>(
    gate: &'a Gate,
    request: &'a Admitted<'a>,
    found: Lookup<'a>,
    now: UnixSeconds,
) -> Result<Verdict<'a>, Denial> {
    let Claim::Key(key) = &request.claim else {
        return Ok(Verdict::Permit(Permit { gate, request, holder: None }));
    };
    let id = key.id();
    let record = record_of(found).and_then(|record| check_digest(gate, key, record).map(|()| record));
    let record = record.map_err(|cause| Denial { cause, key_id: Some(id), subject: None })?;

    let limiter = check_holder(gate, request, record, now).and_then(|()| limiter_of(gate, record));
    let told = |cause| Denial { cause, key_id: Some(id), subject: Some(record.subject.clone()) };
    let limiter = limiter.map_err(told)?;
    let permit = Permit { gate, request, holder: Some(record) };
    Ok(match limiter {
        None => Verdict::Permit(permit),
        Some((limiter, period_secs)) => {
            Verdict::Limited(Limited { permit, holder: record, limiter, period_secs })
        }
    })
}

fn record_of(found: Lookup<'_>) -> Result<&Record, Cause> {
    match found {
        Lookup::Found(record) => Ok(record),
        Lookup::Unknown | Lookup::NotNeeded => Err(Cause::KeyUnknown),
        Lookup::Failed(error) => Err(Cause::StoreFailed(error)),
        Lookup::TimedOut => Err(Cause::StoreTimeout),
        Lookup::Invalid(fault) => Err(Cause::Record(fault)),
    }
}

/// The limiter that counts the record's requests, and its period.
fn limiter_of<'a>(gate: &'a Gate, record: &Record) -> Result<Option<(&'a str, u32)>, Cause> {
    let Some(plan) = &record.plan else {
        return Ok(None);
    };
    match gate.policy.plan(plan) {
        PlanLimit::Unlimited => Ok(None),
        PlanLimit::Limiter { binding, period_secs } => Ok(Some((binding, period_secs))),
        // A plan that this gate does not know may be a limit that it does not know.
        PlanLimit::Unknown => Err(Cause::PlanUnknown(plan.clone())),
    }
}

fn check_digest(gate: &Gate, key: &PresentedKey<'_>, record: &Record) -> Result<(), Cause> {
    // A record of another id is no answer to this question, whoever handed it in.
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

/// Everything that is said only to the holder of the key.
fn check_holder(gate: &Gate, request: &Admitted<'_>, record: &Record, now: UnixSeconds) -> Result<(), Cause> {
    if gate.secrets.is_denied(&record.id) {
        return Err(Cause::KeyDenied);
    }
    match record.state {
        State::Active => {}
        State::Disabled => return Err(Cause::KeyDisabled),
        State::Revoked => return Err(Cause::KeyRevoked),
    }
    if let Some(not_after) = record.not_after.filter(|end| now >= *end) {
        return Err(Cause::KeyExpired { not_after });
    }
    if let Some(not_before) = record.not_before.filter(|start| now < *start) {
        return Err(Cause::KeyNotYetValid { not_before });
    }
    let networks = record.ips.as_ref().map_or(&[][..], |ips| ips.as_slice());
    if !networks.is_empty() {
        // A client address that is not known fails the rule.
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
    let held = record.scopes.as_slice();
    if !route.scopes().iter().all(|scope| held.contains(scope)) {
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

    /// What is counted: the holder, so that a rotated key has no second allowance.
    #[must_use]
    pub fn counted(&self) -> &'a str {
        self.holder.subject.as_str()
    }

    /// Ends the decision.
    ///
    /// # Errors
    /// The limit is reached; or the limiter failed, and a limit that cannot be counted is not skipped.
    pub fn settle(self, answer: LimiterAnswer) -> Result<Permit<'a>, Denial> {
        let cause = match answer {
            LimiterAnswer::Within => return Ok(self.permit),
            LimiterAnswer::Exceeded => Cause::RateLimited { retry_after_secs: self.period_secs },
            LimiterAnswer::Failed(error) => Cause::LimiterFailed(error),
        };
        Err(Denial { cause, key_id: Some(self.holder.id), subject: Some(self.holder.subject.clone()) })
    }
}

/// Where a permitted request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination<'a> {
    /// To this URL.
    Url(String),
    /// To this URL, by a service binding.
    Service {
        /// The binding's name.
        binding: &'a str,
        /// The URL that the service sees.
        url: String,
    },
}

/// Whom the origin is told that the request comes from.
#[derive(Clone, Copy, Debug)]
pub struct Holder<'a> {
    /// `X-Keygate-Key-Id`.
    pub id: KeyId,
    /// `X-Keygate-Subject`.
    pub subject: &'a str,
    /// `X-Keygate-Scopes`, to be joined by spaces.
    pub scopes: &'a [Scope],
}

impl Holder<'_> {
    /// The value of `X-Keygate-Scopes`; `None` where there are none.
    #[must_use]
    pub fn scopes_header(&self) -> Option<String> {
        (!self.scopes.is_empty()).then(|| joined(self.scopes))
    }
}

/// What becomes of `Authorization`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authorization<'a> {
    /// It belongs to the origin and goes there as it came.
    Keep,
    /// It held the key, or may have.
    Strip,
    /// The gate's own credential takes its place.
    Replace(&'a str),
}

impl<'a> Permit<'a> {
    /// Where the request goes: always to a configured origin, on the path that was judged.
    #[must_use]
    pub fn destination(&self) -> Destination<'_> {
        let request = self.request;
        let path = request.path.forwarded();
        let query = request.query.as_deref();
        let same_host = || {
            let parts = [
                request.url.scheme,
                "://",
                request.url.authority,
                path,
                if query.is_some() { "?" } else { "" },
                query.unwrap_or_default(),
            ];
            parts.concat()
        };
        match self.origin() {
            Origin::Url(url) => Destination::Url(url.url_for(path, query)),
            Origin::Zone => Destination::Url(same_host()),
            Origin::Service(binding) => Destination::Service { binding, url: same_host() },
        }
    }

    fn origin(&self) -> &'a Origin {
        self.request.route.and_then(Route::origin).unwrap_or_else(|| self.gate.policy.origin())
    }

    /// Whom the request comes from; `None` on public routes.
    #[must_use]
    pub fn holder(&self) -> Option<Holder<'_>> {
        self.holder.map(|record| Holder {
            id: record.id,
            subject: record.subject.as_str(),
            scopes: record.scopes.as_slice(),
        })
    }

    /// What becomes of the `Authorization` that the client sent.
    #[must_use]
    pub fn authorization(&self) -> Authorization<'_> {
        // On public routes too nobody may speak to the origin with the gate's own credential, so it goes with keys only.
        match self.gate.secrets.origin_authorization() {
            Some(secret) if self.holder.is_some() && self.route_sends(Route::origin_authorization) => {
                Authorization::Replace(secret.expose())
            }
            _ => match self.request.authorization {
                AuthorizationFate::Keep => Authorization::Keep,
                AuthorizationFate::Strip => Authorization::Strip,
            },
        }
    }

    /// What the request is to be signed with on its way to the origin. Only who holds a permit can have a signature.
    #[must_use]
    pub fn signing_key(&self) -> Option<&'a SigningKey> {
        self.gate.secrets.origin_signing_key().filter(|_| self.route_sends(Route::origin_signature))
    }

    /// Whether a secret that was made for `ORIGIN` is used with this request: what its route says, and otherwise only if the
    /// request goes there.
    fn route_sends(&self, says: impl Fn(&Route) -> Option<bool>) -> bool {
        self.request.route.is_none_or(|route| says(route).unwrap_or(route.origin().is_none()))
    }

    /// Which of the request's headers are not forwarded.
    #[must_use]
    pub fn headers_to_strip<'n>(&self, head: &RequestHead<'n>) -> Vec<&'n str> {
        let filter = self.gate.policy.header_filter();
        let mut stripped = filter.stripped(head.method, head.header_names, head.hop_headers());
        if self.request.is_preflight {
            stripped.push("cookie");
        }
        // It was judged for these alone; an origin that takes another method from a form would act on it.
        if !matches!(head.method, "MOVE" | "COPY") {
            stripped.push("destination");
        }
        stripped
    }

    /// Whether the body is forwarded: a preflight has none.
    #[must_use]
    pub fn forwards_body(&self) -> bool {
        !self.request.is_preflight
    }

    /// How long a WebSocket, or a response body of unstated length, may last; `None`: no limit. What nobody's key has opened
    /// ends by no key's revocation.
    #[must_use]
    pub fn max_connection_secs(&self) -> Option<u32> {
        let secs = self.gate.policy.max_connection_secs();
        (secs > 0 && self.holder.is_some()).then_some(secs)
    }

    /// The refusal of a request that was permitted and yet cannot be sent.
    #[must_use]
    pub fn withdraw(&self, cause: Cause) -> Denial {
        let subject = self.holder.map(|record| record.subject.clone());
        Denial { cause, key_id: self.holder.map(|record| record.id), subject }
    }

    /// The CORS headers of the origin's answer to a request from this page.
    #[must_use]
    pub fn cors(&self, origin: Option<&str>) -> AnswerCors<'a> {
        self.gate.policy.cors().of_answer(origin, self.no_store())
    }

    /// Whether shared caches must not store the answer: the credential that kept them off is stripped.
    #[must_use]
    pub fn no_store(&self) -> bool {
        self.holder.is_some() && !self.request.route.is_some_and(Route::cache)
    }

    /// `X-Forwarded-For`.
    #[must_use]
    pub fn client_ip(&self) -> Option<&'a str> {
        // The platform's header, but only if it is an address: what goes to the origin was parsed.
        self.request.client_ip.filter(|_| self.request.client_address().is_some())
    }

    /// `X-Forwarded-Host`.
    #[must_use]
    pub fn forwarded_host(&self) -> &'a str {
        self.request.url.authority
    }

    /// `X-Forwarded-Proto`.
    #[must_use]
    pub fn forwarded_proto(&self) -> &'a str {
        self.request.url.scheme
    }
}

#[cfg(test)]
mod tests;
