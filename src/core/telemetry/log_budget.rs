//! The limit on logged rejections, so that a flood of invalid requests does not flood the log.

/// Limits the rejections that an isolate logs per minute.
#[derive(Debug)]
pub struct LogBudget {
    per_minute: u32,
    minute: u64,
    used: u32,
    suppressed: u64,
}

/// Whether to log a rejection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// Log it.
    Log,
    /// Log it, after a line with the number of suppressed ones.
    LogAfter {
        /// How many were suppressed.
        suppressed: u64,
    },
    /// Do not log it, only count it.
    Suppress,
}

impl LogBudget {
    /// Creates a budget of `per_minute` lines per minute.
    #[must_use]
    pub fn new(per_minute: u32) -> Self {
        Self { per_minute, minute: 0, used: 0, suppressed: 0 }
    }

    /// Spends one line of the budget, if there is one left.
    pub fn spend(&mut self, now_ms: u64) -> Allowance {
        let minute = now_ms / 60_000;
        if minute != self.minute {
            self.minute = minute;
            self.used = 0;
        }
        if self.used >= self.per_minute {
            self.suppressed += 1;
            return Allowance::Suppress;
        }
        self.used += 1;
        match core::mem::take(&mut self.suppressed) {
            0 => Allowance::Log,
            suppressed => Allowance::LogAfter { suppressed },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Allowance, LogBudget};

    #[test]
    fn rejections_over_the_limit_are_counted_and_reported_with_the_next_line() {
        let mut budget = LogBudget::new(2);
        let minute = 60_000;
        for (now_ms, expected) in [
            (minute, Allowance::Log),
            (minute + 1, Allowance::Log),
            (minute + 2, Allowance::Suppress),
            (minute + 59_999, Allowance::Suppress),
            (2 * minute, Allowance::LogAfter { suppressed: 2 }),
            (2 * minute, Allowance::Log),
            (2 * minute, Allowance::Suppress),
            (9 * minute, Allowance::LogAfter { suppressed: 1 }),
        ] {
            assert_eq!(budget.spend(now_ms), expected, "{now_ms}");
        }
    }
}
