//! The limit on logged rejections, for the lifetime of the isolate: requests are refused and logged before there is a policy.

use std::cell::RefCell;

use keygate_core::telemetry::log_budget::{Allowance, LogBudget};
use keygate_core::time::UnixMillis;

/// Until the policy is read: enough to see why it is invalid.
const INITIAL_PER_MINUTE: u32 = 60;

thread_local! {
    static BUDGET: RefCell<LogBudget> = RefCell::new(LogBudget::new(INITIAL_PER_MINUTE));
}

/// Sets the number of rejections that are logged per minute.
pub(crate) fn set(per_minute: u32) {
    BUDGET.set(LogBudget::new(per_minute));
}

/// Whether to log a rejection.
pub(crate) fn spend(now: UnixMillis) -> Allowance {
    BUDGET.with_borrow_mut(|budget| budget.spend(now.0))
}
