//! Who asks Azure: the kinds of credential that `DefaultAzureCredential` tries, in its order.

use std::env;
use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::{Secret, TokenCredential};
use azure_identity::{
    AzureCliCredential, ClientAssertionCredentialOptions, ClientSecretCredential,
    ClientSecretCredentialOptions, ManagedIdentityCredential, ManagedIdentityCredentialOptions,
    UserAssignedId, WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};

use super::client::options;
use crate::fault::{Fault, Outcome};
use crate::places::transport::Client;

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
pub(super) fn from_environment(client: &Client) -> Outcome<Arc<dyn TokenCredential>> {
    let variable = |name: &str| env::var(name).ok().filter(|text| !text.is_empty());
    let is_machine = || client.status_nearby(METADATA, METADATA_TIMEOUT) == Some(400);
    match kind(&variable, &is_machine)? {
        Kind::Environment => {
            let needed = |name: &str| {
                variable(name).ok_or_else(|| {
                    Fault::usage(
                        format!("AZURE_CLIENT_SECRET needs {name} beside it"),
                        format!("set {name}, or unset AZURE_CLIENT_SECRET for another kind of credential"),
                    )
                })
            };
            let tenant = needed("AZURE_TENANT_ID")?;
            let options = ClientSecretCredentialOptions { client_options: options(client.clone()) };
            let secret = Secret::new(needed("AZURE_CLIENT_SECRET")?);
            made(ClientSecretCredential::new(&tenant, needed("AZURE_CLIENT_ID")?, secret, Some(options)))
        }
        Kind::WorkloadIdentity => {
            let credential_options =
                ClientAssertionCredentialOptions { client_options: options(client.clone()) };
            made(WorkloadIdentityCredential::new(Some(WorkloadIdentityCredentialOptions {
                credential_options,
                ..WorkloadIdentityCredentialOptions::default()
            })))
        }
        Kind::ManagedIdentity => {
            made(ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
                user_assigned_id: variable("AZURE_CLIENT_ID").map(UserAssignedId::ClientId),
                client_options: options(client.clone()),
            })))
        }
        Kind::AzureCli => made(AzureCliCredential::new(None)),
    }
}

fn made<T: TokenCredential + 'static>(
    credential: azure_core::Result<Arc<T>>,
) -> Outcome<Arc<dyn TokenCredential>> {
    credential.map(|credential| credential as Arc<dyn TokenCredential>).map_err(|e| {
        Fault::usage(
            format!("the Azure credential cannot be used: {e}"),
            "check the variables AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_FEDERATED_TOKEN_FILE and AZURE_AUTHORITY_HOST",
        )
    })
}

/// Which kind it is to be. What the environment is prepared for comes first, then the machine, then whoever is logged in.
fn kind(variable: &dyn Fn(&str) -> Option<String>, is_machine: &dyn Fn() -> bool) -> Outcome<Kind> {
    let has = |name| variable(name).is_some();
    let chosen = variable(KIND_VARIABLE).map(|kind| kind.to_ascii_lowercase());
    match chosen.as_deref() {
        Some("environmentcredential") => return Ok(Kind::Environment),
        Some("workloadidentitycredential") => return Ok(Kind::WorkloadIdentity),
        Some("managedidentitycredential") => return Ok(Kind::ManagedIdentity),
        Some("azureclicredential" | "dev") => return Ok(Kind::AzureCli),
        Some("prod") | None => {}
        Some(_) => {
            return Err(Fault::usage(
                format!("{KIND_VARIABLE} names no kind of credential that keygate has"),
                "use EnvironmentCredential, WorkloadIdentityCredential, ManagedIdentityCredential, AzureCliCredential, dev or prod, or unset it",
            ));
        }
    }
    Ok(if has("AZURE_CLIENT_SECRET") {
        Kind::Environment
    } else if has("AZURE_FEDERATED_TOKEN_FILE") {
        Kind::WorkloadIdentity
    } else if has("IDENTITY_ENDPOINT") || has("MSI_ENDPOINT") || chosen.is_some() || is_machine() {
        Kind::ManagedIdentity
    } else {
        Kind::AzureCli
    })
}

#[cfg(test)]
mod tests {
    use super::{Kind, kind};

    #[test]
    fn what_the_environment_is_prepared_for_comes_before_the_machine_and_whoever_is_logged_in() {
        const SECRET: (&str, &str) = ("AZURE_CLIENT_SECRET", "s");
        const TOKEN: (&str, &str) = ("AZURE_FEDERATED_TOKEN_FILE", "/f");
        for (variables, is_machine, expected) in [
            (&[SECRET, TOKEN][..], true, Kind::Environment),
            (&[TOKEN], true, Kind::WorkloadIdentity),
            (&[("IDENTITY_ENDPOINT", "http://127.0.0.1")], false, Kind::ManagedIdentity),
            (&[], true, Kind::ManagedIdentity),
            (&[], false, Kind::AzureCli),
            (&[SECRET, ("AZURE_TOKEN_CREDENTIALS", "dev")], true, Kind::AzureCli),
            (&[("AZURE_TOKEN_CREDENTIALS", "prod")], false, Kind::ManagedIdentity),
            (&[("AZURE_TOKEN_CREDENTIALS", "WorkloadIdentityCredential")], false, Kind::WorkloadIdentity),
        ] {
            let variable = |name: &str| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(kind(&variable, &|| is_machine).unwrap(), expected, "{variables:?}");
        }
        let unknown = |name: &str| (name == "AZURE_TOKEN_CREDENTIALS").then(|| "Browser".to_owned());
        assert_eq!(kind(&unknown, &|| false).unwrap_err().exit_code(), 2);
    }
}
