//! Warnings to operators: keys that expire soon or are not used, and what is unusual about the others, as one webhook a day.
//!
//! [`Settings`] reads the variables, [`Findings`] gathers what there is to tell, and [`Delivery`] says when it is sent and sent again.
//! The webhook is signed as [Standard Webhooks](https://www.standardwebhooks.com) specifies: [`WebhookSecret`].

mod delivery;
mod findings;
mod settings;
mod signature;

pub use delivery::{Answer, Delivery, Message, Step};
pub use findings::{ExpiringKey, Findings, KeyFacts, LeftOut, UnusedKey, Warning};
pub use settings::{Settings, SettingsError, Variables, WebhookUrl};
pub use signature::{WebhookSecret, WebhookSecretError};

#[cfg(test)]
mod tests;
