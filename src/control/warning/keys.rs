//! Finds out what there is to tell.

use keygate_core::key::{KV_NAME_PREFIX, KeyId};
use keygate_core::record::Record;
use keygate_core::time::UnixSeconds;
use keygate_core::usage::{AnomalyReport, Hour, LastUsesReport};
use keygate_core::warning::{Findings, KeyFacts, Settings, Warning};
use serde::de::DeserializeOwned;
use worker::kv::{Key, KvStore};
use worker::{Env, Error, Method, Request, RequestInit, Result};

/// So many records are read at most, of entries without the metadata that the CLI writes. A listing of 1,000 keys is one call, and an
/// invocation may make 1,000 calls: there is room for 800,000 keys.
const READS_MAX: usize = 200;

/// What there is to tell about all keys; `None`: nothing.
///
/// # Errors
/// KV or the usage object failed.
pub(super) async fn find(env: &Env, settings: &Settings, now: UnixSeconds) -> Result<Option<Warning>> {
    let anomalies: AnomalyReport = ask(env, Method::Post, "https://usage/anomalies").await?;
    let last_uses = match settings.unused_days {
        0 => LastUsesReport::default(),
        _ => ask(env, Method::Get, "https://usage/last-uses").await?,
    };
    let keys = env.kv("KEYS").map_err(|error| {
        Error::RustError(format!("the KV namespace KEYS is not bound; bind it as the gate does: {error}"))
    })?;
    let mut findings = Findings::new(settings, last_uses, now);
    let (mut cursor, mut reads) = (None::<String>, 0);
    loop {
        let page = keys.list().prefix(KV_NAME_PREFIX.to_owned());
        let page = match cursor.take() {
            Some(cursor) => page.cursor(cursor),
            None => page,
        };
        let page = page.execute().await?;
        for key in page.keys {
            let Some(id) = key.name.strip_prefix(KV_NAME_PREFIX).and_then(|id| id.parse().ok()) else {
                continue;
            };
            let facts = match metadata(&key) {
                None if reads < READS_MAX => {
                    reads += 1;
                    record(&keys, &key.name, id).await?
                }
                facts => facts,
            };
            match facts {
                Some(facts) => findings.add(id, facts),
                None => findings.add_unread(),
            }
        }
        cursor = page.cursor.filter(|_| !page.list_complete);
        if cursor.is_none() {
            return Ok(findings.warning(settings.gate.clone(), anomalies, Hour::of(now).day()));
        }
    }
}

fn metadata(key: &Key) -> Option<KeyFacts> {
    serde_json::from_value(key.metadata.clone()?).ok()
}

async fn record(keys: &KvStore, name: &str, id: KeyId) -> Result<Option<KeyFacts>> {
    let value = keys.get(name).text().await?;
    Ok(value.and_then(|value| Record::parse_entry(id, &value).ok()).map(KeyFacts::from))
}

async fn ask<T: DeserializeOwned>(env: &Env, method: Method, url: &str) -> Result<T> {
    let object = env.durable_object("KEY_USAGE")?.get_by_name("usage")?;
    let mut init = RequestInit::new();
    init.with_method(method);
    let mut response = object.fetch_with_request(Request::new_with_init(url, &init)?).await?;
    if response.status_code() != 200 {
        return Err(Error::RustError(format!("the usage object answered {}", response.status_code())));
    }
    response.json().await
}
