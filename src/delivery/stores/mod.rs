//! The secret stores.

#[cfg(feature = "aws")]
pub(crate) mod aws;
#[cfg(feature = "azure")]
pub(crate) mod azure;
mod bounded;
pub(crate) mod env;
pub(crate) mod exec;
pub(crate) mod file;
mod program;
#[cfg(all(test, any(feature = "aws", feature = "vault")))]
mod stand_in;
#[cfg(feature = "vault")]
pub(crate) mod vault;
