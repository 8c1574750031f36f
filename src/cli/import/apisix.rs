//! APISIX's declarative files, those of its tool ADC, and the answers of its Admin API. What is not about keys is passed over.

use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_saphyr::Spanned;

use crate::error::Outcome;
use crate::import::imported_row::{ImportedRow, restriction};
use crate::import::shape::System;
use crate::import::{Draft, Each, Options, Read, yaml};

const KEY_AUTH: &str = "key-auth";
/// Plugins by which a consumer has credentials of another kind; they restrict nothing.
const OTHER_CREDENTIALS: [&str; 7] =
    ["basic-auth", "hmac-auth", "jwe-decrypt", "jwt-auth", "ldap-auth", "wolf-rbac", "multi-auth"];

#[derive(Deserialize)]
struct Apisix {
    consumers: Option<Vec<Consumer>>,
    /// Of the Admin API.
    list: Option<Vec<Listed>>,
}

/// An element of the Admin API's list: `key` is the path in etcd, `/apisix/consumers/<consumer>/credentials/<id>`.
#[derive(Deserialize)]
struct Listed {
    key: Option<String>,
    value: Consumer,
}

/// A consumer, or (by the name `<consumer>/credentials/<id>`) one of its credentials, which stand in the same list.
#[derive(Deserialize)]
struct Consumer {
    username: Option<String>,
    id: Option<String>,
    plugins: Option<Plugins>,
    credentials: Option<Vec<Credential>>,
    /// A consumer group has plugins of its own.
    group_id: Option<IgnoredAny>,
}

/// As APISIX has it (`plugins`), or as ADC does (`type`, `config`).
#[derive(Deserialize)]
struct Credential {
    plugins: Option<Plugins>,
    #[serde(rename = "type")]
    kind: Option<String>,
    config: Option<Config>,
}

/// The plugins of a consumer or a credential.
#[derive(Default)]
struct Plugins {
    key_auth: Option<Config>,
    /// The names of those that are neither disabled nor about credentials.
    restricting: Vec<String>,
}

#[derive(Deserialize)]
struct Config {
    // Absent in the config of another plugin's credential.
    key: Option<Spanned<String>>,
}

#[derive(Deserialize)]
struct OtherConfig {
    #[serde(rename = "_meta")]
    meta: Option<Meta>,
}

#[derive(Deserialize)]
struct Meta {
    disable: Option<bool>,
}

impl<'de> Deserialize<'de> for Plugins {
    fn deserialize<D: Deserializer<'de>>(plugins: D) -> Result<Self, D::Error> {
        struct ByName;
        impl<'de> Visitor<'de> for ByName {
            type Value = Plugins;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("plugins by name")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut plugins: M) -> Result<Plugins, M::Error> {
                let mut found = Plugins::default();
                while let Some(name) = plugins.next_key::<String>()? {
                    if name == KEY_AUTH {
                        found.key_auth = plugins.next_value()?;
                        continue;
                    }
                    let config: Option<OtherConfig> = plugins.next_value()?;
                    let is_disabled =
                        config.and_then(|config| config.meta?.disable).is_some_and(|disabled| disabled);
                    if !is_disabled && !OTHER_CREDENTIALS.contains(&name.as_str()) {
                        found.restricting.push(name);
                    }
                }
                Ok(found)
            }
        }
        plugins.deserialize_map(ByName)
    }
}

/// Reads keys: the consumer is the subject.
pub(super) fn read(text: &[u8], options: &Options, each: &mut Each<'_>) -> Outcome<()> {
    let file: Apisix = yaml::parse(text, System::Apisix)?;
    let mut count = 0_u64;
    let consumers = file.consumers.iter().flatten().map(|consumer| (consumer, consumer.id.as_deref()));
    let listed = file.list.iter().flatten().map(|listed| (&listed.value, listed.key.as_deref()));
    let all: Vec<_> = consumers.chain(listed).collect();
    // What restricts a consumer stands at it alone, and holds for its credentials elsewhere in the list too.
    let restricted: HashMap<&str, &str> = all
        .iter()
        .filter_map(|(consumer, _)| Some((consumer.username.as_deref()?, restriction_of(consumer, options)?)))
        .collect();
    for (consumer, path) in &all {
        let of_credential = path.and_then(|path| {
            let consumer = path.split_once("/credentials/")?.0;
            Some(consumer.rsplit('/').next().unwrap_or(consumer))
        });
        let subject = consumer.username.as_deref().or(of_credential).unwrap_or_default();
        let restricting = restriction_of(consumer, options).or_else(|| restricted.get(subject).copied());
        for key in consumer.keys() {
            count += 1;
            each(key.referenced.line(), draft(key, subject, restricting))?;
        }
    }
    if count == 0 { Err(yaml::without_keys(text, System::Apisix)) } else { Ok(()) }
}

impl Consumer {
    fn keys(&self) -> impl Iterator<Item = &Spanned<String>> {
        let own = self.plugins.as_ref().and_then(|plugins| plugins.key_auth.as_ref());
        let further = self.credentials.iter().flatten().flat_map(|credential| {
            let of_adc = credential.config.as_ref().filter(|_| credential.kind.as_deref() == Some(KEY_AUTH));
            [credential.plugins.as_ref().and_then(|plugins| plugins.key_auth.as_ref()), of_adc]
        });
        std::iter::once(own).chain(further).flatten().filter_map(|config| config.key.as_ref())
    }
}

fn restriction_of<'c>(consumer: &'c Consumer, options: &Options) -> Option<&'c str> {
    let plugins = consumer.plugins.iter().flat_map(|plugins| &plugins.restricting).map(String::as_str);
    let group = consumer.group_id.as_ref().map(|_| "group_id");
    plugins.chain(group).find(|name| !options.ignores(name))
}

fn draft(key: &Spanned<String>, subject: &str, restricting: Option<&str>) -> Read {
    if let Some(restricting) = restricting {
        return Err(restriction(restricting));
    }
    let mut imported = ImportedRow::default();
    imported.set("key", &key.value)?;
    imported.set("subject", subject)?;
    Ok(Draft::Imported(Box::new(imported)))
}

#[cfg(test)]
mod tests {
    use crate::import::tests::{found, read_as};
    use crate::import::{Format, Options};

    #[test]
    fn apisix_with_keys_of_consumers_and_of_credentials() {
        let text = "consumers:
- username: jack
  plugins:
    key-auth: {key: Zk3vQ9xLr2K7hVbT1mWc}
    limit-count: {count: 2}
- id: jill/credentials/one
  plugins: {key-auth: {key: Yk3vQ9xLr2K7hVbT1mWc}}
- username: adc
  credentials:
  - {name: a, type: key-auth, config: {key: Xk3vQ9xLr2K7hVbT1mWc}}
  - {name: b, type: jwt-auth, config: {key: Wk3vQ9xLr2K7hVbT1mWc}}
  - {name: c, type: basic-auth, config: {username: u}}
#END
";
        let mut ignoring = Options::default();
        ignoring.ignored.push("limit-count".to_owned());
        let found = found(Format::Apisix, text, &ignoring).unwrap();
        assert_eq!(found, ["4 jack [] 0", "7 jill [] 0", "10 adc [] 0"]);
        assert!(
            read_as(Format::Apisix, text)
                .unwrap()
                .join("")
                .contains("4 has `limit-count`, which restricts the key")
        );
    }
}
