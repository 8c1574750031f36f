//! One field of a secret in a KV v2 engine of HashiCorp Vault or OpenBao.
//!
//! Written by check-and-set: the version that was seen is the one that is replaced, and the other fields stay.

mod client;
mod settings;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use rustify::errors::ClientError as RestError;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};
use vaultrs::error::ClientError;
use zeroize::Zeroizing;

use self::client::{Client, says, status};
use self::settings::Settings;
use crate::error::{Error, Result};
use crate::secret_store::{SecretStore, StoredSecret};

/// The field.
// Absent on purpose: Debug; it holds the token.
pub(crate) struct VaultField {
    client: Client,
    /// The engine's whole mount and the secret's path below it.
    mount: String,
    path: String,
    field: String,
}

/// The JSON of each field, byte by byte: what belongs to others is written as it was read.
type Fields = BTreeMap<String, Box<RawValue>>;

/// A secret as it is read.
#[derive(Deserialize)]
struct Secret {
    /// `None` when the version was deleted or destroyed.
    data: Option<Fields>,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    version: u64,
}

impl VaultField {
    /// The field that `vault:MOUNT/PATH#FIELD` names, at the server that the environment names.
    ///
    /// # Errors
    /// The environment does not say enough, a login was refused, or the engine is not KV version 2.
    pub(crate) fn open(mount: &str, path: &str, field: &str) -> Result<Self> {
        Self::at(Client::new(Settings::from_environment()?)?, mount, path, field)
    }

    fn at(client: Client, mount: &str, path: &str, field: &str) -> Result<Self> {
        let (mount, path) = engine(&client, mount, path)?;
        Ok(Self { client, mount, path, field: field.to_owned() })
    }

    fn cannot(&self, verb: &str) -> String {
        format!("cannot {verb} vault:{}/{}#{}", self.mount, self.path, self.field)
    }

    fn data_path(&self) -> String {
        format!("{}/data/{}", self.mount, self.path)
    }

    fn policy(&self) -> String {
        format!(
            r#"`path "{}" {{ capabilities = ["create", "read", "update"] }}` ("read" is enough for reading)"#,
            self.data_path()
        )
    }

    /// The latest version and its fields; version 0 where there was none ever.
    fn latest(&self, cannot: &str) -> Result<(u64, Fields)> {
        let error = match self.client.read::<Secret>(&self.data_path()) {
            Ok(Secret { data, metadata }) => return Ok((metadata.version, data.unwrap_or_default())),
            Err(error) => error,
        };
        match status(&error) {
            Some(404) if says(&error, "no handler for route") => Err(self.no_engine(cannot)),
            Some(404) => Ok((deleted_version(&error).unwrap_or_default(), Fields::new())),
            _ => Err(self.client.error(cannot, &self.policy(), &error)),
        }
    }

    fn changed(&self, cannot: &str) -> Error {
        Error::failed(
            format!("{cannot}: somebody wrote the secret in between"),
            format!(
                "look at `vault kv metadata get {}/{}`, then run the command again",
                self.mount, self.path
            ),
        )
    }

    fn no_engine(&self, cannot: &str) -> Error {
        Error::failed(
            format!("{cannot}: there is no KV version 2 engine at {}/", self.mount),
            "see `vault secrets list`, and check VAULT_NAMESPACE",
        )
    }
}

/// The number of a deleted version: it is answered with 404, and has one all the same.
fn deleted_version(error: &ClientError) -> Option<u64> {
    #[derive(Deserialize)]
    struct Answer {
        data: Secret,
    }
    let ClientError::RestClientError { source: RestError::ServerResponseError { content, .. } } = error
    else {
        return None;
    };
    serde_json::from_str::<Answer>(content.as_deref()?).ok().map(|answer| answer.data.metadata.version)
}

impl SecretStore for VaultField {
    fn read(&self) -> Result<StoredSecret> {
        let cannot = self.cannot("read");
        let (version, fields) = self.latest(&cannot)?;
        let text = fields.get(&self.field).map(|raw| serde_json::from_str(raw.get()).map(Zeroizing::new));
        let text = text.transpose().map_err(|_| {
            Error::failed(
                format!("{cannot}: the field is no text"),
                "name a field that holds a JSON string, after the `#`",
            )
        })?;
        Ok(StoredSecret { text, revision: Some(version.to_string()) })
    }

    fn check_writable(&self) -> Result<()> {
        #[derive(Deserialize)]
        struct Answer {
            capabilities: Vec<String>,
        }
        let cannot = self.cannot("write");
        let needed = if self.latest(&cannot)?.0 == 0 { "create" } else { "update" };
        let body = Zeroizing::new(json!({ "paths": [self.data_path()] }).to_string().into_bytes());
        let Answer { capabilities } = self
            .client
            .write("sys/capabilities-self", body)
            .map_err(|e| self.client.error(&cannot, &self.policy(), &e))?;
        if capabilities.iter().any(|can| can == needed || can == "root") {
            return Ok(());
        }
        Err(Error::failed(
            format!("{cannot}: the token may not {needed} it (it may: {})", capabilities.join(", ")),
            format!("give its policy {}", self.policy()),
        ))
    }

    fn put(&self, text: &str, seen: &StoredSecret) -> Result<()> {
        #[derive(Serialize)]
        struct Write {
            options: Options,
            data: Fields,
        }
        #[derive(Serialize)]
        struct Options {
            cas: u64,
        }
        let cannot = self.cannot("write");
        let (version, mut data) = self.latest(&cannot)?;
        if seen.revision.as_deref() != Some(version.to_string().as_str()) {
            return Err(self.changed(&cannot));
        }
        let unwritable = |e: serde_json::Error| Error::failed(format!("{cannot}: {e}"), "name another field");
        data.insert(self.field.clone(), to_raw_value(text).map_err(unwritable)?);
        let write = Write { options: Options { cas: version }, data };
        let body = Zeroizing::new(serde_json::to_vec(&write).map_err(unwritable)?);
        let written = self.client.write::<IgnoredAny>(&self.data_path(), body);
        written.map(drop).map_err(|error| match status(&error) {
            Some(400) if says(&error, "check-and-set") => self.changed(&cannot),
            Some(404) => self.no_engine(&cannot),
            _ => self.client.error(&cannot, &self.policy(), &error),
        })
    }
}

/// The mount of the engine that the path leads to, and the path below it.
///
/// A mount may have several segments, so the server is asked, as its own command line does. A server that does not say is
/// taken at the URI's word.
fn engine(client: &Client, mount: &str, path: &str) -> Result<(String, String)> {
    #[derive(Deserialize)]
    struct Mount {
        path: String,
        #[serde(rename = "type")]
        kind: String,
        options: Option<BTreeMap<String, String>>,
    }
    let cannot = format!("cannot find the engine of vault:{mount}/{path}");
    let whole = format!("{mount}/{path}");
    let Mount { path: found, kind, options } = match client.read(&format!("sys/internal/ui/mounts/{whole}")) {
        Ok(mount) => mount,
        // 403 is also the answer to a token that may read the secret alone, in a namespace without the default policy.
        Err(error) if status(&error).is_some() => return Ok((mount.to_owned(), path.to_owned())),
        Err(error) => return Err(client.error(&cannot, "", &error)),
    };
    let version = options.as_ref().and_then(|options| options.get("version")).map(String::as_str);
    if kind != "kv" || version != Some("2") {
        let version = version.map(|version| format!(" version {version}")).unwrap_or_default();
        return Err(Error::failed(
            format!("{cannot}: at {found} is an engine of type {kind}{version}, not KV version 2"),
            "name a secret in a KV version 2 engine: `vault secrets list -detailed` shows which are",
        ));
    }
    let found = found.trim_end_matches('/');
    let below = whole.strip_prefix(found).and_then(|rest| rest.strip_prefix('/'));
    Ok(below
        .map_or_else(|| (mount.to_owned(), path.to_owned()), |below| (found.to_owned(), below.to_owned())))
}
