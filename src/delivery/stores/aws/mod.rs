//! A secret of AWS Secrets Manager.
//!
//! A new text is put beside the current one as AWSPENDING, then AWSCURRENT is moved to it from the version that was seen:
//! a compare-and-set, which AWS refuses when AWSCURRENT is elsewhere by then.

mod config;
mod refusal;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt::Write as _;

use aws_config::{Region, SdkConfig};
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use aws_sdk_secretsmanager::operation::get_secret_value::builders::GetSecretValueFluentBuilder;
use zeroize::Zeroizing;

use self::config::{ATTEMPT_TIMEOUT, OnlyEncrypted, loader};
use self::refusal::Asked;
use crate::entropy::entropy;
use crate::error::{Error, Result};
use crate::network::Blocking;
use crate::secret_store::{SecretStore, StoredSecret};

/// The label of the version that is read.
const CURRENT: &str = "AWSCURRENT";
/// The label of a version on its way there.
const PENDING: &str = "AWSPENDING";

/// The secret.
// Absent on purpose: Debug; the client holds credentials.
pub(crate) struct AwsSecret {
    blocking: Blocking,
    client: Client,
    secret: String,
    region: String,
}

/// What AWS says about a secret without its values.
struct Described {
    /// Version → labels.
    labels: HashMap<String, Vec<String>>,
    deleted: bool,
    primary_region: Option<String>,
    owner: Option<String>,
}

impl Described {
    /// The version that has the label.
    fn version(&self, label: &str) -> Option<&str> {
        let has = |labels: &[String]| labels.iter().any(|own| own == label);
        self.labels.iter().find(|(_, labels)| has(labels)).map(|(version, _)| version.as_str())
    }
}

/// The region that an ARN names: arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME.
fn region_of(secret: &str) -> Option<&str> {
    secret.strip_prefix("arn:")?.split(':').nth(2).filter(|region| !region.is_empty())
}

impl AwsSecret {
    /// The secret of this name or ARN, asked about as AWS's own command line would.
    ///
    /// # Errors
    /// The chain of credentials yields none, or no region is named.
    pub(crate) fn open(secret: &str) -> Result<Self> {
        let blocking = Blocking::new()?;
        let mut loader = loader(ATTEMPT_TIMEOUT);
        if let Some(region) = region_of(secret) {
            loader = loader.region(Region::new(region.to_owned()));
        }
        let config = blocking.run(loader.load());
        Self::with(secret, blocking, config)
    }

    fn with(secret: &str, blocking: Blocking, config: SdkConfig) -> Result<Self> {
        let Some(region) = config.region().map(ToString::to_string) else {
            return Err(Error::usage(
                format!("the AWS region of {secret} is not known"),
                "set AWS_REGION, or name the secret by its ARN, or give the profile a region (`aws configure`)",
            ));
        };
        let config = blocking.run(with_credentials(config))?;
        let config =
            aws_sdk_secretsmanager::config::Builder::from(&config).interceptor(OnlyEncrypted).build();
        Ok(Self { blocking, client: Client::from_conf(config), secret: secret.to_owned(), region })
    }

    fn asked<'a>(&'a self, cannot: &'a str, needs: &'static str) -> Asked<'a> {
        Asked { cannot, secret: &self.secret, region: &self.region, needs }
    }

    /// # Errors
    /// There is no such secret, or AWS was not to be asked.
    fn describe(&self, cannot: &str) -> Result<Described> {
        let request = self.client.describe_secret().secret_id(&self.secret);
        let said = self.blocking.run(request.send());
        let said = said.map_err(|e| self.asked(cannot, "secretsmanager:DescribeSecret").error(&e))?;
        Ok(Described {
            deleted: said.deleted_date().is_some(),
            primary_region: said.primary_region().map(str::to_owned),
            owner: said.owning_service().map(str::to_owned),
            labels: said.version_ids_to_stages.unwrap_or_default(),
        })
    }

    /// The text of a version that must have the label; `None` when there is no such version or it holds nothing yet.
    ///
    /// # Errors
    /// AWS refused, or the version holds bytes.
    fn text(
        &self,
        version: Option<&str>,
        label: &str,
        cannot: &str,
    ) -> Result<Option<(Zeroizing<String>, String)>> {
        let request = self.client.get_secret_value().secret_id(&self.secret).version_stage(label);
        let request: GetSecretValueFluentBuilder = request.set_version_id(version.map(str::to_owned));
        let said = match self.blocking.run(request.send()) {
            Ok(said) => said,
            Err(e)
                if e.as_service_error().is_some_and(GetSecretValueError::is_resource_not_found_exception) =>
            {
                // Also the answer when there is no such secret; this call then says so.
                self.describe(cannot)?;
                return Ok(None);
            }
            Err(e) => return Err(self.asked(cannot, "secretsmanager:GetSecretValue").error(&e)),
        };
        let Some(text) = said.secret_string.map(Zeroizing::new) else {
            return Err(Error::failed(
                format!("{cannot}: it holds bytes, not text"),
                "put a text there: `aws secretsmanager put-secret-value --secret-string …`",
            ));
        };
        Ok(Some((text, said.version_id.unwrap_or_default())))
    }

    /// Puts the text beside the current one, as AWSPENDING. The same version with the same text is put once.
    ///
    /// Gives whether it became AWSCURRENT at once, as the first version of a secret does.
    ///
    /// # Errors
    /// AWS refused.
    fn put_pending(&self, version: &str, text: &str, cannot: &str) -> Result<bool> {
        let request = self.client.put_secret_value().secret_id(&self.secret).secret_string(text);
        let request = request.client_request_token(version).version_stages(PENDING);
        let said = self.blocking.run(request.send());
        let said = said.map_err(|e| self.asked(cannot, "secretsmanager:PutSecretValue").error(&e))?;
        Ok(said.version_stages().iter().any(|label| label == CURRENT))
    }

    /// Moves AWSCURRENT, in one step, from the version that it is expected at.
    ///
    /// # Errors
    /// It is elsewhere, or AWS refused.
    fn make_current(&self, version: &str, from: Option<&str>, cannot: &str) -> Result<()> {
        let request = self.client.update_secret_version_stage().secret_id(&self.secret);
        let request = request.version_stage(CURRENT).move_to_version_id(version);
        let request = request.set_remove_from_version_id(from.map(str::to_owned));
        let Err(e) = self.blocking.run(request.send()) else {
            return Ok(());
        };
        let error = self.asked(cannot, "secretsmanager:UpdateSecretVersionStage").error(&e);
        match self.describe(cannot)?.version(CURRENT) {
            // An earlier attempt of the same call was heard after all.
            Some(current) if current == version => Ok(()),
            current if current == from => Err(error),
            _ => Err(self.changed(cannot)),
        }
    }

    fn changed(&self, cannot: &str) -> Error {
        Error::failed(
            format!("{cannot}: somebody made another version current in between"),
            format!(
                "look at `aws secretsmanager list-secret-version-ids --secret-id {}`, then run the command again",
                self.secret
            ),
        )
    }

    /// Takes AWSPENDING from a version that will not become current: AWS takes it for a rotation that goes on.
    fn give_up(&self, version: &str) {
        let request = self.client.update_secret_version_stage().secret_id(&self.secret);
        let request = request.version_stage(PENDING).remove_from_version_id(version);
        // What stopped the move is the error to be told.
        let _ = self.blocking.run(request.send());
    }

    /// Refuses a version on its way that is another program's. What a delivery of this one left is superseded: its key has
    /// been given up, and should its process live still, then moving AWSCURRENT decides, which is compare-and-set.
    fn refuse_pending(&self, described: &Described, cannot: &str) -> Result<()> {
        match described.version(PENDING) {
            Some(pending) if described.version(CURRENT) != Some(pending) && !pending.starts_with(OURS) => {
                Err(Error::failed(
                    format!("{cannot}: a rotation of it has not ended: version {pending} is {PENDING}"),
                    format!(
                        "let it end; if nobody works on it: `aws secretsmanager update-secret-version-stage --secret-id {} --version-stage {PENDING} --remove-from-version-id {pending}`",
                        self.secret
                    ),
                ))
            }
            _ => Ok(()),
        }
    }
}

/// The configuration with credentials that are there, so that their absence is told apart from a refusal.
async fn with_credentials(config: SdkConfig) -> Result<SdkConfig> {
    let credentials = match config.credentials_provider() {
        Some(chain) => chain.provide_credentials().await.map_err(|e| refusal::no_credentials(&e))?,
        None => return Err(refusal::no_credentials(&std::fmt::Error)),
    };
    Ok(config.into_builder().credentials_provider(SharedCredentialsProvider::new(credentials)).build())
}

/// How the versions begin that a delivery puts: `keyg`, in hexadecimal.
const OURS: &str = "6b657967";

/// A version's id as AWS makes them: 32 hexadecimal digits, here without hyphens.
fn new_version() -> Result<String> {
    let mut bytes = [0; 12];
    entropy(&mut bytes)?;
    let mut id = String::with_capacity(32);
    id.push_str(OURS);
    for byte in bytes {
        // Writing to a String does not fail.
        let _ = write!(id, "{byte:02x}");
    }
    Ok(id)
}

impl SecretStore for AwsSecret {
    fn read(&self) -> Result<StoredSecret> {
        let cannot = format!("cannot read aws:{}", self.secret);
        Ok(match self.text(None, CURRENT, &cannot)? {
            Some((text, version)) => StoredSecret { text: Some(text), revision: Some(version) },
            None => StoredSecret { text: None, revision: None },
        })
    }

    fn check_writable(&self) -> Result<()> {
        let cannot = format!("cannot write aws:{}", self.secret);
        let described = self.describe(&cannot)?;
        let Self { secret, region, .. } = self;
        let (problem, remedy) = match &described {
            Described { deleted: true, .. } => (
                "it is scheduled for deletion".to_owned(),
                format!("keep it: `aws secretsmanager restore-secret --secret-id {secret}`"),
            ),
            Described { primary_region: Some(primary), .. } if primary != region => (
                format!("in {region} it is a replica"),
                format!("write it in its own region: AWS_REGION={primary}"),
            ),
            Described { owner: Some(owner), .. } => {
                (format!("it is managed by {owner}"), "name a secret of your own".to_owned())
            }
            _ => return self.refuse_pending(&described, &cannot),
        };
        Err(Error::failed(format!("{cannot}: {problem}"), remedy))
    }

    fn put(&self, text: &str, seen: &StoredSecret) -> Result<()> {
        let cannot = format!("cannot write aws:{}", self.secret);
        let described = self.describe(&cannot)?;
        let current = described.version(CURRENT);
        if current != seen.revision.as_deref() {
            return Err(self.changed(&cannot));
        }
        // What an earlier attempt left half way is completed.
        if let Some(pending) = described.version(PENDING).filter(|pending| current != Some(*pending)) {
            let left = self.text(Some(pending), PENDING, &cannot)?;
            if left.is_some_and(|(left, _)| left.as_str() == text) {
                return self.make_current(pending, current, &cannot);
            }
            self.refuse_pending(&described, &cannot)?;
        }
        // Takes AWSPENDING along from what was given up.
        let version = new_version()?;
        if self.put_pending(&version, text, &cannot)? {
            return Ok(());
        }
        self.make_current(&version, current, &cannot).inspect_err(|_| self.give_up(&version))
    }
}
