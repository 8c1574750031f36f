//! One field of a secret in a KV v2 engine of HashiCorp Vault or OpenBao.
//!
//! Written by check-and-set: the version that was seen is the one that is replaced, and the other fields stay.

mod api;
mod settings;
#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "tests fail by panicking")]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Deserializer};
use serde_json::json;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use self::api::{Api, Call};
use crate::fault::{Fault, Outcome};
use crate::percent::encoded;
use crate::places::{Held, Place};

/// The field.
// Absent on purpose: Debug; it holds the token.
pub(super) struct VaultField {
    api: Api,
    /// The engine's whole mount and the secret's path below it.
    mount: String,
    path: String,
    field: String,
}

/// A secret as it is read.
#[derive(Deserialize)]
struct Read {
    data: Versioned,
}

#[derive(Deserialize)]
struct Versioned {
    /// `None` when the version was deleted or destroyed.
    data: Option<BTreeMap<String, Raw>>,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    version: u64,
}

/// The JSON of one field, byte by byte: what belongs to others is written as it was read.
// Absent on purpose: Debug.
struct Raw(Zeroizing<String>);

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        let text: Box<str> = Box::<RawValue>::deserialize(value)?.into();
        Ok(Self(Zeroizing::new(text.into())))
    }
}

/// What the latest version holds; version 0 where there was none ever.
struct Latest {
    version: u64,
    fields: BTreeMap<String, Raw>,
}

/// The place that `vault:MOUNT/PATH#FIELD` names, at the server that the environment names.
///
/// # Errors
/// The environment does not say enough, a login was refused, or the engine is not KV version 2.
pub(super) fn open(mount: &str, path: &str, field: &str) -> Outcome<VaultField> {
    VaultField::at(Api::from_environment()?, mount, path, field)
}

impl VaultField {
    fn at(api: Api, mount: &str, path: &str, field: &str) -> Outcome<Self> {
        let (mount, path) = engine(&api, mount, path)?;
        Ok(Self { api, mount, path, field: field.to_owned() })
    }

    fn name(&self) -> String {
        format!("vault:{}/{}#{}", self.mount, self.path, self.field)
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

    fn call<'c>(
        method: &'static str,
        path: &'c str,
        body: Option<&'c [u8]>,
        doing: &'c str,
        needs: &'c str,
    ) -> Call<'c> {
        Call { method, path, body, doing, needs }
    }

    fn latest(&self, doing: &str) -> Outcome<Latest> {
        let (path, policy) = (encoded_path(&self.data_path()), self.policy());
        let answer = self.api.ask(Self::call("GET", &path, None, doing, &policy))?;
        // Also the answer to a deleted version, which then has its number.
        if answer.status == 404 && answer.says("no handler for route") {
            return Err(no_engine(&self.mount, doing));
        }
        if answer.status == 404 && !answer.has_data() {
            return Ok(Latest { version: 0, fields: BTreeMap::new() });
        }
        let Read { data: Versioned { data, metadata } } = self.api.read(&answer, doing)?;
        Ok(Latest { version: metadata.version, fields: data.unwrap_or_default() })
    }

    fn changed(&self, doing: &str) -> Fault {
        Fault::failed(
            format!("{doing}: somebody wrote the secret in between"),
            format!(
                "look at `vault kv metadata get {}/{}`, then run the command again",
                self.mount, self.path
            ),
        )
    }
}

impl Place for VaultField {
    fn look(&self) -> Outcome<Held> {
        let doing = format!("cannot read {}", self.name());
        let Latest { version, fields } = self.latest(&doing)?;
        let text = fields.get(&self.field).map(|raw| serde_json::from_str(&raw.0).map(Zeroizing::new));
        let text = text.transpose().map_err(|_| {
            Fault::failed(
                format!("{doing}: the field is no text"),
                "name a field that holds a JSON string, after the `#`",
            )
        })?;
        Ok(Held { text, revision: Some(version.to_string()) })
    }

    fn check_writable(&self) -> Outcome<()> {
        #[derive(Deserialize)]
        struct Read {
            data: Capabilities,
        }
        #[derive(Deserialize)]
        struct Capabilities {
            capabilities: Vec<String>,
        }
        let doing = format!("cannot write {}", self.name());
        let needed = if self.latest(&doing)?.version == 0 { "create" } else { "update" };
        let body = json!({ "paths": [self.data_path()] }).to_string();
        let policy = self.policy();
        let call = Self::call("POST", "sys/capabilities-self", Some(body.as_bytes()), &doing, &policy);
        let answer = self.api.ask(call)?;
        let Read { data: Capabilities { capabilities } } = self.api.read(&answer, &doing)?;
        if capabilities.iter().any(|can| can == needed || can == "root") {
            return Ok(());
        }
        Err(Fault::failed(
            format!("{doing}: the token may not {needed} it (it may: {})", capabilities.join(", ")),
            format!("give its policy {policy}"),
        ))
    }

    fn put(&self, text: &str, seen: &Held) -> Outcome<()> {
        let doing = format!("cannot write {}", self.name());
        let Latest { version, mut fields } = self.latest(&doing)?;
        if seen.revision.as_deref() != Some(version.to_string().as_str()) {
            return Err(self.changed(&doing));
        }
        // INVARIANT: text always serializes.
        let json = |text: &str| Zeroizing::new(serde_json::to_string(text).unwrap_or_default());
        fields.insert(self.field.clone(), Raw(json(text)));
        let length: usize = fields.iter().map(|(name, raw)| 2 * name.len() + raw.0.len() + 8).sum();
        // Reserved whole, so that no reallocation leaves a copy behind.
        let mut body = Zeroizing::new(String::with_capacity(length + 64));
        for (name, raw) in &fields {
            let comma = if body.is_empty() { "" } else { "," };
            // Writing to a String does not fail.
            let _ = write!(body, "{comma}{}:{}", json(name).as_str(), raw.0.as_str());
        }
        let body =
            Zeroizing::new(format!(r#"{{"options":{{"cas":{version}}},"data":{{{}}}}}"#, body.as_str()));
        let (path, policy) = (encoded_path(&self.data_path()), self.policy());
        let call = Self::call("POST", &path, Some(body.as_bytes()), &doing, &policy);
        let answer = self.api.exchange(call)?;
        match answer.status {
            200..=299 => Ok(()),
            400 if answer.says("check-and-set") => Err(self.changed(&doing)),
            404 => Err(no_engine(&self.mount, &doing)),
            _ => Err(self.api.refusal(&answer, call)),
        }
    }
}

/// The mount of the engine that the path leads to, and the path below it.
///
/// A mount may have several segments, so the server is asked, as its own command line does. A server that does not say is
/// taken at the URI's word.
fn engine(api: &Api, mount: &str, path: &str) -> Outcome<(String, String)> {
    #[derive(Deserialize)]
    struct Read {
        data: Mount,
    }
    #[derive(Deserialize)]
    struct Mount {
        path: String,
        #[serde(rename = "type")]
        kind: String,
        options: Option<BTreeMap<String, String>>,
    }
    let doing = format!("cannot find the engine of vault:{mount}/{path}");
    let whole = format!("{mount}/{path}");
    let asked = format!("sys/internal/ui/mounts/{}", encoded_path(&whole));
    let call = Call { method: "GET", path: &asked, body: None, doing: &doing, needs: "" };
    let answer = api.exchange(call)?;
    if !answer.is_success() {
        // 403 is also the answer to a token that may read the secret alone, in a namespace without the default policy.
        return Ok((mount.to_owned(), path.to_owned()));
    }
    let Read { data: Mount { path: found, kind, options } } = api.read(&answer, &doing)?;
    let version = options.as_ref().and_then(|options| options.get("version")).map(String::as_str);
    if kind != "kv" || version != Some("2") {
        let version = version.map(|version| format!(" version {version}")).unwrap_or_default();
        return Err(Fault::failed(
            format!("{doing}: at {found} is an engine of type {kind}{version}, not KV version 2"),
            "name a secret in a KV version 2 engine: `vault secrets list -detailed` shows which are",
        ));
    }
    let found = found.trim_end_matches('/');
    let below = whole.strip_prefix(found).and_then(|rest| rest.strip_prefix('/'));
    Ok(below
        .map_or_else(|| (mount.to_owned(), path.to_owned()), |below| (found.to_owned(), below.to_owned())))
}

fn no_engine(mount: &str, doing: &str) -> Fault {
    Fault::failed(
        format!("{doing}: there is no KV version 2 engine at {mount}/"),
        "see `vault secrets list`, and check VAULT_NAMESPACE",
    )
}

/// The path as part of a URL; its slashes stay.
fn encoded_path(path: &str) -> String {
    path.split('/').map(|segment| encoded(segment).as_str().to_owned()).collect::<Vec<_>>().join("/")
}
