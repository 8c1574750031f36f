//! The clock of the store, as its answers give it, beside this machine's.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use keygate_core::time::UnixSeconds;

use crate::error::{Error, Outcome};
use crate::time::{in_words, utc};

/// A difference up to this many seconds harms nobody.
const TOLERATED_SECS: u64 = 60;

/// What another clock said, and what this machine's said at the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Comparison {
    theirs: Timestamp,
    ours: Timestamp,
}

/// Of the store's last answer.
static STORE: Mutex<Option<Comparison>> = Mutex::new(None);

impl Comparison {
    /// What a `Date` header says, of an answer to a question that was sent and answered at these times.
    pub(crate) fn of(date: &str, sent: Timestamp, answered: Timestamp) -> Option<Self> {
        let theirs = DateTimeParser::new().parse_timestamp(date).ok()?;
        // Anything from the question to the answer is right.
        Some(Self { theirs, ours: theirs.clamp(sent, answered.max(sent)) })
    }

    /// How far this machine's clock is ahead, or behind.
    fn seconds_ahead(self) -> i64 {
        self.ours.as_second().saturating_sub(self.theirs.as_second())
    }

    /// The same moment by the other clock.
    fn by_theirs(self, time: UnixSeconds) -> UnixSeconds {
        let theirs = i64::try_from(time.seconds()).ok().map(|time| time.saturating_sub(self.seconds_ahead()));
        theirs.and_then(|time| u64::try_from(time).ok()).and_then(UnixSeconds::new).unwrap_or(time)
    }

    /// What to say if the two differ; `whose` is the other clock.
    pub(crate) fn difference(self, whose: &str) -> Option<String> {
        let ahead = self.seconds_ahead();
        let side = if ahead > 0 { "fast" } else { "slow" };
        (ahead.unsigned_abs() > TOLERATED_SECS).then(|| {
            format!(
                "the clock of this machine is {} {side}: it says {}, and {whose} says {}; times that are counted from now are off by that",
                in_words(ahead.unsigned_abs()),
                self.ours,
                self.theirs
            )
        })
    }
}

/// Notes the `Date` header of an answer of the store.
pub(crate) fn saw(date: &str, sent: Timestamp) {
    if let Some(comparison) = Comparison::of(date, sent, Timestamp::now()) {
        *STORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(comparison);
    }
}

/// What to say, once a command, where the store's clock differs from this machine's.
pub(crate) fn take_difference() -> Option<String> {
    STORE.lock().unwrap_or_else(PoisonError::into_inner).take()?.difference("Cloudflare's API")
}

/// `now`, or what the store's clock says where that is earlier.
pub(crate) fn earlier_now(now: UnixSeconds) -> UnixSeconds {
    let store = *STORE.lock().unwrap_or_else(PoisonError::into_inner);
    store.map_or(now, |store| store.by_theirs(now).min(now))
}

/// Makes sure that an expiry to come is one by the store's clock too.
///
/// # Errors
/// It has passed there.
pub(crate) fn check_to_come(expiry: Option<UnixSeconds>, now: UnixSeconds) -> Outcome<()> {
    let store = *STORE.lock().unwrap_or_else(PoisonError::into_inner);
    let (Some(expiry), Some(store)) = (expiry, store) else {
        return Ok(());
    };
    let theirs = store.by_theirs(now);
    if now < expiry && expiry <= theirs {
        return Err(Error::usage(
            format!(
                "the key would expire at {}, which has passed: it is {} by the store's clock, and {} by this machine's",
                utc(expiry),
                utc(theirs),
                utc(now)
            ),
            "set the clock of this machine, then run the command again",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Comparison;
    use jiff::Timestamp;
    use keygate_core::time::UnixSeconds;

    /// 1994-11-06T08:49:37Z.
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const SECOND: i64 = 784_111_777;

    #[test]
    fn a_clock_is_wrong_by_what_it_differs_from_the_answer_at_its_nearest() {
        let at = |seconds| Timestamp::from_second(SECOND + seconds).unwrap();
        for (sent, answered, said) in [
            (0, 0, None),
            (-100, 100, None),
            (-500, -60, None),
            (60, 90, None),
            (-500, -61, Some("1 min 1 s slow")),
            (61, 200, Some("1 min 1 s fast")),
            (
                7200,
                7201,
                Some("2 h fast: it says 1994-11-06T10:49:37Z, and the gate says 1994-11-06T08:49:37Z"),
            ),
        ] {
            let found = Comparison::of(DATE, at(sent), at(answered)).unwrap().difference("the gate");
            match (said, &found) {
                (Some(said), Some(found)) => assert!(found.contains(said), "{found}"),
                (said, found) => assert_eq!(said, found.as_deref(), "{sent} {answered}"),
            }
        }
        assert_eq!(Comparison::of("yesterday", at(0), at(0)), None);
    }

    #[test]
    fn a_moment_is_told_by_the_other_clock() {
        let at = |seconds| Timestamp::from_second(SECOND + seconds).unwrap();
        let comparison = Comparison::of(DATE, at(-600), at(-600)).unwrap();
        let by_theirs = comparison.by_theirs(UnixSeconds::new(1000).unwrap());
        assert_eq!(by_theirs, UnixSeconds::new(1600).unwrap());
    }
}
