//! What a rotation makes of the two records.

use keygate_core::key::KeyId;
use keygate_core::key::digest::Digest;
use keygate_core::record::Record;
use keygate_core::time::UnixSeconds;

use crate::fault::{Fault, Outcome};
use crate::fields;
use crate::rotation::journal::End;
use crate::standing::Standing;
use crate::time::When;

/// The two records that a rotation writes.
#[derive(Debug)]
pub(crate) struct Succession {
    pub(crate) new: Record,
    pub(crate) old: Record,
    /// The first second at which the old key is no longer good.
    pub(crate) ends: UnixSeconds,
}

impl Succession {
    /// What both become when nothing comes between the two.
    ///
    /// # Errors
    /// The old key is not in use, has been replaced before, or the new one would have no time to live.
    pub(crate) fn of(
        old: &Record,
        id: KeyId,
        digest: Digest,
        expires: Option<When>,
        grace_secs: u64,
        now: UnixSeconds,
    ) -> Outcome<Self> {
        check_in_use(old, now)?;
        if let Some(when) = expires {
            fields::end(when, now)?;
        }
        let new = heir(old, id, digest, lifetime(old, expires).from(now), now);
        let (old, ends) = ended(old, id, grace_secs, now);
        Ok(Self { new, old, ends })
    }
}

/// Makes sure that the key can be rotated.
///
/// # Errors
/// It is not in use, or has been replaced before.
pub(crate) fn check_in_use(old: &Record, now: UnixSeconds) -> Outcome<()> {
    let id = old.id;
    if let Some(successor) = old.replaced_by {
        return Err(Fault::failed(
            format!("key {id} has been replaced by {successor}"),
            format!("rotate the key that is in use: `keygate rotate {successor}`"),
        ));
    }
    let standing = Standing::of(old.state, old.not_before, old.not_after, now);
    let remedy = match standing {
        Standing::Active => return Ok(()),
        Standing::Pending => {
            format!("wait for its time, or let it begin now: `keygate update {id} --clear not-before`")
        }
        Standing::Expired => {
            format!("issue a new key, or let it live on first: `keygate update {id} --expires 24h`")
        }
        Standing::Disabled => format!("enable it first: `keygate enable {id}`"),
        Standing::Revoked => "issue a new key".to_owned(),
    };
    Err(Fault::failed(
        format!("key {id} is {}; a key that is not in use is not rotated", standing.as_str()),
        remedy,
    ))
}

/// When the new key ends: as was asked for, else it lives as long as the old one was made to.
pub(crate) fn lifetime(old: &Record, asked: Option<When>) -> End {
    match (asked, old.not_after) {
        (Some(when), _) => when.into(),
        (None, None) => End::Never,
        // INVARIANT: a key in use ends after its issue; a skewed clock yields 0.
        (None, Some(end)) => End::In(end.seconds().saturating_sub(old.created.seconds()).max(1)),
    }
}

/// The record of the new key: the old one's, but for what makes it another key.
pub(super) fn heir(
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
    new.meta = old.meta.clone();
    new.not_after = not_after;
    new.replaces = Some(old.id);
    new
}

/// Whether the new record still gives what the old one gives now; somebody may have changed that one since.
pub(super) fn is_heir(new: &Record, old: &Record) -> bool {
    let mut heir = heir(old, new.id, new.digest.clone(), new.not_after, new.created);
    heir.state = new.state;
    heir.to_json().ok() == new.to_json().ok()
}

/// The record of the old key, with its end.
pub(super) fn ended(old: &Record, new: KeyId, grace_secs: u64, now: UnixSeconds) -> (Record, UnixSeconds) {
    let grace_ends = now.plus(grace_secs);
    let ends = old.not_after.map_or(grace_ends, |end| end.min(grace_ends));
    let mut old = old.clone();
    // Past already; kept, it could stand after an end that is now.
    old.not_before = old.not_before.filter(|start| *start < ends);
    old.not_after = Some(ends);
    old.replaced_by = Some(new);
    (old, ends)
}
