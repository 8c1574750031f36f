//! From a URI to its secret store.

use crate::error::Result;
use crate::secret_store::{CommandEnvironment, SecretStore};
use crate::store_uri::StoreUri;
use crate::stores::env::EnvStore;
use crate::stores::exec::ExecStore;
use crate::stores::file::FileStore;

/// Opens the store that the URI names. A command is run in the `environment`.
///
/// # Errors
/// What is needed to reach it is not there, or this build does not have that secret manager.
pub fn open(uri: &StoreUri, environment: &CommandEnvironment) -> Result<Box<dyn SecretStore>> {
    Ok(match uri {
        StoreUri::File { path } => Box::new(FileStore::new(path.clone())),
        StoreUri::Exec { command } => Box::new(ExecStore::new(command.clone(), environment.clone())?),
        StoreUri::Env { name } => Box::new(EnvStore::new(name.clone())),
        #[cfg(feature = "vault")]
        StoreUri::Vault { mount, path, field } => {
            Box::new(crate::stores::vault::VaultField::open(mount, path, field)?)
        }
        #[cfg(feature = "aws")]
        StoreUri::Aws { secret } => Box::new(crate::stores::aws::AwsSecret::open(secret)?),
        #[cfg(feature = "azure")]
        StoreUri::Azure { vault, name } => Box::new(crate::stores::azure::AzureSecret::open(vault, name)?),
        #[cfg(not(all(feature = "vault", feature = "aws", feature = "azure")))]
        _ => {
            let uri = uri.to_string();
            let feature = uri.split(':').next().unwrap_or_default();
            return Err(crate::error::Error::usage(
                format!("this keygate was built without what reaches {uri}"),
                format!(
                    "build it with the feature `{feature}`: `cargo install --path src/cli --features {feature}`"
                ),
            ));
        }
    })
}
