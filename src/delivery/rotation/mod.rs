//! Rotation with delivery: a new key is put where the old one is kept, and no secret store is ever left with a dead key.
//!
//! Two rules carry everything. *Nobody is given the new key before its record is there to stay* (E before P), and
//! *the old key gets no expiry before every store holds the new one* (C before O). So from P to C both keys work, and it does
//! not matter which of them a store holds, nor for how long nobody resumes, nor whether the journal is lost with its machine.
//!
//! The record is first written with a short expiry all the same: a write whose answer is lost, and a crash before anybody
//! has the key, leave an orphan that dies by itself. The short expiry is lifted right before the first delivery and not after
//! the last, because a process that dies between two deliveries would else leave stores whose key stops working within
//! the hour.
//!
//! *A rotation has one new key.* Its text is in no journal and may be in no store that can be read, and yet a resumption puts the
//! same one: it follows from the pepper and a salt in the journal ([`NewKey::of_rotation`](keygate_core::key::NewKey::of_rotation)).
//! Another key is made only where somebody ended the first one, which is revoked before the next is written.
//!
//! *The old key is not lost either.* Where a store that can be read had it, the journal keeps it hidden in a stream of the pepper's
//! ([`Pepper::hide`](keygate_core::key::pepper::Pepper::hide)), so that an undo can put it back when every such store holds the new one.
//!
//! The steps, with what the journal says before and after each. Without the pepper it says nothing of a key:
//!
//! | step | journal before → after | what is done |
//! |---|---|---|
//! | A check | (none) | each store can be written and holds the old key; of `exec:`, `sh` finds the program |
//! | R record | recording → recorded | the new record, which expires in an hour |
//! | E extend | extending → extended | the new record's real expiry |
//! | P put | delivering (begun) → delivering (holds), for each store | the new key into the store, and read back |
//! | C confirm | → confirmed | every store is read once more |
//! | O old | ending → ended | `replaced_by`, and the expiry of the old record: now + grace; with a grace of 0 it is revoked, and one that ends when it is unused gets no expiry |
//! | X clear | → (none) | what killed processes left beside the stores is removed, and the journal |
//!
//! What `--resume` does goes by what *is*, not by the step that was noted: the records say whether R and O were done, the
//! stores say who holds what. What was noted is needed for what cannot be seen: the new key, and `exec:`.
//!
//! | died or failed | what is known | what a resumption does | what works meanwhile |
//! |---|---|---|---|
//! | in A | nothing was done | there is no journal: rotate again | the old key, everywhere |
//! | in R, E | the record is there or not; nobody has the key | R where there is no record, E, P | the old key, everywhere |
//! | in P, C | the stores that can be read; an `exec:` store that was begun may hold either key | E if it is due; the rest of the stores, and each `exec:` store that did not take the key, get it: P, C | both |
//! | in O | the old record tells | O again, or X | the new key everywhere, the old one until its expiry |
//! | in X | O was done | X again | the same |
//!
//! A resumption may be given other stores in the place of those that failed. These stay in the journal as left out: such a store may hold
//! the new key, which works, or the old one, which ends, so whoever resumes is told of it, and an undo looks at it where it was begun. A
//! store that was not reached yet gets the new key all the same.
//!
//! An old record that was deleted counts as one that is not in use; a resumption then leaves O out.
//!
//! A write that got no answer is looked at before anything else is done ([`KeyRecords::write`], and
//! [`SecretStore::read`](crate::SecretStore::read) after a failed put); what cannot be found out stays as it is, for `--resume`.
//! Nothing is undone without being asked.
//!
//! `--undo` needs no store that cannot be looked at. It puts the old key back into every store that holds the new one, gives it to each
//! `exec:` store that may, and revokes the new record. Until O it can be done from everywhere, but for one case: a store
//! that can be read, or an `exec:` store by the journal, holds the new key and there is no old one for it (it is not in use, its text is
//! nowhere), or a store that can be read cannot be written. Then `--resume` leads out, with or without `--to`. With another pepper than the
//! rotation's nothing is undone, because the hidden key cannot be told. What could not be looked at is named to whoever undoes: it may hold
//! a key that is revoked.
//!
//! | died in an undo | what a resumption does |
//! |---|---|
//! | undoing: stores get the old key | it goes on undoing; a store that fails makes the step delivering again, so that the way forward is open |
//! | restored: the new record is revoked | it goes on undoing |

mod first_key;
mod gate;
mod journal;
mod lock;
mod notes;
mod ownership;
mod retirement;
mod run;
mod succession;
mod targets;
mod undo;

pub use first_key::deliver_first_key;
pub use gate::{Gate, KeyRecords};
pub use journal::{Journal, folder, gate_of, not_finished, option, tidy, unfinished};
pub use notes::{Expiry, GateRef, Notes, RecordsRef};
pub use retirement::{Evidence, Kept, UNUSED_MIN_SECS, may_retire, retired};
pub use run::{Finished, Rotation};
pub use succession::{Succession, check_in_use, lifetime};
pub use targets::Targets;
pub use undo::Undone;
