//! Plans: the limits of the keys that name them.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use core::ops::RangeInclusive;

use serde_json::value::RawValue;

use super::error::{Values, escape_value};
use super::origin::is_binding_name;
use super::read::Reader;
use crate::quota::{Period, Quota};
use crate::record::token::Plan;

const PLANS_MAX: usize = 64;
const PLAN_FIELDS: &[&str] = &["rate", "quota"];
const RATE_FIELDS: &[&str] = &["limiter", "period", "limit"];
const QUOTA_FIELDS: &[&str] = &["limit", "period"];
/// The name of the rate limit in the headers of a response.
const RATE_POLICY: &str = "rate";

/// The limits of a plan; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    pub(crate) rate: Option<Rate>,
    pub(crate) quota: Option<Quota>,
}

impl Limits {
    /// How many requests there may be in a short time.
    #[must_use]
    pub fn rate(&self) -> Option<&Rate> {
        self.rate.as_ref()
    }

    /// How many units may be spent in a period.
    #[must_use]
    pub fn quota(&self) -> Option<Quota> {
        self.quota
    }
}

/// A rate, which a limiter of the platform counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rate {
    binding: Box<str>,
    period_secs: u32,
    limit: Option<u32>,
}

impl Rate {
    /// The limiter's binding.
    #[must_use]
    pub fn binding(&self) -> &str {
        &self.binding
    }

    /// The limiter's period: 10 or 60 seconds.
    #[must_use]
    pub fn period_secs(&self) -> u32 {
        self.period_secs
    }

    /// How many requests the limiter allows in a period, if the policy says so.
    #[must_use]
    pub fn limit(&self) -> Option<u32> {
        self.limit
    }

    /// The rate in `RateLimit-Policy`, if the limit is known.
    #[must_use]
    pub fn policy_item(&self) -> Option<String> {
        self.limit.map(|limit| format!("\"{RATE_POLICY}\";q={limit};w={}", self.period_secs))
    }
}

/// The limits of the keys of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanLimits<'p> {
    /// `PLANS` is empty: no plan has a limit.
    Unlimited,
    /// These.
    Limits(&'p Limits),
    /// `PLANS` does not list this plan.
    Unknown,
}

impl<'v> Reader<'v, '_> {
    pub(super) fn plans(&mut self) -> BTreeMap<String, Limits> {
        let value = self.var("PLANS");
        let written = value.and_then(|value| self.errors.object("PLANS", value, "plans"));
        let mut plans = BTreeMap::new();
        for (name, value) in written.unwrap_or_default() {
            let field = format!("PLANS.{}", escape_value(&name));
            if let Err(error) = name.parse::<Plan>() {
                self.errors.add(&field, error);
            }
            if let Some(limits) = self.limits(&field, value) {
                plans.insert(name, limits);
            }
        }
        if plans.len() > PLANS_MAX {
            self.errors
                .add("PLANS", format_args!("has {} plans; at most {PLANS_MAX} are allowed", plans.len()));
        }
        plans
    }

    fn limits(&mut self, field: &str, value: &'v RawValue) -> Option<Limits> {
        let plan = self.errors.object(field, value, "rate and quota")?;
        if plan.contains_key("limiter") || plan.contains_key("period") {
            let problem = "has `limiter` and `period`, which belong into `rate`: write {rate = {limiter = \"BINDING\", period = 10 or 60}}";
            self.errors.add(field, problem);
            return None;
        }
        self.errors.unknown_fields(field, &plan, PLAN_FIELDS);
        if plan.is_empty() {
            self.errors.add(field, "has neither rate nor quota; a plan has at least one of them");
        }
        let rate = plan.get("rate").map(|value| self.rate(&format!("{field}.rate"), value));
        let quota = plan.get("quota").map(|value| self.quota(&format!("{field}.quota"), value));
        Some(Limits { rate: rate.flatten(), quota: quota.flatten() })
    }

    fn rate(&mut self, field: &str, value: &'v RawValue) -> Option<Rate> {
        let rate = self.errors.object(field, value, "limiter, period and limit")?;
        self.errors.unknown_fields(field, &rate, RATE_FIELDS);
        let allowed = "the name of a rate limiter's binding";
        let limiter = self.errors.required(field, &rate, "limiter");
        let binding = limiter.and_then(|(field, value)| {
            let text = self.errors.string(&field, value, allowed)?;
            if !is_binding_name(&text) {
                self.errors.add_string(&field, &text, format_args!("is not {allowed}"));
            }
            Some(text.into())
        });
        let period = self.errors.required(field, &rate, "period");
        let period_secs = period.and_then(|(field, value)| {
            let period = serde_json::from_str(value.get()).ok().filter(|period| matches!(period, 10 | 60));
            if period.is_none() {
                self.errors.add_value(
                    &field,
                    value,
                    "is not 10 or 60, the periods that the platform supports",
                );
            }
            period
        });
        let limit = rate.get("limit").and_then(|value| {
            self.limit(&format!("{field}.limit"), value, &(1..=u32::MAX.into()))?.try_into().ok()
        });
        Some(Rate { binding: binding?, period_secs: period_secs?, limit })
    }

    fn quota(&mut self, field: &str, value: &'v RawValue) -> Option<Quota> {
        let quota: Values<'v> = self.errors.object(field, value, "limit and period")?;
        self.errors.unknown_fields(field, &quota, QUOTA_FIELDS);
        let limit = self.errors.required(field, &quota, "limit");
        let limit = limit.and_then(|(field, value)| self.limit(&field, value, &(1..=Quota::LIMIT_MAX)));
        let period = self.errors.required(field, &quota, "period");
        let period = period.and_then(|(field, value)| {
            let allowed = Period::ALLOWED;
            let text = self.errors.string(&field, value, allowed)?;
            text.parse().map_err(|error| self.errors.add_string(&field, &text, error)).ok()
        });
        Quota::new(limit?, period?)
    }

    fn limit(&mut self, field: &str, value: &RawValue, range: &RangeInclusive<u64>) -> Option<u64> {
        let limit = serde_json::from_str(value.get()).ok().filter(|limit| range.contains(limit));
        if limit.is_none() {
            let problem = format_args!("is not a whole number from {} to {}", range.start(), range.end());
            self.errors.add_value(field, value, problem);
        }
        limit
    }
}
