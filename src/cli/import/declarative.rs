//! The declarative files of Kong and APISIX, in YAML or JSON, which is YAML as well. What is not about keys is passed over.

use std::io::BufRead;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_saphyr::Spanned;
use zeroize::Zeroizing;

use crate::error::{Error, Outcome};
use crate::import::imported_row::ImportedRow;
use crate::import::{Draft, Each, Read, lines};
use crate::time::When;

#[derive(Deserialize)]
struct Kong {
    #[serde(default)]
    consumers: Vec<KongConsumer>,
    /// The flat form: each names its consumer.
    #[serde(default)]
    keyauth_credentials: Vec<KongKey>,
}

#[derive(Deserialize)]
struct KongConsumer {
    username: Option<String>,
    custom_id: Option<String>,
    #[serde(default)]
    keyauth_credentials: Vec<KongKey>,
    #[serde(default)]
    acls: Vec<KongGroup>,
}

#[derive(Deserialize)]
struct KongKey {
    key: Spanned<String>,
    consumer: Option<String>,
    created_at: Option<u64>,
    /// Seconds from its creation on.
    ttl: Option<u64>,
}

#[derive(Deserialize)]
struct KongGroup {
    group: String,
}

/// Kong: the consumer is the subject, its ACL groups are the scopes.
pub(super) fn read_kong(input: impl BufRead, each: &mut Each<'_>) -> Outcome<()> {
    let file: Kong = parse(input, "Kong")?;
    for consumer in &file.consumers {
        let subject = consumer.username.as_deref().or(consumer.custom_id.as_deref());
        for key in &consumer.keyauth_credentials {
            each(key.key.referenced.line(), kong(key, subject, Some(consumer)))?;
        }
    }
    for key in &file.keyauth_credentials {
        let consumer = file.consumers.iter().find(|c| c.username.is_some() && c.username == key.consumer);
        each(key.key.referenced.line(), kong(key, key.consumer.as_deref(), consumer))?;
    }
    Ok(())
}

fn kong(key: &KongKey, subject: Option<&str>, consumer: Option<&KongConsumer>) -> Read {
    let mut imported = ImportedRow::default();
    imported.set("key", &key.key.value)?;
    imported.set("subject", subject.unwrap_or_default())?;
    if let Some(consumer) = consumer {
        if let Some(id) = consumer.custom_id.as_deref().filter(|_| consumer.username.is_some()) {
            imported.set("meta.custom_id", id)?;
        }
        if !consumer.acls.is_empty() {
            imported.set_list("scopes", consumer.acls.iter().map(|acl| acl.group.clone()).collect());
        }
    }
    if let Some(created) = key.created_at {
        imported.set("created", &created.to_string())?;
    }
    match (key.ttl.filter(|ttl| *ttl > 0), key.created_at) {
        (None, _) => {}
        (Some(ttl), Some(created)) => imported.set("not_after", &created.saturating_add(ttl).to_string())?,
        (Some(ttl), None) => {
            let span = format!("{ttl}s").parse().map_err(|_| "has a `ttl` that is no length of time")?;
            imported.set_end(When::In(span));
        }
    }
    Ok(Draft::Imported(Box::new(imported)))
}

#[derive(Deserialize)]
struct Apisix {
    #[serde(default)]
    consumers: Vec<ApisixConsumer>,
}

/// A consumer, or (by the name `<consumer>/credentials/<id>`) one of its credentials, which stand in the same list.
#[derive(Deserialize)]
struct ApisixConsumer {
    username: Option<String>,
    id: Option<String>,
    #[serde(default)]
    plugins: ApisixPlugins,
    #[serde(default)]
    credentials: Vec<ApisixCredential>,
}

/// As APISIX has it (`plugins`), or as its command-line tool ADC does (`type`, `config`).
#[derive(Deserialize)]
struct ApisixCredential {
    #[serde(default)]
    plugins: ApisixPlugins,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    config: Option<ApisixKeyAuth>,
}

#[derive(Default, Deserialize)]
struct ApisixPlugins {
    #[serde(rename = "key-auth")]
    key_auth: Option<ApisixKeyAuth>,
}

#[derive(Deserialize)]
struct ApisixKeyAuth {
    // Absent in the config of another plugin's credential.
    key: Option<Spanned<String>>,
}

/// APISIX: the consumer is the subject.
pub(super) fn read_apisix(input: impl BufRead, each: &mut Each<'_>) -> Outcome<()> {
    let file: Apisix = parse(input, "APISIX")?;
    for consumer in &file.consumers {
        let of_credential = consumer.id.as_deref().and_then(|id| Some(id.split_once("/credentials/")?.0));
        let subject = consumer.username.as_deref().or(of_credential).unwrap_or_default();
        let of_adc = |credential: &ApisixCredential| credential.kind.as_deref() == Some("key-auth");
        let further = consumer.credentials.iter().flat_map(|credential| {
            let config = credential.config.as_ref().filter(|_| of_adc(credential));
            [credential.plugins.key_auth.as_ref(), config]
        });
        let all = std::iter::once(consumer.plugins.key_auth.as_ref()).chain(further);
        for key in all.flatten().filter_map(|plugin| plugin.key.as_ref()) {
            let mut imported = ImportedRow::default();
            let set = imported.set("key", &key.value).and_then(|()| imported.set("subject", subject));
            each(key.referenced.line(), set.map(|()| Draft::Imported(Box::new(imported))))?;
        }
    }
    Ok(())
}

fn parse<T: DeserializeOwned>(mut input: impl BufRead, whose: &str) -> Outcome<T> {
    let mut text = Zeroizing::new(String::new());
    input.read_to_string(&mut text).map_err(|e| lines::unreadable(&e))?;
    // A million keys; the parser's own bounds are for settings. Aliases stay bounded: they could grow without end.
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 100_000_000,
            max_nodes: 50_000_000,
            max_total_scalar_bytes: 1 << 30,
        },
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(&text, options).map_err(|e| {
        let place = e.location().map(|at| format!(" (line {})", at.line())).unwrap_or_default();
        // Not the parser's own words: they repeat what stands there.
        Error::failed(
            format!("the source is not a declarative file of {whose}'s{place}"),
            format!("export it anew from {whose}; keys are strings, so one of digits alone stands in quotes"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::{read_apisix, read_kong};
    use crate::error::Outcome;
    use crate::import::{Each, Rules};
    use keygate_core::key::KeyPrefix;
    use keygate_core::key::pepper::Pepper;
    use keygate_core::time::UnixSeconds;
    use proptest::prelude::proptest;

    /// Line, subject, scopes, end of each key; or the problem.
    fn read(text: &str, reader: fn(&[u8], &mut Each<'_>) -> Outcome<()>) -> Outcome<Vec<String>> {
        let rules = Rules {
            prefix: "acme_live".parse::<KeyPrefix>().unwrap(),
            pepper: Some("0123456789abcdefghijklmnopqrstuvwxyzABCDEFG".parse::<Pepper>().unwrap()),
            now: UnixSeconds::new(1000).unwrap(),
            allow_weak: false,
            subject: None,
            scopes: Vec::new(),
            plan: None,
            expires: None,
        };
        let mut found = Vec::new();
        reader(text.as_bytes(), &mut |line, read| {
            found.push(match read.and_then(|draft| draft.candidate(&rules)) {
                Ok(made) => {
                    let scopes: Vec<_> =
                        made.record.scopes.as_slice().iter().map(ToString::to_string).collect();
                    let end = made.record.not_after.map_or(0, UnixSeconds::seconds);
                    format!("{line} {} {scopes:?} {end}", made.record.subject)
                }
                Err(problem) => format!("{line} {problem}"),
            });
            Ok(())
        })?;
        Ok(found)
    }

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
        let found = read(text, |input, each| read_kong(input, each)).unwrap();
        let expected = [
            "8 acme [\"read\"] 1060",
            "10 acme [\"read\"] 560",
            "16 flat [] 0",
            "17 has no `subject`; `--subject` names one for all that have none",
            "19 is a reference to a secret, not a key; put the key in its place",
        ];
        assert_eq!(found, expected);
        let json =
            r#"{"consumers":[{"username":"a","keyauth_credentials":[{"key":"Zk3vQ9xLr2K7hVbT1mWc"}]}]}"#;
        assert_eq!(read(json, |input, each| read_kong(input, each)).unwrap(), ["1 a [] 0"]);
    }

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
        let found = read(text, |input, each| read_apisix(input, each)).unwrap();
        assert_eq!(found, ["4 jack [] 0", "7 jill [] 0", "10 adc [] 0"]);
    }

    #[test]
    fn a_file_of_another_form_is_refused_by_line_without_repeating_it() {
        for bad in [
            "consumers: {canary: 1}",
            "consumers:\n- username: [canary]",
            "consumers: [",
            "consumers:\n- keyauth_credentials: [{key: [canary]}]",
        ] {
            let error = read(bad, |input, each| read_kong(input, each)).unwrap_err().to_string();
            assert!(
                error.contains("not a declarative file of Kong's") && !error.contains("canary"),
                "{error}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_file_makes_the_readers_panic(text in "(consumers|username|key|keyauth_credentials|plugins|key-auth|[-:\\[\\]{}&*!|>'\"\n ]|.){0,40}") {
            let _ = read(&text, |input, each| read_kong(input, each));
            let _ = read(&text, |input, each| read_apisix(input, each));
        }
    }
}
