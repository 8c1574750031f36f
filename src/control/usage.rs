//! The Durable Object that stores what the gates count.

#[expect(missing_docs, reason = "`durable_object` writes methods without")]
mod object;
mod store;

pub use object::UsageObject;
