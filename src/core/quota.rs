//! Exact quotas: how many units a subject may spend in a period, counted in one place and spent in many.
//!
//! One [`Account`] per subject lends units to the isolates of the gate; each isolate spends what it holds in its
//! [`Allowance`]. A lent unit counts as spent until it is given back, so the limit is never exceeded: an isolate that dies, or an answer
//! that is lost, makes the account lend less, never more.
//!
//! | who | does | persisted before the answer |
//! |---|---|---|
//! | [`Allowance::spend`] | takes units from the leases it holds, or asks for a new lease | |
//! | [`Account::lend`] | lends units, and takes back unused ones | yes |
//! | [`Allowance::add`] | holds the lease until it ends by the isolate's own clock, counted from before it asked | |
//! | [`Allowance::fail`] | keeps in mind what an answer that did not come may have lent | |
//! | [`Allowance::give_back`] | gives up what an idle isolate holds | |

mod account;
mod allowance;
mod allowances;
mod lease;
mod period;
mod remaining;

pub use account::Account;
pub use allowance::{Allowance, Asked, Spending};
pub use allowances::{Allowances, Payer};
pub use lease::{Lease, LeaseId, LeaseMessage, LeaseRequest, ReturnMessage, Unused};
pub use period::{Period, PeriodError, Quota, QuotaError};
pub use remaining::{POLICY, Remaining};

#[cfg(test)]
mod simulation;
