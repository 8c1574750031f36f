//! Kong's declarative files: of decK, of DB-less mode, and of `kong config db_export`. What is not about keys is passed over.

mod names;
mod unknown;

use std::collections::{BTreeSet, HashMap};

use keygate_core::time::UnixSeconds;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_saphyr::{Location, Spanned};

use crate::error::Outcome;
use crate::import::imported_row::{ImportedRow, restriction};
use crate::import::kong::names::{Names, Reference, unknown_consumer};
use crate::import::place::Layout;
use crate::import::shape::System;
use crate::import::{Draft, Each, Options, Read, yaml};
use crate::time::When;

const CREDENTIALS: &str = "keyauth_credentials";

/// Entities nest below the consumer (decK), or stand apart and name it (`db_export`).
#[derive(Deserialize)]
struct Kong {
    consumers: Option<Vec<Spanned<Consumer>>>,
    keyauth_credentials: Option<Vec<Credential>>,
    /// Of the plugin key-auth-enc.
    keyauth_enc_credentials: Option<Spanned<IgnoredAny>>,
    acls: Option<Vec<Group>>,
    plugins: Option<Vec<Plugin>>,
    services: Option<Vec<WithPlugins>>,
    routes: Option<Vec<WithPlugins>>,
    consumer_groups: Option<Vec<ConsumerGroup>>,
    consumer_group_consumers: Option<Vec<Member>>,
    /// `false` in what `kong config db_export` writes.
    #[serde(rename = "_transform")]
    transform: Option<bool>,
    #[serde(flatten)]
    #[expect(clippy::zero_sized_map_values, reason = "serde flattens into maps")]
    others: HashMap<String, IgnoredAny>,
}

#[derive(Deserialize)]
struct Consumer {
    id: Option<String>,
    username: Option<String>,
    custom_id: Option<String>,
    keyauth_credentials: Option<Vec<Credential>>,
    keyauth_enc_credentials: Option<Spanned<IgnoredAny>>,
    acls: Option<Vec<Group>>,
    plugins: Option<Vec<Plugin>>,
    /// Consumer groups, which may have plugins of their own.
    groups: Option<Vec<IgnoredAny>>,
    #[serde(flatten)]
    #[expect(clippy::zero_sized_map_values, reason = "serde flattens into maps")]
    others: HashMap<String, IgnoredAny>,
}

/// A service, which may have routes, or a route.
#[derive(Deserialize)]
struct WithPlugins {
    plugins: Option<Vec<Plugin>>,
    routes: Option<Vec<WithPlugins>>,
}

#[derive(Deserialize)]
struct ConsumerGroup {
    consumers: Option<Vec<Spanned<Consumer>>>,
}

/// Of `db_export`: which consumer is in a group.
#[derive(Deserialize)]
struct Member {
    consumer: Option<Reference>,
}

/// `kong/plugins/key-auth/daos.lua`. A field that it does not have may restrict the key, and is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Credential {
    key: Spanned<String>,
    consumer: Option<Reference>,
    created_at: Option<u64>,
    ttl: Option<u64>,
    #[serde(rename = "id")]
    _id: Option<IgnoredAny>,
    #[serde(rename = "tags")]
    _tags: Option<IgnoredAny>,
    #[serde(rename = "updated_at")]
    _updated_at: Option<IgnoredAny>,
    #[serde(rename = "ws_id")]
    _workspace: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Group {
    group: Spanned<String>,
    consumer: Option<Reference>,
}

#[derive(Deserialize)]
struct Plugin {
    name: Spanned<String>,
    consumer: Option<Reference>,
    enabled: Option<bool>,
}

/// A consumer, and all that the file says of it.
struct Holder<'k> {
    consumer: &'k Consumer,
    groups: Vec<&'k str>,
    /// The plugins that hold for it alone, and its consumer groups.
    restrictions: Vec<&'k str>,
    /// Whether another consumer has the same name, so that their keys would have one subject.
    is_namesake: bool,
}

/// Reads keys: the consumer is the subject, its ACL groups are the scopes.
pub(super) fn read(text: &[u8], options: &Options, each: &mut Each<'_>) -> Outcome<()> {
    let file: Kong = yaml::parse(text, System::Kong)?;
    let layout = Layout::of(text);
    let mut each = |at: Location, read| each(layout.at(at), read);
    let consumers = file.consumers.as_deref().unwrap_or_default();
    unknown::refuse_list(&file, options)?;
    let names = Names::new(consumers);
    let mut holders = holders(consumers);
    for group in file.acls.iter().flatten() {
        match names.one(group.consumer.as_ref(), "acls") {
            Ok(at) => {
                holders.get_mut(at).into_iter().for_each(|holder| holder.groups.push(&group.group.value));
            }
            Err(problem) => each(group.group.referenced, Err(problem))?,
        }
    }
    for plugin in file.plugins().filter(|plugin| plugin.enabled != Some(false)) {
        let Some(reference) = &plugin.consumer else { continue };
        let meant = names.meant(reference);
        if meant.is_empty() {
            each(plugin.name.referenced, Err(unknown_consumer("plugins")))?;
        }
        restrict(&mut holders, meant, &plugin.name.value);
    }
    let mut count = 0_u64;
    let of_groups = file.consumer_groups.iter().flatten().flat_map(|group| group.consumers.iter().flatten());
    for member in of_groups.clone().chain(consumers) {
        for problem in unknown::fields(&member.value, options) {
            count += 1;
            each(member.referenced, Err(problem))?;
        }
    }
    for member in of_groups {
        let member = &member.value;
        let meant = names.all(member.id.as_deref(), member.username.as_deref());
        restrict(&mut holders, meant, "consumer_groups");
        for key in member.keyauth_credentials.iter().flatten() {
            count += 1;
            let problem = "stands in `consumer_groups`; write it below its consumer in `consumers`";
            each(key.key.referenced, Err(problem.to_owned()))?;
        }
    }
    for reference in
        file.consumer_group_consumers.iter().flatten().filter_map(|member| member.consumer.as_ref())
    {
        restrict(&mut holders, names.meant(reference), "consumer_groups");
    }
    let of_consumers = consumers.iter().map(|consumer| &consumer.value.keyauth_enc_credentials);
    for encrypted in of_consumers.chain([&file.keyauth_enc_credentials]).flatten() {
        count += 1;
        let problem = "has `keyauth_enc_credentials`, whose keys may be encrypted; write those that are not as `keyauth_credentials`";
        each(encrypted.referenced, Err(problem.to_owned()))?;
    }
    for (at, holder) in holders.iter().enumerate() {
        for group in holder.consumer.acls.iter().flatten() {
            if let Err(problem) = names.check_nested(group.consumer.as_ref(), at, "acls") {
                each(group.group.referenced, Err(problem))?;
            }
        }
        for plugin in holder.consumer.plugins.iter().flatten() {
            if let Err(problem) = names.check_nested(plugin.consumer.as_ref(), at, "plugins") {
                each(plugin.name.referenced, Err(problem))?;
            }
        }
        for key in holder.consumer.keyauth_credentials.iter().flatten() {
            count += 1;
            let is_own = names.check_nested(key.consumer.as_ref(), at, CREDENTIALS);
            each(key.key.referenced, is_own.and_then(|()| draft(key, holder, &file, options)))?;
        }
    }
    for key in file.keyauth_credentials.iter().flatten() {
        count += 1;
        let read = match &key.consumer {
            None => without_consumer(key, &file, options),
            reference => names.one(reference.as_ref(), CREDENTIALS).and_then(|at| {
                let holder = holders.get(at).ok_or_else(|| unknown_consumer(CREDENTIALS))?;
                draft(key, holder, &file, options)
            }),
        };
        each(key.key.referenced, read)?;
    }
    if count == 0 { Err(yaml::without_keys(text, System::Kong)) } else { Ok(()) }
}

fn restrict<'k>(holders: &mut [Holder<'k>], meant: BTreeSet<usize>, name: &'k str) {
    for at in meant {
        holders.get_mut(at).into_iter().for_each(|holder| holder.restrictions.push(name));
    }
}

impl Kong {
    /// All plugins that may name a consumer.
    fn plugins(&self) -> impl Iterator<Item = &Plugin> {
        let services = self.services.iter().flatten();
        let routes = services.clone().flat_map(|service| service.routes.iter().flatten());
        let with_plugins = services.chain(routes).chain(self.routes.iter().flatten());
        self.plugins.iter().chain(with_plugins.filter_map(|owner| owner.plugins.as_ref())).flatten()
    }
}

impl Consumer {
    fn subject(&self) -> Option<&str> {
        self.username.as_deref().or(self.custom_id.as_deref()).map(str::trim_ascii)
    }
}

fn holders(consumers: &[Spanned<Consumer>]) -> Vec<Holder<'_>> {
    let consumers = consumers.iter().map(|consumer| &consumer.value);
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for subject in consumers.clone().filter_map(Consumer::subject) {
        *counts.entry(subject).or_default() += 1;
    }
    let holders = consumers.map(|consumer| {
        let groups = consumer.acls.iter().flatten().map(|acl| acl.group.value.as_str()).collect();
        let plugins = consumer.plugins.iter().flatten().filter(|plugin| plugin.enabled != Some(false));
        let mut restrictions: Vec<&str> = plugins.map(|plugin| plugin.name.value.as_str()).collect();
        if consumer.groups.as_ref().is_some_and(|groups| !groups.is_empty()) {
            restrictions.push("groups");
        }
        let namesakes = consumer.subject().and_then(|subject| counts.get(subject));
        let is_namesake = namesakes.is_some_and(|count| *count > 1);
        Holder { consumer, groups, restrictions, is_namesake }
    });
    holders.collect()
}

fn draft(key: &Credential, holder: &Holder<'_>, file: &Kong, options: &Options) -> Read {
    if holder.is_namesake {
        return Err("belongs to a consumer whose name, which becomes the subject, another consumer of this file has too; give one another `username`".to_owned());
    }
    if let Some(restricting) = holder.restrictions.iter().find(|name| !options.ignores(name)) {
        return Err(restriction(restricting));
    }
    let consumer = holder.consumer;
    let mut imported = key_alone(key, file, options)?;
    imported.set("subject", consumer.subject().unwrap_or_default())?;
    if let Some(id) = consumer.custom_id.as_deref().filter(|_| consumer.username.is_some()) {
        imported.set("meta.custom_id", id)?;
    }
    if !holder.groups.is_empty() {
        imported.set_list("scopes", holder.groups.iter().map(|group| (*group).to_owned()).collect())?;
    }
    Ok(Draft::Imported(Box::new(imported)))
}

fn without_consumer(key: &Credential, file: &Kong, options: &Options) -> Read {
    key_alone(key, file, options).map(|imported| Draft::Imported(Box::new(imported)))
}

fn key_alone(key: &Credential, file: &Kong, options: &Options) -> Result<ImportedRow, String> {
    let mut imported = ImportedRow::default();
    imported.set("key", &key.key.value)?;
    if let Some(created) = key.created_at {
        let created = UnixSeconds::new(created).ok_or("`created_at` is no time in Unix seconds")?;
        imported.set_time("created", When::At(created))?;
    }
    if let Some(end) = end(key, file, options)? {
        imported.set_time("not_after", When::At(end))?;
    }
    Ok(imported)
}

/// When the key expires.
///
/// `ttl` is stored as the time at which the key expires (`get_ttl_value` in `kong/db/strategies/postgres/init.lua`). It is written in three
/// ways. A request that creates the key has the seconds from `created_at` on; so has a file that is written by hand for decK. What reads
/// the database gets the seconds that remain: the Admin API, so `deck gateway dump`, and `kong config db_export` up to Kong 3.4.0. From
/// 3.4.1 and 3.5.0 on `db_export` writes the time itself (Kong/kong pull request 11464). A number of seconds is at most 100,000,000
/// (`DAO_MAX_TTL` in `kong/constants.lua`), so a time is never taken for one. 0 is less than a second that remained, or by hand no `ttl`.
fn end(key: &Credential, file: &Kong, options: &Options) -> Result<Option<UnixSeconds>, String> {
    const TTL_MAX: u64 = 100_000_000;
    let Some(ttl) = key.ttl else { return Ok(None) };
    if ttl > TTL_MAX {
        return UnixSeconds::new(ttl).map(Some).ok_or_else(|| "has a `ttl` that is no time".to_owned());
    }
    if let Some(exported_at) = options.exported_at {
        return Ok(Some(exported_at.plus(ttl)));
    }
    if ttl == 0 {
        return Err("has the `ttl` 0: the key ended as the file was written, which `--exported-at` says when, or it has none; then remove it".to_owned());
    }
    let is_export = file.transform == Some(false);
    let created = key.created_at.filter(|_| !is_export).and_then(UnixSeconds::new);
    created.map(|created| Some(created.plus(ttl))).ok_or_else(|| {
        "has a `ttl` of seconds that remained when the file was written, and the file does not say when: give that time with `--exported-at`".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use crate::import::tests::{found, read_as};
    use crate::import::{Format, Options};
    use keygate_core::time::UnixSeconds;
    use proptest::prelude::{prop_assert, proptest};

    #[test]
    fn kong_in_both_of_its_forms() {
        let text = "_format_version: '3.0'
services: [{name: x, url: 'http://x'}]
consumers:
- username: acme
  custom_id: '7'
  acls: [{group: read}]
  keyauth_credentials:
  - key: Zk3vQ9xLr2K7hVbT1mWc
    ttl: 60
  - key: Yk3vQ9xLr2K7hVbT1mWc
    created_at: 500
    ttl: 60
- username: flat
keyauth_credentials:
- consumer: flat
  key: Xk3vQ9xLr2K7hVbT1mWc
- key: Wk3vQ9xLr2K7hVbT1mWc
- consumer: flat
  key: '{vault://env/key}'
";
        let exported_at = |seconds| Options { exported_at: UnixSeconds::new(seconds), ..Options::default() };
        let expected = [
            "8 acme [\"read\"] 1060",
            "10 acme [\"read\"] 1060",
            "16 flat [] 0",
            "17 has no `subject`; `--subject` names one for all that have none",
            "19 the key is a reference to a secret (`{vault://…}` of Kong), not a key; resolve it first",
        ];
        assert_eq!(found(Format::Kong, text, &exported_at(1000)).unwrap(), expected);
        let without_time = read_as(Format::Kong, text).unwrap().join("\n");
        assert!(without_time.starts_with("8 has a `ttl` of seconds that remained"), "{without_time}");
        assert!(without_time.contains("\n10 acme [\"read\"] 560\n"), "{without_time}");
        let json =
            r#"{"consumers":[{"username":"a","keyauth_credentials":[{"key":"Zk3vQ9xLr2K7hVbT1mWc"}]}]}"#;
        assert_eq!(read_as(Format::Kong, json).unwrap(), ["1 a [] 0"]);
    }

    #[test]
    fn a_file_of_another_form_is_refused_by_line_without_repeating_it() {
        for bad in [
            "consumers: {canary: 1}",
            "consumers:\n- username: [canary]",
            "consumers: [",
            "consumers:\n- keyauth_credentials: [{key: [canary]}]",
        ] {
            let error = read_as(Format::Kong, bad).unwrap_err().to_string();
            assert!(
                error.contains("not a declarative file of Kong's") && !error.contains("canary"),
                "{error}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_ttl_never_extends_a_key_beyond_what_kong_stores(ttl in 1..4_000_000_000_u64, created in 0..2_000_000_000_u64) {
            let text = format!(
                "_transform: false\nconsumers:\n- username: a\n  keyauth_credentials: [{{key: Zk3vQ9xLr2K7hVbT1mWc, created_at: {created}, ttl: {ttl}}}]\n"
            );
            let found = read_as(Format::Kong, &text).unwrap().join("");
            let is_time = found.ends_with(&format!(" {ttl}"));
            prop_assert!(is_time == (ttl > 100_000_000), "{}", found);
            prop_assert!(is_time || found.contains("--exported-at"), "{}", found);
        }

        #[test]
        fn no_file_makes_the_readers_panic(text in "(consumers|username|key|keyauth_credentials|plugins|key-auth|list|value|[-:\\[\\]{}&*!|>'\"\n ]|.){0,40}") {
            let _ = read_as(Format::Kong, &text);
            let _ = read_as(Format::Apisix, &text);
        }
    }
}
