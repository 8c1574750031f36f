//! The periods that a quota is counted in.

use core::fmt;
use core::str::FromStr;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::text::from_str::deserialize_from_str;
use crate::text::unique_map::UniqueMap;
use crate::time::UnixSeconds;

/// How many units may be spent in a period. In JSON `{"limit": 1000, "period": "day"}`, in the command line `1000/day`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Quota {
    /// The number of units, from 1 to [`Quota::LIMIT_MAX`].
    pub limit: u64,
    /// The period, after which all of them may be spent again.
    pub period: Period,
}

/// A period of the calendar, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// From minute 0 on.
    Hour,
    /// From midnight on.
    Day,
    /// From the first day of the month on.
    Month,
    /// The only one.
    Total,
}

/// A string is not a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("is not {}", Period::ALLOWED)]
pub struct PeriodError;

/// A string is not a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "is not a quota: LIMIT/PERIOD, such as 1000/day; LIMIT is a whole number from 1 to {}, PERIOD is {}",
    Quota::LIMIT_MAX,
    Period::ALLOWED
)]
pub struct QuotaError;

impl Quota {
    /// The most that a number in the headers of a response can be (RFC 9651, section 3.3.1).
    pub const LIMIT_MAX: u64 = 999_999_999_999_999;

    /// A quota of `limit` units, if that is in bounds.
    #[must_use]
    pub fn new(limit: u64, period: Period) -> Option<Self> {
        (1..=Self::LIMIT_MAX).contains(&limit).then_some(Self { limit, period })
    }
}

impl FromStr for Quota {
    type Err = QuotaError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (limit, period) = text.split_once('/').ok_or(QuotaError)?;
        let is_plain = limit.bytes().all(|b| b.is_ascii_digit());
        let limit = limit.parse().ok().filter(|_| is_plain).ok_or(QuotaError)?;
        Self::new(limit, period.parse().map_err(|_| QuotaError)?).ok_or(QuotaError)
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.limit, self.period.as_str())
    }
}

// Not derived, which would read an array as well, and a limit of 0.
impl<'de> Deserialize<'de> for Quota {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut fields = UniqueMap::<Value>::deserialize(deserializer)?.0;
        let limit = fields.remove("limit").and_then(|value| value.as_u64());
        let period = fields.remove("period").and_then(|value| value.as_str()?.parse().ok());
        if !fields.is_empty() {
            return Err(D::Error::custom("has another field than `limit` and `period`"));
        }
        let Some(period) = period else {
            return Err(D::Error::custom(format_args!("`period` is not {}", Period::ALLOWED)));
        };
        limit.and_then(|limit| Self::new(limit, period)).ok_or_else(|| {
            D::Error::custom(format_args!("`limit` is not a whole number from 1 to {}", Self::LIMIT_MAX))
        })
    }
}

// Not serde's derived enum, which also accepts `{"hour": null}`.
impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Self::Hour, Self::Day, Self::Month, Self::Total];
        all.into_iter().find(|period| period.as_str() == text).ok_or(PeriodError)
    }
}

deserialize_from_str!(Period);

/// One period: from its first second to the one before its end, in Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Window {
    pub(super) start: u64,
    /// `None`: it does not end.
    pub(super) end: Option<u64>,
}

impl Period {
    /// The periods there are, for messages.
    pub const ALLOWED: &str = "`hour`, `day`, `month` or `total`";

    /// The period in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
            Self::Total => "total",
        }
    }

    /// How long each period is; `None`: months differ, and a total has no end.
    #[must_use]
    pub fn secs(self) -> Option<u64> {
        match self {
            Self::Hour => Some(3600),
            Self::Day => Some(86_400),
            Self::Month | Self::Total => None,
        }
    }

    /// The period of this length in which `now` is.
    pub(super) fn around(self, now: UnixSeconds) -> Window {
        match self {
            Self::Hour => Window::of_length(3600, now),
            Self::Day => Window::of_length(86_400, now),
            // Not reached before the year 9999, in which a month has no end.
            Self::Month => month(now).unwrap_or(Window { start: 0, end: None }),
            Self::Total => Window { start: 0, end: None },
        }
    }
}

impl Window {
    fn of_length(secs: u64, now: UnixSeconds) -> Self {
        let start = now.seconds() - now.seconds() % secs;
        Self { start, end: Some(start + secs) }
    }
}

fn month(now: UnixSeconds) -> Option<Window> {
    let now = Timestamp::from_second(now.seconds().try_into().ok()?).ok()?.to_zoned(TimeZone::UTC);
    let start = now.first_of_month().ok()?.start_of_day().ok()?;
    let end = start.checked_add(1.month()).ok()?;
    let seconds = |time: &jiff::Zoned| u64::try_from(time.timestamp().as_second()).ok();
    Some(Window { start: seconds(&start)?, end: Some(seconds(&end)?) })
}

#[cfg(test)]
mod tests {
    use std::string::ToString as _;

    use super::{Period, Quota, Window};
    use crate::time::UnixSeconds;

    #[test]
    fn a_quota_is_written_as_it_is_read() {
        for (text, json) in [
            ("1/hour", r#"{"limit":1,"period":"hour"}"#),
            ("1000/day", r#"{"limit":1000,"period":"day"}"#),
            ("999999999999999/month", r#"{"limit":999999999999999,"period":"month"}"#),
            ("5/total", r#"{"limit":5,"period":"total"}"#),
        ] {
            let quota = text.parse::<Quota>().unwrap();
            assert_eq!(quota.to_string(), text);
            assert_eq!(serde_json::to_string(&quota).unwrap(), json);
            assert_eq!(serde_json::from_str::<Quota>(json).unwrap(), quota);
        }
    }

    #[test]
    fn what_is_not_a_quota_is_refused() {
        for text in [
            "", "1000", "1000/", "/day", "0/day", "+1/day", "-1/day", "1e3/day", "1/Day", "1/week", "1/day/2",
        ] {
            assert!(text.parse::<Quota>().is_err(), "{text}");
        }
        assert!("1000000000000000/day".parse::<Quota>().is_err());
        for json in [
            "null",
            r#"[1,"day"]"#,
            r#""1/day""#,
            r#"{"limit":1}"#,
            r#"{"period":"day"}"#,
            r#"{"limit":0,"period":"day"}"#,
            r#"{"limit":1.0,"period":"day"}"#,
            r#"{"limit":"1","period":"day"}"#,
            r#"{"limit":1000000000000000,"period":"day"}"#,
            r#"{"limit":1,"period":"week"}"#,
            r#"{"limit":1,"period":{"day":null}}"#,
            r#"{"limit":1,"period":"day","burst":2}"#,
            r#"{"limit":1,"limit":2,"period":"day"}"#,
        ] {
            assert!(serde_json::from_str::<Quota>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn periods_are_those_of_the_calendar_in_utc() {
        // 2028-02-29T23:59:59Z, and a second later
        let (leap_day, march) = (1_835_481_599, 1_835_481_600);
        for (period, now, start, end) in [
            (Period::Hour, leap_day, 1_835_478_000, Some(march)),
            (Period::Hour, march, march, Some(march + 3600)),
            (Period::Day, leap_day, march - 86_400, Some(march)),
            (Period::Month, leap_day, 1_832_976_000, Some(march)),
            (Period::Month, march, march, Some(march + 31 * 86_400)),
            (Period::Total, march, 0, None),
        ] {
            let window = period.around(UnixSeconds::new(now).unwrap());
            assert_eq!(window, Window { start, end }, "{period:?} at {now}");
        }
    }
}
