//! When a request is sent once more, and after how long.

use std::time::Duration;

/// How often a request is sent at most.
const ATTEMPTS: u32 = 5;
/// The wait before the second attempt; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// Longer than this nobody waits at a terminal; Cloudflare's own limit counts over five minutes.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// The attempts of one request.
#[derive(Debug, Default)]
pub(crate) struct Retries {
    failed: u32,
}

impl Retries {
    /// How long to wait before the next attempt; `None` when there is to be none.
    ///
    /// `retry_after` is what the answer asked for. It is kept to, or the request is given up: earlier is against the rules.
    pub(crate) fn next_wait(&mut self, retry_after: Option<Duration>) -> Option<Duration> {
        self.failed += 1;
        if self.failed >= ATTEMPTS {
            return None;
        }
        let wait = retry_after.unwrap_or_else(|| FIRST_WAIT * 2_u32.pow(self.failed - 1));
        (wait <= LONGEST_WAIT).then_some(wait)
    }
}

/// The seconds of a `Retry-After`. Its other form, a date, is not sent by the services that are asked here.
pub(crate) fn retry_after(header: Option<&str>) -> Option<Duration> {
    header?.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::{ATTEMPTS, Retries, retry_after};
    use std::time::Duration;

    #[test]
    fn a_request_is_tried_a_few_times_with_growing_waits() {
        let mut retries = Retries::default();
        let waits: Vec<_> = std::iter::from_fn(|| retries.next_wait(None)).map(|w| w.as_millis()).collect();
        assert_eq!(waits, [250, 500, 1000, 2000]);
        assert_eq!(waits.len() + 1, ATTEMPTS as usize);
    }

    #[test]
    fn retry_after_is_kept_to_or_the_request_is_given_up() {
        let after = |header| Retries::default().next_wait(retry_after(header));
        assert_eq!(after(Some("7")), Some(Duration::from_secs(7)));
        assert_eq!(after(Some("300")), None);
        for absent in [None, Some(""), Some("-1"), Some("Wed, 21 Oct 2026 07:28:00 GMT")] {
            assert_eq!(after(absent), Some(Duration::from_millis(250)), "{absent:?}");
        }
    }
}
