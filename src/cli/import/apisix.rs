//! APISIX's declarative files, those of its tool ADC, and the answers of its Admin API. What is not about keys is passed over.

use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_saphyr::Spanned;

use crate::error::Outcome;
use crate::import::imported_row::{ImportedRow, restriction};
use crate::import::place::Layout;
use crate::import::shape::System;
use crate::import::{Draft, Each, Options, Read, yaml};

const KEY_AUTH: &str = "key-auth";
/// Plugins by which a consumer has credentials of another kind; they restrict nothing.
const OTHER_CREDENTIALS: [&str; 7] =
    ["basic-auth", "hmac-auth", "jwe-decrypt", "jwt-auth", "ldap-auth", "wolf-rbac", "multi-auth"];

#[derive(Deserialize)]
struct Apisix {
    consumers: Option<Vec<Consumer>>,
    consumer_groups: Option<Vec<ConsumerGroup>>,
    /// Of the Admin API.
    list: Option<Vec<Listed>>,
    /// How many elements the list has in all its pages.
    total: Option<usize>,
}

/// A consumer group of ADC, with plugins of its own.
#[derive(Deserialize)]
struct ConsumerGroup {
    consumers: Option<Vec<Consumer>>,
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

/// A consumer or a credential, where the file has it.
struct Found<'f> {
    consumer: &'f Consumer,
    /// `<consumer>/credentials/<id>`, perhaps after other folders.
    path: Option<&'f str>,
    is_in_group: bool,
}

/// A key, and what restricts it alone.
struct Key<'f> {
    text: &'f Spanned<String>,
    credential: Option<&'f Credential>,
}

/// Reads keys: the consumer is the subject.
pub(super) fn read(text: &[u8], options: &Options, each: &mut Each<'_>) -> Outcome<()> {
    let file: Apisix = yaml::parse(text, System::Apisix)?;
    let layout = Layout::of(text);
    let found = |consumer, path, is_in_group| Found { consumer, path, is_in_group };
    let consumers = file.consumers.iter().flatten().map(|c| found(c, c.id.as_deref(), false));
    let listed = file.list.iter().flatten().map(|listed| found(&listed.value, listed.key.as_deref(), false));
    let groups = file.consumer_groups.iter().flatten().flat_map(|group| group.consumers.iter().flatten());
    let all: Vec<Found<'_>> = consumers.chain(listed).chain(groups.map(|c| found(c, None, true))).collect();
    // What restricts a consumer stands at it alone, and holds for its credentials elsewhere in the list too.
    let mut restricted: HashMap<&str, Option<&str>> = HashMap::new();
    for found in &all {
        if let Some(name) = found.consumer.username.as_deref() {
            let restricting = restricted.entry(name).or_default();
            *restricting = restricting.or_else(|| found.restriction(options));
        }
    }
    let mut count = 0_u64;
    for found in &all {
        let subject = found.consumer.username.as_deref().or(found.of_credential()).unwrap_or_default();
        let of_consumer = restricted.get(subject).copied();
        let is_alone =
            found.of_credential().is_some() && of_consumer.is_none() && !options.ignores("consumers");
        let restricting = found.restriction(options).or(of_consumer.flatten());
        for key in found.consumer.keys() {
            count += 1;
            let read = if is_alone {
                Err("belongs to a consumer that is not in the source and may have plugins; add `/apisix/admin/consumers` (see docs/migration.md), or `--ignore consumers` imports the key without them".to_owned())
            } else {
                draft(key.text, subject, restricting.or_else(|| key.restriction(options)))
            };
            each(layout.at(key.text.referenced), read)?;
        }
    }
    if let Some(total) = file.total.filter(|total| *total > file.list.iter().flatten().count()) {
        count += 1;
        let problem =
            format!("is one page of a list of {total}, and the other pages are not in it; import each page");
        each(1.into(), Err(problem))?;
    }
    if count == 0 { Err(yaml::without_keys(text, System::Apisix)) } else { Ok(()) }
}

impl Consumer {
    fn keys(&self) -> impl Iterator<Item = Key<'_>> {
        let own = self.plugins.as_ref().and_then(|plugins| plugins.key_auth.as_ref());
        let further = self.credentials.iter().flatten().flat_map(|credential| {
            let of_adc = credential.config.as_ref().filter(|_| credential.kind.as_deref() == Some(KEY_AUTH));
            let own = credential.plugins.as_ref().and_then(|plugins| plugins.key_auth.as_ref());
            [own, of_adc].map(|config| (config, Some(credential)))
        });
        std::iter::once((own, None))
            .chain(further)
            .filter_map(|(config, credential)| Some(Key { text: config?.key.as_ref()?, credential }))
    }
}

impl<'f> Found<'f> {
    fn of_credential(&self) -> Option<&'f str> {
        let consumer = self.path?.split_once("/credentials/")?.0;
        Some(consumer.rsplit('/').next().unwrap_or(consumer))
    }

    fn restriction(&self, options: &Options) -> Option<&'f str> {
        let plugins =
            self.consumer.plugins.iter().flat_map(|plugins| &plugins.restricting).map(String::as_str);
        let group = self.consumer.group_id.as_ref().map(|_| "group_id");
        let of_adc = self.is_in_group.then_some("consumer_groups");
        plugins.chain(group).chain(of_adc).find(|name| !options.ignores(name))
    }
}

impl<'f> Key<'f> {
    fn restriction(&self, options: &Options) -> Option<&'f str> {
        let mut plugins = self.credential?.plugins.as_ref()?.restricting.iter().map(String::as_str);
        plugins.find(|name| !options.ignores(name))
    }
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
- username: jill
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
        assert_eq!(found, ["4 jack [] 0", "7 jill [] 0", "11 adc [] 0"]);
        assert!(
            read_as(Format::Apisix, text)
                .unwrap()
                .join("")
                .contains("4 has `limit-count`, which restricts the key")
        );
    }
}
