//! Unkey's keys: answers of its API, objects as its migrations take them, or rows of its table `keys`.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::Outcome;
use crate::import::imported_row::{ImportedRow, check_restriction, restriction};
use crate::import::json::{self, Fields, strings};
use crate::import::values::{is_nothing, javascript_time};
use crate::import::{Draft, Each, Format, Options, Place, Read};

/// What says nothing about who may pass.
const OTHERS: [&str; 29] = [
    "apiId",
    "byteLength",
    "createdAtM",
    "created_at_m",
    "encrypted",
    "environment",
    "forWorkspaceId",
    "for_workspace_id",
    "id",
    "identityId",
    "identity_id",
    "keyAuthId",
    "keyId",
    "key_auth_id",
    "lastRefillAt",
    "lastUsedAt",
    "last_refill_at",
    "last_used_at",
    "meta",
    "ratelimitAsync",
    "ratelimitDuration",
    "ratelimit_async",
    "ratelimit_duration",
    "recoverable",
    "updatedAt",
    "updatedAtM",
    "updated_at_m",
    "workspaceId",
    "workspace_id",
];

/// What restricts a key: counted requests, limits, and roles, whose permissions the object does not have.
const RESTRICTIONS: [&str; 14] = [
    "credits",
    "ratelimit",
    "ratelimits",
    "ratelimitLimit",
    "ratelimit_limit",
    "refill",
    "refillAmount",
    "refillDay",
    "refill_amount",
    "refill_day",
    "remaining",
    "remaining_requests",
    "roles",
    "verifications",
];

/// An answer of the API: `data` and `pagination` (version 2), or `keys`, `total` and `cursor` (version 1).
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, alias = "keys")]
    data: &'a RawValue,
    pagination: Option<Pagination>,
    total: Option<u64>,
    cursor: Option<Value>,
}

#[derive(Deserialize)]
struct Pagination {
    #[serde(rename = "hasMore")]
    has_more: Option<bool>,
    cursor: Option<Value>,
}

impl Answer<'_> {
    /// Whether there are more keys than these.
    fn is_page(&self, count: u64) -> bool {
        let says_so = |cursor: &Option<Value>| cursor.as_ref().is_some_and(|cursor| !is_nothing(cursor));
        match (&self.pagination, self.total) {
            (Some(pagination), _) => pagination.has_more.unwrap_or_else(|| says_so(&pagination.cursor)),
            (None, Some(total)) => total > count,
            (None, None) => says_so(&self.cursor),
        }
    }
}

pub(super) fn read(text: &[u8], options: &Options, each: &mut Each<'_>) -> Outcome<()> {
    json::of_each(text, Format::Unkey, options, &mut |place, object| match object {
        Ok("") => Ok(()),
        Ok(object) => match serde_json::from_str::<Answer<'_>>(object) {
            Ok(answer) if answer.data.get().starts_with('[') => {
                of_answer(place, object, &answer, options, each)
            }
            _ => each(place, draft(object, options)),
        },
        Err(problem) => each(place, Err(problem)),
    })
}

fn of_answer(
    place: Place,
    text: &str,
    answer: &Answer<'_>,
    options: &Options,
    each: &mut Each<'_>,
) -> Outcome<()> {
    let mut count = 0;
    json::of_array(text, answer.data.get(), place.line, &mut |place, object| {
        count += 1;
        each(place, object.and_then(|object| draft(object, options)))
    })?;
    if answer.is_page(count) {
        let problem =
            "is one page of Unkey's answer, and the keys of the other pages are not in it; import each page";
        return each(place, Err(problem.to_owned()));
    }
    Ok(())
}

fn draft(object: &str, options: &Options) -> Read {
    let fields = Fields::parse(object)?;
    if !fields.iter().any(|(name, _)| matches!(name, "plaintext" | "key" | "hash")) {
        return Err("has neither `plaintext` nor `hash`; Unkey gives the plaintext of recoverable keys alone, with `decrypt`".to_owned());
    }
    let mut imported = ImportedRow::default();
    let mut subjects = Vec::new();
    for (name, value) in fields.iter().filter(|(name, _)| !options.ignores(name)) {
        let text = || value.as_str().ok_or_else(|| format!("`{name}` is not a string"));
        match name {
            "plaintext" | "key" => imported.set("key", text()?)?,
            "hash" => imported.set("sha256", hash(value)?)?,
            "externalId" | "ownerId" | "owner_id" => subjects.push(text()?),
            "identity" => subjects.push(identity(value, options)?),
            "name" => imported.set("name", text()?)?,
            "start" => imported.set_start(text()?),
            "prefix" => imported.set_start(&format!("{}_", text()?)),
            "enabled" => imported.set_enabled(value)?,
            "expires" => imported.set_time("not_after", time(name, value)?)?,
            "createdAt" | "created_at" => imported.set_time("created", time(name, value)?)?,
            "deletedAt" | "deletedAtM" | "deleted_at" | "deleted_at_m" => {
                return Err(format!("has `{name}`: the key is deleted, and Unkey refuses it"));
            }
            "permissions" => {
                let list = strings(value).ok_or("`permissions` is not an array of strings")?;
                imported.set_list("scopes", list)?;
            }
            _ if OTHERS.contains(&name) => {}
            _ => check_restriction("Unkey", name, value, RESTRICTIONS.contains(&name))?,
        }
    }
    subjects.dedup();
    if subjects.len() > 1 {
        return Err("has `externalId` and `ownerId` that differ; `--ignore` passes one over".to_owned());
    }
    imported.set("subject", subjects.first().copied().unwrap_or_default())?;
    Ok(Draft::Imported(Box::new(imported)))
}

/// The `externalId` of an identity, whose limits hold for its keys.
fn identity<'v>(value: &'v Value, options: &Options) -> Result<&'v str, String> {
    let fields = value.as_object().ok_or("`identity` is not an object")?;
    for (name, value) in fields {
        let path = format!("identity.{name}");
        let is_known = matches!(name.as_str(), "id" | "externalId" | "meta");
        if !is_known && !is_nothing(value) && !options.ignores(&path) {
            return Err(restriction(&path));
        }
    }
    let name = fields.get("externalId").and_then(Value::as_str);
    name.ok_or_else(|| "`identity.externalId` is not a string".to_owned())
}

/// `{"value": …, "variant": "sha256_base64"}` as the migrations have it (`v1_migrations_createKey.ts`), or the value alone as the table
/// has it: standard base64 with padding, of the SHA-256 of the whole key.
fn hash(value: &Value) -> Result<&str, String> {
    let value = match value.get("variant").map(Value::as_str) {
        None => value,
        Some(Some("sha256_base64")) => value.get("value").unwrap_or(&Value::Null),
        Some(_) => return Err("`hash.variant` is not `sha256_base64`: the key cannot be imported".to_owned()),
    };
    let is_base64 = |text: &&str| text.len() == 44;
    value.as_str().filter(is_base64).ok_or_else(|| "`hash` is not a SHA-256 in base64".to_owned())
}

fn time(name: &str, value: &Value) -> Result<crate::time::When, String> {
    javascript_time(value).map_err(|problem| format!("`{name}` {problem}"))
}
