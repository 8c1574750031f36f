//! When a key that was replaced may end because nobody uses it any more.
//!
//! A key whose use is not known stays. What is known comes from the gates' counts, which arrive late, and are lost where they are not
//! taken for a quarter of an hour. So there has to be evidence for the whole time: the key itself was counted before it, its successor was accepted in
//! it, no hour of it is without any count, and none was reported as lost.

use keygate_core::record::{Record, State};
use keygate_core::time::UnixSeconds;
use keygate_core::usage::LastUseTimes;

/// Counts of a gate may arrive a quarter of an hour later, and an hour is the step that they are counted in.
pub const UNUSED_MIN_SECS: u64 = 3600;

/// What was counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Evidence {
    /// Of the old key.
    pub old: LastUseTimes,
    /// When a successor that is in use was last accepted.
    pub successor: Option<UnixSeconds>,
    /// Requests in the time that were not counted.
    pub lost: u64,
    /// Hours of the time in which no request with a key was counted.
    pub silent_hours: u64,
}

/// Why a key stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It was accepted then.
    StillUsed(UnixSeconds),
    /// It was presented and refused then: somebody still has it.
    StillPresented(UnixSeconds),
    /// It was never counted, so it may have been used before counting began.
    NeverCounted,
    /// No successor that is in use was accepted in the time.
    SuccessorUnused,
    /// So many requests of the time were not counted.
    Lost(u64),
    /// In so many hours nothing was counted.
    Silent(u64),
}

/// Whether a key that was replaced may end, because it was unused for a time up to `now`.
///
/// # Errors
/// It stays, and why.
pub fn may_retire(evidence: &Evidence, unused_secs: u64, now: UnixSeconds) -> Result<(), Kept> {
    let is_within = |time: UnixSeconds| time.plus(unused_secs.max(UNUSED_MIN_SECS)) > now;
    let Evidence { old, successor, lost, silent_hours } = *evidence;
    if let Some(last) = old.accepted.filter(|last| is_within(*last)) {
        return Err(Kept::StillUsed(last));
    }
    if let Some(last) = old.refused.filter(|last| is_within(*last)) {
        return Err(Kept::StillPresented(last));
    }
    if old.accepted.is_none() {
        return Err(Kept::NeverCounted);
    }
    if !successor.is_some_and(is_within) {
        return Err(Kept::SuccessorUnused);
    }
    if lost > 0 {
        return Err(Kept::Lost(lost));
    }
    if silent_hours > 0 {
        return Err(Kept::Silent(silent_hours));
    }
    Ok(())
}

/// The record of a key that ends: revoked, as in a rotation without a grace.
#[must_use]
pub fn retired(old: &Record) -> Record {
    let mut record = old.clone();
    record.state = State::Revoked;
    record
}

#[cfg(test)]
mod tests {
    use keygate_core::time::UnixSeconds;
    use keygate_core::usage::LastUseTimes;

    use super::{Evidence, Kept, may_retire};

    const NOW: u64 = 1_000_000;
    const DAY: u64 = 86_400;

    fn at(seconds: u64) -> UnixSeconds {
        UnixSeconds::new(seconds).unwrap()
    }

    #[test]
    fn key_ends_only_with_evidence_for_the_whole_time() {
        let ends = Evidence {
            old: LastUseTimes { accepted: Some(at(NOW - DAY)), refused: None },
            successor: Some(at(NOW - DAY + 1)),
            lost: 0,
            silent_hours: 0,
        };
        let old = |accepted: Option<u64>, refused: Option<u64>| Evidence {
            old: LastUseTimes { accepted: accepted.map(at), refused: refused.map(at) },
            ..ends
        };
        for (evidence, verdict) in [
            (ends, Ok(())),
            (old(Some(NOW - DAY + 1), None), Err(Kept::StillUsed(at(NOW - DAY + 1)))),
            (old(Some(NOW + 60), None), Err(Kept::StillUsed(at(NOW + 60)))),
            (old(Some(NOW - 2 * DAY), Some(NOW - 60)), Err(Kept::StillPresented(at(NOW - 60)))),
            (old(Some(NOW - 2 * DAY), Some(NOW - DAY)), Ok(())),
            (old(None, None), Err(Kept::NeverCounted)),
            (old(None, Some(NOW - 2 * DAY)), Err(Kept::NeverCounted)),
            (Evidence { successor: None, ..ends }, Err(Kept::SuccessorUnused)),
            (Evidence { successor: Some(at(NOW - DAY)), ..ends }, Err(Kept::SuccessorUnused)),
            (Evidence { lost: 1, ..ends }, Err(Kept::Lost(1))),
            (Evidence { silent_hours: 2, ..ends }, Err(Kept::Silent(2))),
        ] {
            assert_eq!(may_retire(&evidence, DAY, at(NOW)), verdict, "{evidence:?}");
        }
    }

    #[test]
    fn time_is_never_shorter_than_counts_may_be_late() {
        let evidence = Evidence {
            old: LastUseTimes { accepted: Some(at(NOW - 3599)), refused: None },
            successor: Some(at(NOW)),
            ..Evidence::default()
        };
        assert_eq!(may_retire(&evidence, 0, at(NOW)), Err(Kept::StillUsed(at(NOW - 3599))));
    }
}
