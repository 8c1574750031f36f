//! The API key, the pepper, and the digest that is stored in place of a key.

pub mod digest;
mod format;
mod new_key;
pub mod pepper;
mod pepper_id;

pub(crate) use format::BODY_LEN;
pub use format::{KEY_MAX_LEN, KV_NAME_PREFIX, Key, KeyError, KeyId, KeyIdError, KeyPrefix, KeyPrefixError};
pub use new_key::NewKey;
pub use pepper_id::{PepperId, PepperIdError};
