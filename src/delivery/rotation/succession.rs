//! What a rotation makes of the two records.

use keygate_core::key::KeyId;
use keygate_core::key::digest::Digest;
use keygate_core::record::{Record, State};
use keygate_core::time::UnixSeconds;

use crate::error::{Error, Result};
use crate::key_status::KeyStatus;
use crate::rotation::notes::Expiry;

/// The two records that a rotation writes.
#[derive(Debug)]
pub struct Succession {
    /// The new key's.
    pub new: Record,
    /// The old key's, with its expiry, or revoked.
    pub old: Record,
}

impl Succession {
    /// What both become when nothing comes between the two. Without `grace_secs` the old key stays as it is until it is unused.
    ///
    /// # Errors
    /// As [`check_in_use`].
    pub fn of(
        old: &Record,
        id: KeyId,
        digest: Digest,
        expiry: Option<Expiry>,
        grace_secs: Option<u64>,
        now: UnixSeconds,
        option: &str,
    ) -> Result<Self> {
        check_in_use(old, now, option)?;
        let new = successor(old, id, digest, lifetime(old, expiry).from(now), now);
        Ok(Self { new, old: ended(old, id, grace_secs, now) })
    }
}

/// Makes sure that the key can be rotated. A command that an error names ends with the `option` of the store, as
/// [`KeyRecords::option`](crate::rotation::KeyRecords::option) says it.
///
/// # Errors
/// It is not in use, or has been replaced before.
pub fn check_in_use(old: &Record, now: UnixSeconds, option: &str) -> Result<()> {
    let id = old.id;
    if let Some(successor) = old.replaced_by {
        return Err(Error::failed(
            format!("key {id} has been replaced by {successor}"),
            format!("rotate the key that is in use: `keygate rotate {successor}{option}`"),
        ));
    }
    let status = KeyStatus::of_record(old, now);
    let remedy = match status {
        KeyStatus::Active => return Ok(()),
        KeyStatus::Pending => {
            format!(
                "wait for its time, or let it begin now: `keygate update {id} --clear not-before{option}`"
            )
        }
        KeyStatus::Expired => {
            format!("issue a new key, or let it live on first: `keygate update {id} --expires 24h{option}`")
        }
        KeyStatus::Disabled => format!("enable it first: `keygate enable {id}{option}`"),
        KeyStatus::Revoked => "issue a new key".to_owned(),
    };
    Err(Error::failed(
        format!("key {id} is {}; a key that is not in use is not rotated", status.as_str()),
        remedy,
    ))
}

/// When the new key expires: as was asked for, else it lives as long as the old one was made to.
#[must_use]
pub fn lifetime(old: &Record, asked: Option<Expiry>) -> Expiry {
    match (asked, old.not_after) {
        (Some(expiry), _) => expiry,
        (None, None) => Expiry::Never,
        // INVARIANT: a key in use expires after its issue; a skewed clock yields 0.
        (None, Some(end)) => Expiry::In(end.seconds().saturating_sub(old.created.seconds()).max(1)),
    }
}

/// How long the record of a key lives that nobody has been given: long enough for every store to be written.
const PROVISIONAL_SECS: u64 = 60 * 60;

/// The expiry of a record whose key nobody has been given, and which is to live until `expiry`.
pub(super) fn provisional(made: UnixSeconds, expiry: Option<UnixSeconds>) -> UnixSeconds {
    let short = made.plus(PROVISIONAL_SECS);
    expiry.map_or(short, |expiry| expiry.min(short))
}

/// The record of the new key: the old one's, but for what makes it another key.
pub(super) fn successor(
    old: &Record,
    id: KeyId,
    digest: Digest,
    not_after: Option<UnixSeconds>,
    now: UnixSeconds,
) -> Record {
    let mut new = Record::new(id, old.subject.clone(), digest, now);
    new.name = old.name.clone();
    new.scopes = old.scopes.clone();
    new.ips.clone_from(&old.ips);
    new.plan.clone_from(&old.plan);
    new.quota = old.quota;
    new.meta = old.meta.clone();
    new.not_after = not_after;
    new.replaces = Some(old.id);
    new
}

/// Whether the new record still gives what the old one gives now; somebody may have changed that one since.
pub(super) fn is_successor(new: &Record, old: &Record) -> bool {
    let mut expected = successor(old, new.id, new.digest.clone(), new.not_after, new.created);
    expected.state = new.state;
    expected.to_json().ok() == new.to_json().ok()
}

/// The record of the old key, with its expiry. With a grace of 0 it is revoked: an expiry of now would be one to come where this
/// machine's clock is fast, and the key would go on working. With `None` it stays valid: [`may_retire`](super::retirement::may_retire) says when
/// it may end.
pub(super) fn ended(old: &Record, new: KeyId, grace_secs: Option<u64>, now: UnixSeconds) -> Record {
    let mut old = old.clone();
    old.replaced_by = Some(new);
    let Some(grace_secs) = grace_secs else {
        return old;
    };
    if grace_secs == 0 {
        old.state = State::Revoked;
        return old;
    }
    let grace_ends = now.plus(grace_secs);
    old.not_after = Some(old.not_after.map_or(grace_ends, |end| end.min(grace_ends)));
    old
}

#[cfg(test)]
mod tests {
    use keygate_core::key::KeyId;
    use keygate_core::key::digest::Digest;
    use keygate_core::record::token::Subject;
    use keygate_core::record::{Record, State};
    use keygate_core::time::UnixSeconds;

    use super::{Expiry, Succession};
    use crate::error::Result;

    const NOW: u64 = 1_000_000;
    const DAY: u64 = 86_400;

    fn at(seconds: u64) -> UnixSeconds {
        UnixSeconds::new(seconds).unwrap()
    }

    fn id(text: &str) -> KeyId {
        text.parse().unwrap()
    }

    fn digest() -> Digest {
        format!("hs256.01234567.{}", "A".repeat(43)).parse().unwrap()
    }

    fn old(change: impl FnOnce(&mut Record)) -> Record {
        let subject = "acme".parse::<Subject>().unwrap();
        let mut record = Record::new(id("4fTz0Qw9Lr2K"), subject, digest(), at(NOW - 500));
        change(&mut record);
        record
    }

    fn rotated(
        old: &Record,
        expiry: Option<Expiry>,
        grace_secs: impl Into<Option<u64>>,
    ) -> Result<Succession> {
        Succession::of(old, id("7hVbT1mWcZk3"), digest(), expiry, grace_secs.into(), at(NOW), " --remote")
    }

    #[test]
    fn the_old_key_expires_with_the_grace_but_never_later_than_it_would_have() {
        for (not_after, grace_secs, expires) in
            [(None, DAY, NOW + DAY), (Some(NOW + 60), DAY, NOW + 60), (Some(NOW + 60), 30, NOW + 30)]
        {
            let old = old(|old| old.not_after = not_after.map(at));
            let made = rotated(&old, None, grace_secs).unwrap();
            assert_eq!(made.old.not_after, Some(at(expires)), "{not_after:?} {grace_secs}");
            assert_eq!(made.old.replaced_by, Some(made.new.id));
            assert_eq!(made.new.replaces, Some(old.id));
        }
    }

    #[test]
    fn old_key_that_is_to_end_when_unused_stays_as_it_is() {
        for not_after in [None, Some(NOW + 60)] {
            let old = old(|old| old.not_after = not_after.map(at));
            let made = rotated(&old, None, None).unwrap();
            assert_eq!((made.old.state, made.old.not_after), (State::Active, not_after.map(at)));
            assert_eq!(made.old.replaced_by, Some(made.new.id));
        }
    }

    #[test]
    fn the_new_key_lives_as_long_as_the_old_one_was_made_to() {
        for (not_after, expiry, expected) in [
            (None, None, None),
            (Some(NOW + 500), None, Some(NOW + 1000)),
            (Some(NOW + 500), Some(Expiry::Never), None),
            (None, Some(Expiry::In(3600)), Some(NOW + 3600)),
        ] {
            let old = old(|old| old.not_after = not_after.map(at));
            let made = rotated(&old, expiry, DAY).unwrap();
            assert_eq!(made.new.not_after, expected.map(at), "{not_after:?} {expiry:?}");
        }
    }

    #[test]
    fn without_grace_the_old_key_is_revoked_whatever_the_clock_says() {
        for not_after in [None, Some(NOW + 60)] {
            let old = old(|old| (old.not_before, old.not_after) = (Some(at(NOW)), not_after.map(at)));
            let made = rotated(&old, None, 0).unwrap();
            assert_eq!((made.old.state, made.old.not_after), (State::Revoked, not_after.map(at)));
            assert_eq!(made.old.replaced_by, Some(made.new.id));
            assert!(made.old.to_json().is_ok());
        }
    }

    #[test]
    fn only_a_key_in_use_is_rotated() {
        for (old, said) in [
            (old(|old| old.state = State::Revoked), "is revoked"),
            (old(|old| old.state = State::Disabled), "is disabled"),
            (old(|old| old.not_after = Some(at(NOW))), "is expired"),
            (old(|old| old.not_before = Some(at(NOW + 1))), "is pending"),
            (old(|old| old.replaced_by = Some(id("000000000000"))), "has been replaced by 000000000000"),
        ] {
            let error = rotated(&old, None, DAY).unwrap_err();
            assert!(error.problem().contains(said), "{error}");
        }
    }
}
