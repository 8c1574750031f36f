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
//! The steps, with what the journal says before and after each. It holds ids, URIs and times, never a key:
//!
//! | step | journal before → after | what is done |
//! |---|---|---|
//! | A check | (none) | each store can be written and holds the old key; `exec:` cannot be looked at |
//! | R record | recording → recorded | the new record, which expires in an hour |
//! | E extend | extending → extended | the new record's real expiry |
//! | P put | delivering (begun) → delivering (holds), for each store | the new key into the store, and read back |
//! | C confirm | → confirmed | every store is read once more |
//! | O old | ending → ended | `replaced_by` and the expiry of the old record: now + grace |
//! | X clear | → (none) | records of abandoned new keys are revoked; the journal is removed |
//!
//! What `--resume` does goes by what *is*, not by the step that was noted: the old record says whether O was done, the
//! stores say who holds what. What was noted is needed for what cannot be seen: the ids, and `exec:`.
//!
//! | died | what is known | what a resumption does | what works meanwhile |
//! |---|---|---|---|
//! | in A | nothing was done | there is no journal: rotate again | the old key, everywhere |
//! | in R, E | the record may be there; its key is lost, and nobody has it | the new key is *abandoned*, another is made: R | the old key, everywhere |
//! | in P, a readable store has the new key | the text, from that store; it must match the record's digest | the rest of the stores get it: E (if it has the short expiry), P | both |
//! | in P, none has | the key is lost; an `exec:` store may hold it | abandoned: its record stays good until X, another key is made and put everywhere, `exec:` included: R | the old key, and for an `exec:` store both |
//! | in C | as in P, and all hold it | C | both |
//! | in O | the old record tells | O again, or X | the new key everywhere, the old one until its expiry |
//! | in X | O was done | X again | the same |
//!
//! A write that got no answer is looked at before anything else is done ([`KeyRecords::write`], and
//! [`SecretStore::read`](crate::SecretStore::read) after a failed put); what cannot be found out stays as it is, for `--resume`.
//! Nothing is undone without being asked: `--undo` puts the old key back wherever a new one may be, reads that back, and only then
//! revokes the new records.

mod first_key;
mod gate;
mod journal;
mod lock;
mod notes;
mod ownership;
mod run;
mod succession;
mod targets;
mod undo;

pub use first_key::deliver_first_key;
pub use gate::{Gate, KeyRecords};
pub use journal::{Journal, folder, unfinished};
pub use notes::{Expiry, GateRef, Notes, RecordsRef};
pub use run::{Finished, Rotation};
pub use succession::{Succession, check_in_use, lifetime};
pub use targets::Targets;
