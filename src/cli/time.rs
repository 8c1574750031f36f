//! Times as people write and read them; all of them are UTC unless an offset is written.

use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SpanRelativeTo, Timestamp};
use keygate_core::time::UnixSeconds;

use crate::error::{Error, Outcome};

/// This machine's clock.
///
/// # Errors
/// The clock stands before 1970 or after 9999.
pub(crate) fn now() -> Outcome<UnixSeconds> {
    let seconds = u64::try_from(Timestamp::now().as_second()).ok();
    seconds.and_then(UnixSeconds::new).ok_or_else(|| {
        Error::failed(
            "the clock of this machine is not between 1970 and 9999",
            "set the clock, then run the command again",
        )
    })
}

/// A length of time in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span(u64);

/// 1000 years: longer is a slip of the pen, and sums stay far from overflow.
const SPAN_MAX: u64 = 1000 * 365 * DAY;
const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

impl Span {
    pub(crate) fn a_day() -> Self {
        Self(DAY)
    }

    /// As it is written on the command line.
    pub(crate) fn as_option(self) -> String {
        let units = [(DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (1, "s")];
        let exact = units.iter().find(|(unit, _)| self.0.is_multiple_of(*unit));
        exact.map_or_else(String::new, |(unit, name)| format!("{}{name}", self.0 / unit))
    }

    pub(crate) fn of_days(days: u64) -> Self {
        Self(days * DAY)
    }

    pub(crate) fn seconds(self) -> u64 {
        self.0
    }
}

impl FromStr for Span {
    type Err = &'static str;

    /// Reads `90d`, `2w`, `12h`, `1h30m`, `45s` or `0`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str =
            "a length of time is a number and a unit: 45s, 30m (minutes), 12h, 90d or 2w; or 0";
        if text == "0" {
            return Ok(Self(0));
        }
        let span: jiff::Span = text.parse().map_err(|_| FORM)?;
        let length = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| FORM)?;
        let seconds = u64::try_from(length.as_secs()).map_err(|_| FORM)?;
        if length.subsec_nanos() != 0 {
            return Err(FORM);
        }
        if seconds > SPAN_MAX { Err("a length of time is at most 1000 years") } else { Ok(Self(seconds)) }
    }
}

/// A moment as it is given on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Never,
    In(Span),
    At(UnixSeconds),
}

impl When {
    /// The moment, counted from `now`; `None` is never.
    pub(crate) fn from(self, now: UnixSeconds) -> Option<UnixSeconds> {
        match self {
            Self::Never => None,
            Self::In(span) => Some(now.plus(span.seconds())),
            Self::At(time) => Some(time),
        }
    }
}

impl FromStr for When {
    type Err = String;

    /// Reads `never`, a [`Span`], a date (its first second in UTC) or an RFC 3339 time.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "never" {
            return Ok(Self::Never);
        }
        if let Ok(span) = text.parse() {
            return Ok(Self::In(span));
        }
        let moment = date(text).or_else(|| rfc3339(text)).ok_or(
            "give a length of time (90d, 12h), a date (2027-01-31, from 00:00 UTC), an RFC 3339 time (2027-01-31T18:00:00+01:00) or `never`",
        )?;
        u64::try_from(moment.as_second())
            .ok()
            .and_then(UnixSeconds::new)
            .map(Self::At)
            .ok_or_else(|| "the time must be between 1970 and 9999".to_owned())
    }
}

fn date(text: &str) -> Option<Timestamp> {
    let shaped = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let date: Date = shaped.then(|| text.parse().ok())??;
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

fn rfc3339(text: &str) -> Option<Timestamp> {
    // jiff reads more than RFC 3339: a bracketed zone, `T` left out.
    let shaped =
        text.as_bytes().get(10).is_some_and(|b| matches!(b, b'T' | b't' | b' ')) && !text.contains('[');
    shaped.then(|| text.parse().ok())?
}

/// `2027-01-31T00:00:00Z`.
pub(crate) fn utc(time: UnixSeconds) -> String {
    i64::try_from(time.seconds())
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        // A `Timestamp` ends a day before `UnixSeconds` does; nobody means that day.
        .map_or_else(|| time.seconds().to_string(), |at| at.to_string())
}

/// `utc`, or `never`.
pub(crate) fn utc_or_never(time: Option<UnixSeconds>) -> String {
    time.map_or_else(|| "never".to_owned(), utc)
}

/// A length of time for reading: its two largest units.
pub(crate) fn in_words(seconds: u64) -> String {
    let units = [(DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (1, "s")];
    let mut rest = seconds;
    let mut words = Vec::new();
    for (unit, name) in units {
        let count = rest / unit;
        rest %= unit;
        if count > 0 {
            words.push(format!("{count} {name}"));
        } else if !words.is_empty() {
            break;
        }
    }
    words.truncate(2);
    if words.is_empty() {
        return "0 s".to_owned();
    }
    words.join(" ")
}

/// How long ago a time was, in its largest unit.
pub(crate) fn ago(time: UnixSeconds, now: UnixSeconds) -> String {
    let seconds = now.seconds().saturating_sub(time.seconds());
    let units = [(DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"), (1, "second")];
    let unit = units.iter().find(|(unit, _)| seconds >= *unit);
    match unit.map(|(unit, name)| (seconds / unit, name)) {
        None => "now".to_owned(),
        Some((1, name)) => format!("1 {name} ago"),
        Some((count, name)) => format!("{count} {name}s ago"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Span, When, ago, in_words, utc};
    use keygate_core::time::UnixSeconds;
    use proptest::prelude::{prop_assert_eq, proptest};

    fn at(seconds: u64) -> When {
        When::At(UnixSeconds::new(seconds).unwrap())
    }

    #[test]
    fn spans_are_numbers_with_units() {
        for (text, seconds) in [
            ("0", 0),
            ("45s", 45),
            ("30m", 1800),
            ("12h", 43_200),
            ("90d", 7_776_000),
            ("2w", 1_209_600),
            ("1h30m", 5400),
        ] {
            assert_eq!(text.parse(), Ok(Span(seconds)), "{text}");
        }
        for bad in
            ["", "d", "90", "-1d", "1d ago", "5ms", "1mo", "1y", "999999999999999999999d", "400000d", "٣d"]
        {
            assert!(bad.parse::<Span>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn moments_are_spans_dates_times_or_never() {
        for (text, when) in [
            ("never", When::Never),
            ("1d", When::In(Span(86_400))),
            ("2027-01-31", at(1_801_353_600)),
            ("2027-01-31T00:00:00Z", at(1_801_353_600)),
            ("2027-01-31T18:00:00+01:00", at(1_801_414_800)),
            ("2027-01-31t00:00:00.75z", at(1_801_353_600)),
            ("9999-12-30T22:00:00Z", at(253_402_207_200)),
        ] {
            assert_eq!(text.parse(), Ok(when), "{text}");
        }
        for bad in [
            "",
            "tomorrow",
            "Never",
            "2027-02-30",
            "2027-1-31",
            "20270131",
            "1969-12-31",
            "2027-01-31T00:00:00",
            "2027-01-31T00:00:00Z[UTC]",
            "2027-01-31T25:00:00Z",
            "1771776000",
            "+002027-01-31",
        ] {
            assert!(bad.parse::<When>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn lengths_are_read_in_their_two_largest_units() {
        for (seconds, words) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (86_399, "23 h 59 min"),
            (86_400, "1 d"),
            (90_061, "1 d 1 h"),
            (86_460, "1 d"),
        ] {
            assert_eq!(in_words(seconds), words);
        }
    }

    #[test]
    fn how_long_ago_is_said_in_the_largest_unit() {
        let at = |seconds| UnixSeconds::new(seconds).unwrap();
        for (seconds, words) in [
            (1_000_001, "now"),
            (1_000_000, "now"),
            (999_999, "1 second ago"),
            (1_000_000 - 180, "3 minutes ago"),
            (1_000_000 - 7_199, "1 hour ago"),
            (1_000_000 - 5 * 86_400, "5 days ago"),
        ] {
            assert_eq!(ago(at(seconds), at(1_000_000)), words);
        }
    }

    proptest! {
        #[test]
        fn a_time_that_was_printed_reads_as_itself(seconds in 0..=253_402_207_200_u64) {
            let time = UnixSeconds::new(seconds).unwrap();
            prop_assert_eq!(utc(time).parse(), Ok(When::At(time)));
        }

        #[test]
        fn a_span_that_was_written_reads_as_itself(seconds in 0..=super::SPAN_MAX) {
            prop_assert_eq!(Span(seconds).as_option().parse(), Ok(Span(seconds)));
        }

        #[test]
        fn no_text_makes_the_parsers_panic(text in r"[0-9a-zA-Z:+\-.\[\] ]{0,40}|.{0,40}") {
            let _ = text.parse::<When>();
        }
    }
}
