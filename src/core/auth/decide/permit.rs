//! What a permit allows: where the request goes, what it carries, and what its holder is told.

use alloc::string::String;
use alloc::vec::Vec;

use serde::Serialize;

use super::Permit;
use crate::key::KeyId;
use crate::policy::cors::{AnswerCors, Header};
use crate::policy::origin::Origin;
use crate::policy::route::Route;
use crate::policy::{REFERER, Rate};
use crate::quota::{Payer, Period, Quota, Remaining};
use crate::record::token::{Plan, Scope, Subject, joined};
use crate::record::{Bounded, Name, Record};
use crate::request::credential::AuthorizationHandling;
use crate::request::head::RequestHead;
use crate::request::url::UrlParts;
use crate::request::via::{VIA_HEADER, extended};
use crate::response::{Cause, Denial, RATE_LIMIT, RATE_LIMIT_POLICY};
use crate::signature::SigningKey;
use crate::time::UnixSeconds;

/// Where a permitted request is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination<'a> {
    /// To this URL.
    Url(String),
    /// To a service binding, with this URL.
    Service {
        /// The binding's name.
        binding: &'a str,
        /// The URL that the service sees.
        url: String,
    },
}

/// The holder of the key, as the origin is told.
#[derive(Clone, Copy, Debug)]
pub struct Holder<'a> {
    /// `X-Keygate-Key-Id`.
    pub id: KeyId,
    /// `X-Keygate-Subject`.
    pub subject: &'a str,
    /// `X-Keygate-Scopes`, separated by spaces.
    pub scopes: &'a [Scope],
}

impl Holder<'_> {
    /// The value of `X-Keygate-Scopes`; `None` if there are none.
    #[must_use]
    pub fn scopes_header(&self) -> Option<String> {
        (!self.scopes.is_empty()).then(|| joined(self.scopes))
    }
}

/// What a key is, as its holder is told: the fields of its record that are not about the gate.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct WhoAmI<'a> {
    id: KeyId,
    subject: &'a Subject,
    name: &'a Name,
    scopes: &'a Bounded<Scope>,
    plan: Option<&'a Plan>,
    not_before: Option<UnixSeconds>,
    not_after: Option<UnixSeconds>,
    quota: Option<QuotaStatus>,
}

/// A quota, and what is left of it.
#[derive(Clone, Copy, Debug, Serialize)]
struct QuotaStatus {
    limit: u64,
    period: Period,
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resets_at: Option<u64>,
}

impl QuotaStatus {
    fn of(quota: Quota, remaining: Option<Remaining>, now: UnixSeconds) -> Self {
        let resets_in_secs = remaining.and_then(|remaining| remaining.resets_in_secs);
        Self {
            limit: quota.limit,
            period: quota.period,
            left: remaining.map(|remaining| remaining.units),
            resets_at: resets_in_secs.map(|secs| now.seconds().saturating_add(secs)),
        }
    }
}

impl<'a> WhoAmI<'a> {
    fn of(record: &'a Record, quota: Option<QuotaStatus>) -> Self {
        let Record { id, subject, name, scopes, plan, not_before, not_after, .. } = record;
        Self {
            id: *id,
            subject,
            name,
            scopes,
            plan: plan.as_ref(),
            not_before: *not_before,
            not_after: *not_after,
            quota,
        }
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Cannot fail: strings, numbers and lists.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// What the origin gets as `Authorization`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authorization<'a> {
    /// The client's header, unchanged.
    Keep,
    /// None: the client's header contains the key, or could.
    Strip,
    /// The gate's own credential.
    Replace(&'a str),
}

impl<'a> Permit<'a> {
    /// Where the request is sent: a configured origin, with the path that the access rules were applied to.
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

    /// The holder of the key; `None` on public routes.
    #[must_use]
    pub fn holder(&self) -> Option<Holder<'_>> {
        self.holder.map(|record| Holder {
            id: record.id,
            subject: record.subject.as_str(),
            scopes: record.scopes.as_slice(),
        })
    }

    /// When the key expires, if that is soon enough to warn of it in the response.
    #[must_use]
    pub fn expires_soon(&self, now: UnixSeconds) -> Option<UnixSeconds> {
        let warning_secs = u64::from(self.gate.policy.expiry_warning_days()) * 86_400;
        // A cache would give one holder's expiry to others.
        let warns = warning_secs > 0 && self.no_store();
        self.holder?.not_after.filter(|expiry| warns && *expiry < now.plus(warning_secs))
    }

    /// Whether the gate itself answers.
    #[must_use]
    pub fn is_whoami(&self) -> bool {
        self.request.is_whoami
    }

    /// What the gate itself answers; `None`: no key was needed.
    #[must_use]
    pub fn whoami(&self, remaining: Option<Remaining>, now: UnixSeconds) -> Option<WhoAmI<'a>> {
        let quota = self.limits.quota.map(|quota| QuotaStatus::of(quota, remaining, now));
        self.holder.map(|record| WhoAmI::of(record, quota))
    }

    /// Whose quota it is that the key has, if it has one.
    #[must_use]
    pub fn payer(&self) -> Option<Payer> {
        let (holder, quota) = self.holder.zip(self.limits.quota)?;
        Some(Payer { subject: holder.subject.as_str().into(), quota })
    }

    /// The value of `RateLimit-Policy`: the quota of the key, and the rate of its plan if that is known.
    pub(super) fn policies_header(&self) -> Option<String> {
        let items = [
            self.limits.quota.map(|quota| quota.policy_item()),
            self.limits.rate.and_then(Rate::policy_item),
        ];
        let items: Vec<String> = items.into_iter().flatten().collect();
        (!items.is_empty()).then(|| items.join(", "))
    }

    /// The headers of the response that tell the holder of the limits; none where a cache would give them to others.
    #[must_use]
    pub fn limit_headers(&self) -> Vec<Header<'static>> {
        if !self.no_store() {
            return Vec::new();
        }
        let policies = self.policies_header().map(|value| (RATE_LIMIT_POLICY, value.into()));
        let remaining = self.remaining.map(|remaining| (RATE_LIMIT, remaining.header().into()));
        policies.into_iter().chain(remaining).collect()
    }

    /// What the origin gets as `Authorization`.
    #[must_use]
    pub fn authorization(&self) -> Authorization<'_> {
        // Not on public routes: only key holders may use the gate's own credential.
        match self.gate.secrets.origin_authorization() {
            Some(secret) if self.holder.is_some() && self.route_sends(Route::origin_authorization) => {
                Authorization::Replace(secret.expose())
            }
            _ => match self.request.authorization {
                AuthorizationHandling::Keep => Authorization::Keep,
                AuthorizationHandling::Strip => Authorization::Strip,
            },
        }
    }

    /// The key to sign the request with; without a permit there is no signature.
    #[must_use]
    pub fn signing_key(&self) -> Option<&'a SigningKey> {
        self.gate.secrets.origin_signing_key().filter(|_| self.route_sends(Route::origin_signature))
    }

    /// Whether a secret for `ORIGIN` is used with this request: as its route says, and by default only if the request is sent
    /// to `ORIGIN`.
    fn route_sends(&self, setting: impl Fn(&Route) -> Option<bool>) -> bool {
        self.request.route.is_none_or(|route| setting(route).unwrap_or(route.origin().is_none()))
    }

    /// Which of the request's headers are not forwarded.
    #[must_use]
    pub fn headers_to_strip<'n>(&self, head: &RequestHead<'n>) -> Vec<&'n str> {
        let filter = self.gate.policy.header_filter();
        let mut stripped = filter.stripped(head.method, head.header_names, head.hop_headers());
        if self.request.is_preflight {
            stripped.push("cookie");
        }
        // It is checked only for these methods; an origin that takes the method from a form could still act on it.
        if !matches!(head.method, "MOVE" | "COPY") {
            stripped.push("destination");
        }
        // A browser puts the URL of the page there, with the key by which the page was requested.
        let referer = head.header(REFERER).and_then(|referer| UrlParts::of(referer).query);
        if referer.is_some_and(|query| self.gate.policy.credential_sources().is_in_query(query)) {
            stripped.push(REFERER);
        }
        stripped
    }

    /// The marks of the gates that have forwarded the request, with this gate's: the value of [`VIA_HEADER`].
    #[must_use]
    pub fn via(&self, head: &RequestHead<'_>) -> String {
        extended(head.header(VIA_HEADER), &self.gate.mark())
    }

    /// Whether the body is forwarded: a preflight has none.
    #[must_use]
    pub fn forwards_body(&self) -> bool {
        !self.request.is_preflight
    }

    /// How long a WebSocket, or a response body of unknown length, may stay open; `None`: no limit, as on public routes, where no
    /// key can be revoked.
    #[must_use]
    pub fn max_connection_secs(&self) -> Option<u32> {
        let secs = self.gate.policy.max_connection_secs();
        (secs > 0 && self.holder.is_some()).then_some(secs)
    }

    /// The refusal of a permitted request that cannot be sent.
    #[must_use]
    pub fn withdraw(&self, cause: Cause) -> Denial {
        let subject = self.holder.map(|record| record.subject.clone());
        Denial { cause, key_id: self.holder.map(|record| record.id), subject }
    }

    /// The CORS headers of the response to a request with this `Origin`.
    #[must_use]
    pub fn cors(&self, origin: Option<&str>) -> AnswerCors<'a> {
        self.gate.policy.cors().of_answer(origin, self.no_store())
    }

    /// Whether shared caches must not store the response: they cannot tell from the forwarded request that it needs a key.
    #[must_use]
    pub fn no_store(&self) -> bool {
        self.holder.is_some() && !self.request.route.is_some_and(Route::cache)
    }

    /// `X-Forwarded-For`.
    #[must_use]
    pub fn client_ip(&self) -> Option<&'a str> {
        // Only a value that parses as an address is sent to the origin.
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
