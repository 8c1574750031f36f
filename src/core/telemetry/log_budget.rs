//! A cap on rejections in the log: a flood of bad requests must not become a flood of log lines.

/// Counts the rejections that an isolate logs in each minute.
#[derive(Debug)]
pub struct LogBudget {
    per_minute: u32,
    minute: u64,
    used: u32,
    suppressed: u64,
}

/// What to do with one rejection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// Log it.
    Log,
    /// Log it, and before it that this many were not logged.
    LogAfter {
        /// How many were not logged.
        suppressed: u64,
    },
    /// Count it.
    Suppress,
}

impl LogBudget {
    /// At most `per_minute` lines in a minute.
    #[must_use]
    pub fn new(per_minute: u32) -> Self {
        Self { per_minute, minute: 0, used: 0, suppressed: 0 }
    }

    /// Asks for one more line at `now_ms`.
    pub fn ask(&mut self, now_ms: u64) -> Allowance {
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
    fn past_the_cap_rejections_are_counted_and_the_count_comes_with_the_next_line() {
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
            assert_eq!(budget.ask(now_ms), expected, "{now_ms}");
        }
    }
}
