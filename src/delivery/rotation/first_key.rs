//! A first key into its secret stores.

use keygate_core::record::Record;

use crate::error::{Error, Result};
use crate::rotation::gate::KeyRecords;
use crate::rotation::succession::provisional;
use crate::rotation::targets::Targets;

/// Writes the record with a short expiry, delivers the key, gives the record its real expiry.
///
/// Nobody relies on the key yet, so its record expires by itself until every store holds it: whatever stops it half way.
///
/// # Errors
/// One of it failed; the record expires by itself.
pub fn deliver_first_key(
    records: &dyn KeyRecords,
    targets: &Targets,
    record: &Record,
    key: &str,
) -> Result<()> {
    let id = record.id;
    let expires_by_itself = |error: Error| {
        let option = records.option();
        let remedy = format!(
            "{}; then issue again with --overwrite. To keep key {id} instead, see `keygate show {id}{option}` and give it another expiry with `keygate update {id} --expires WHEN{option}`",
            error.remedy()
        );
        error.and(format!("the record of key {id} expires by itself within the hour"), remedy)
    };
    let mut first = record.clone();
    first.not_after = Some(provisional(record.created, record.not_after));
    records
        .write(&first)
        .map_err(|error| if error.is_unanswered() { expires_by_itself(error) } else { error })?;
    targets.fill(key).map_err(expires_by_itself)?;
    if record.not_after == first.not_after {
        return Ok(());
    }
    // Delivering takes its time, and a key that somebody revoked meanwhile must not come back to life.
    records.check_unchanged(id).map_err(expires_by_itself)?;
    records.write(record).map_err(expires_by_itself)
}
