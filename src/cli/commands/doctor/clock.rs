//! This machine's clock, compared with the gate's and the store's.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::blocking::Client;
use reqwest::header::DATE;
use reqwest::redirect::Policy;
use rustls::crypto::ring;

use crate::clock::{self, Comparison};
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
    // Another part of the program may have chosen it before.
    let _ = ring::default_provider().install_default();
    let client = Client::builder().redirect(Policy::none()).timeout(TIMEOUT).build();
    let sent = Timestamp::now();
    let answer = client
        .and_then(|client| client.head(url).send())
        .map_err(|error| format!("does not answer ({})", error.without_url()))?;
    let answered = Timestamp::now();
    let date = answer.headers().get(DATE).and_then(|date| date.to_str().ok());
    date.and_then(|date| Comparison::of(date, sent, answered))
        .ok_or_else(|| "answers without a Date".to_owned())
}
