//! The three secret managers, each behind a feature of its own.

use crate::fault::{Fault, Outcome};
use crate::places::{Place, PlaceUri};

/// The manager's place.
///
/// # Errors
/// This build has no such manager, or those of its `open`.
pub(super) fn open_manager(uri: &PlaceUri) -> Outcome<Box<dyn Place>> {
    match uri {
        #[cfg(feature = "vault")]
        PlaceUri::Vault { mount, path, field } => Ok(Box::new(super::vault::open(mount, path, field)?)),
        #[cfg(feature = "aws")]
        PlaceUri::Aws { secret } => Ok(Box::new(super::aws::open(secret)?)),
        #[cfg(feature = "azure")]
        PlaceUri::Azure { vault, name } => Ok(Box::new(super::azure::open(vault, name)?)),
        _ => {
            let uri = uri.to_string();
            let feature = uri.split(':').next().unwrap_or_default();
            Err(Fault::usage(
                format!("this keygate was built without what reaches {uri}"),
                format!(
                    "build it with the feature `{feature}`: `cargo install --path src/cli --features {feature}`"
                ),
            ))
        }
    }
}
