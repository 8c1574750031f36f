//! The periods that a quota is counted in.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};

use crate::time::UnixSeconds;

/// How many units may be spent in a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// The number of units.
    pub limit: u64,
    /// The period, after which all of them may be spent again.
    pub period: Period,
}

/// A period of the calendar, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// One period: from its first second to the one before its end, in Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Window {
    pub(super) start: u64,
    /// `None`: it does not end.
    pub(super) end: Option<u64>,
}

impl Period {
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
    use super::{Period, Window};
    use crate::time::UnixSeconds;

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
