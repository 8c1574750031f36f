//! This machine's clock, compared with the gate's and the store's.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::DATE;

use crate::clock::{self, Comparison};
use crate::cloudflare::http_client;
use crate::findings::{Findings, Level};

const REMEDY: &str = "set the clock of this machine (on Linux: `timedatectl set-ntp true`); until then `--expires` and `--grace` are off by the difference";
const TIMEOUT: Duration = Duration::from_secs(10);

/// Compares this machine's clock with those of the gate at `url`, if one is named, and of the store.
pub(super) fn check_clock(url: Option<&str>, findings: &mut Findings) {
    let store = clock::take_difference();
    let gate = url.map(|url| match date_of(url) {
        Ok(comparison) => comparison.difference("the gate"),
        Err(problem) => Some(format!("not looked at: the gate at {url} {problem}")),
    });
    for difference in [store, gate.flatten()].into_iter().flatten() {
        findings.advise(Level::Warning, "this machine", "clock", difference, REMEDY);
    }
}

/// The `Date` of the gate's answer to a request without a key, whatever the answer is.
fn date_of(url: &str) -> Result<Comparison, String> {
    let client = http_client().map_err(|error| format!("was not asked: {}", error.problem()))?;
    let sent = Timestamp::now();
    let answer = client.head(url).timeout(TIMEOUT).send();
    let answer = answer.map_err(|error| format!("does not answer ({})", error.without_url()))?;
    let answered = Timestamp::now();
    let date = answer.headers().get(DATE).and_then(|date| date.to_str().ok());
    date.and_then(|date| Comparison::of(date, sent, answered))
        .ok_or_else(|| "answers without a Date".to_owned())
}
