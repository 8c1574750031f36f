//! Secret stores, and the rotation of a key that they hold.
//!
//! A secret store keeps one secret text: a key that is delivered to it, or a pepper that is read from it. A
//! [`rotation::Rotation`] puts a new key into every store that holds the old one, and survives a crash at any step.
#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")
)]

mod entropy;
mod error;
mod file_lock;
mod key_status;
#[cfg(any(feature = "aws", feature = "azure", feature = "vault"))]
mod network;
mod no_answer;
mod open;
pub mod rotation;
mod secret_store;
mod secure_address;
mod sibling_file;
mod store_uri;
mod stores;
mod template;
pub mod text;
mod timeout;

pub use entropy::entropy;
pub use error::{Error, Result};
pub use key_status::KeyStatus;
pub use no_answer::{Peer, is_untrusted, unreachable};
pub use open::open;
pub use secret_store::{CommandEnvironment, SecretStore, StoredSecret};
pub use secure_address::may_carry_secrets;
pub use sibling_file::sibling_file;
pub use store_uri::StoreUri;
pub use template::{Holder, Template};
pub use timeout::timeout;
