//! An API key, the pepper that marks it, and the digest that is stored for it.

pub mod digest;
mod format;
mod new_key;
pub mod pepper;
mod pepper_id;

pub use format::{KEY_MAX_LEN, KV_NAME_PREFIX, Key, KeyError, KeyId, KeyIdError, KeyPrefix, KeyPrefixError};
pub use new_key::NewKey;
pub use pepper_id::{PepperId, PepperIdError};
