//! When the webhook of a day is sent, and sent again.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::time::UnixSeconds;
use crate::usage::{Day, Hour};

/// How long after an attempt the next one is made. The last ones reach over an outage of most of a day.
const WAITS_SECS: [u64; 6] = [15, 60, 600, 3600, 4 * 3600, 8 * 3600];

/// The webhook of a day, as far as it has got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    day: Day,
    attempts: usize,
    message: Option<Message>,
    is_settled: bool,
}

/// What is sent: the same in every attempt, so that a receiver recognizes a repeated one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// `webhook-id`.
    pub id: String,
    /// The JSON.
    pub body: String,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'d> {
    /// To find out what there is to tell: [`Delivery::compose`].
    Compose,
    /// To send it: [`Delivery::answered`].
    Send(&'d Message),
    /// Nothing more on this day.
    Nothing,
}

/// What came of sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The status of the response.
    Status(u16),
    /// No response: the network failed, or it took too long.
    Failed,
}

impl Delivery {
    /// The delivery of today: the one that was stored, or a new one.
    #[must_use]
    pub fn today(stored: Option<Self>, now: UnixSeconds) -> Self {
        let fresh = Self { day: Hour::of(now).day(), attempts: 0, message: None, is_settled: false };
        Self::again(stored, now).unwrap_or(fresh)
    }

    /// The stored delivery, if it is of today: one of an earlier day is not continued.
    #[must_use]
    pub fn again(stored: Option<Self>, now: UnixSeconds) -> Option<Self> {
        stored.filter(|stored| stored.day == Hour::of(now).day())
    }

    /// The day.
    #[must_use]
    pub fn day(&self) -> Day {
        self.day
    }

    /// How many attempts were begun.
    #[must_use]
    pub fn attempts(&self) -> usize {
        self.attempts
    }

    /// What is to be done next.
    #[must_use]
    pub fn step(&self) -> Step<'_> {
        match &self.message {
            _ if self.is_settled => Step::Nothing,
            Some(message) => Step::Send(message),
            None => Step::Compose,
        }
    }

    /// Counts an attempt. Returns when the next one is made if this one fails; `None`: there is none on this day.
    pub fn begin(&mut self, now: UnixSeconds) -> Option<UnixSeconds> {
        let wait = WAITS_SECS.get(self.attempts);
        self.attempts += 1;
        let next = now.plus(*wait?);
        (Hour::of(next).day() == self.day).then_some(next)
    }

    /// Takes what there is to tell; `None`: nothing.
    pub fn compose(&mut self, message: Option<Message>) {
        self.is_settled = message.is_none();
        self.message = message;
    }

    /// Takes what came of sending. What the receiver may take later is sent again; what it refuses is not, on this day.
    pub fn answered(&mut self, answer: Answer) {
        self.is_settled = !matches!(answer, Answer::Failed | Answer::Status(408 | 429 | 500..));
    }
}
