//! Who asks Azure: the kinds of credential that `DefaultAzureCredential` tries, in its order.

use std::env;
use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::{Secret, TokenCredential};
use azure_core::http::ClientOptions;
use azure_identity::{
    AzureCliCredential, ClientAssertionCredentialOptions, ClientSecretCredential,
    ClientSecretCredentialOptions, ManagedIdentityCredential, ManagedIdentityCredentialOptions,
    UserAssignedId, WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};

use crate::error::{Error, Result};
use crate::network::reqwest_client;

/// What says which one kind is to be used, by the name that Azure's SDKs have for it.
const KIND_VARIABLE: &str = "AZURE_TOKEN_CREDENTIALS";
/// The metadata service of Azure's machines. Asked without its header it says 400, and other clouds' say something else.
const METADATA: &str = "http://169.254.169.254/metadata/identity/oauth2/token";
const METADATA_TIMEOUT: Duration = Duration::from_secs(1);

/// A kind of credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Environment,
    WorkloadIdentity,
    ManagedIdentity,
    AzureCli,
}

/// The credential that the environment makes out.
///
/// # Errors
/// What it makes out is not complete.
pub(super) async fn from_environment(options: &ClientOptions) -> Result<Arc<dyn TokenCredential>> {
    let variable = |name: &str| env::var(name).ok().filter(|text| !text.is_empty());
    let kind = match kind(&variable)? {
        Some(kind) => kind,
        None if is_azure_machine().await => Kind::ManagedIdentity,
        None => Kind::AzureCli,
    };
    match kind {
        Kind::Environment => {
            let needed = |name: &str| {
                variable(name).ok_or_else(|| {
                    Error::usage(
                        format!("AZURE_CLIENT_SECRET needs {name} beside it"),
                        format!("set {name}, or unset AZURE_CLIENT_SECRET for another kind of credential"),
                    )
                })
            };
            let tenant = needed("AZURE_TENANT_ID")?;
            let options = ClientSecretCredentialOptions { client_options: options.clone() };
            let secret = Secret::new(needed("AZURE_CLIENT_SECRET")?);
            made(ClientSecretCredential::new(&tenant, needed("AZURE_CLIENT_ID")?, secret, Some(options)))
        }
        Kind::WorkloadIdentity => {
            let credential_options = ClientAssertionCredentialOptions { client_options: options.clone() };
            made(WorkloadIdentityCredential::new(Some(WorkloadIdentityCredentialOptions {
                credential_options,
                ..WorkloadIdentityCredentialOptions::default()
            })))
        }
        Kind::ManagedIdentity => {
            made(ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
                user_assigned_id: variable("AZURE_CLIENT_ID").map(UserAssignedId::ClientId),
                client_options: options.clone(),
            })))
        }
        Kind::AzureCli => made(AzureCliCredential::new(None)),
    }
}

fn made<T: TokenCredential + 'static>(
    credential: azure_core::Result<Arc<T>>,
) -> Result<Arc<dyn TokenCredential>> {
    credential.map(|credential| credential as Arc<dyn TokenCredential>).map_err(|e| {
        Error::usage(
            format!("the Azure credential cannot be used: {e}"),
            "check the variables AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_FEDERATED_TOKEN_FILE and AZURE_AUTHORITY_HOST",
        )
    })
}

/// Which kind it is to be: what the environment is prepared for. `None` where that depends on the machine.
fn kind(variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<Kind>> {
    let has = |name| variable(name).is_some();
    let chosen = variable(KIND_VARIABLE).map(|kind| kind.to_ascii_lowercase());
    Ok(match chosen.as_deref() {
        Some("environmentcredential") => Some(Kind::Environment),
        Some("workloadidentitycredential") => Some(Kind::WorkloadIdentity),
        Some("azureclicredential" | "dev") => Some(Kind::AzureCli),
        Some("prod") | None if has("AZURE_CLIENT_SECRET") => Some(Kind::Environment),
        Some("prod") | None if has("AZURE_FEDERATED_TOKEN_FILE") => Some(Kind::WorkloadIdentity),
        Some("managedidentitycredential" | "prod") => Some(Kind::ManagedIdentity),
        None if has("IDENTITY_ENDPOINT") || has("MSI_ENDPOINT") => Some(Kind::ManagedIdentity),
        None => None,
        Some(_) => {
            return Err(Error::usage(
                format!("{KIND_VARIABLE} names no kind of credential that keygate has"),
                "use EnvironmentCredential, WorkloadIdentityCredential, ManagedIdentityCredential, AzureCliCredential, dev or prod, or unset it",
            ));
        }
    })
}

/// Whether the metadata service answers at once, from this machine's own link.
async fn is_azure_machine() -> bool {
    let Ok(client) = reqwest_client(|builder| builder.no_proxy().timeout(METADATA_TIMEOUT)) else {
        return false;
    };
    client.get(METADATA).send().await.is_ok_and(|answer| answer.status().as_u16() == 400)
}

#[cfg(test)]
mod tests {
    use super::{Kind, kind};

    #[test]
    fn the_environment_is_preferred_to_the_machine_and_the_person_who_is_logged_in() {
        const SECRET: (&str, &str) = ("AZURE_CLIENT_SECRET", "s");
        const TOKEN: (&str, &str) = ("AZURE_FEDERATED_TOKEN_FILE", "/f");
        for (variables, expected) in [
            (&[SECRET, TOKEN][..], Some(Kind::Environment)),
            (&[TOKEN], Some(Kind::WorkloadIdentity)),
            (&[("IDENTITY_ENDPOINT", "http://127.0.0.1")], Some(Kind::ManagedIdentity)),
            (&[], None),
            (&[SECRET, ("AZURE_TOKEN_CREDENTIALS", "dev")], Some(Kind::AzureCli)),
            (&[("AZURE_TOKEN_CREDENTIALS", "prod")], Some(Kind::ManagedIdentity)),
            (&[("AZURE_TOKEN_CREDENTIALS", "WorkloadIdentityCredential")], Some(Kind::WorkloadIdentity)),
        ] {
            let variable = |name: &str| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(kind(&variable).unwrap(), expected, "{variables:?}");
        }
        let unknown = |name: &str| (name == "AZURE_TOKEN_CREDENTIALS").then(|| "Browser".to_owned());
        assert!(kind(&unknown).unwrap_err().is_usage());
    }
}
