//! Unkey's keys: answers of its API, objects as its migrations take them, or rows of its table `keys`.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::Outcome;
use crate::import::imported_row::{ImportedRow, quoted, restriction};
use crate::import::json::{self, Fields, is_nothing, strings};
use crate::import::values::javascript_time;
use crate::import::{Draft, Each, Options, Read};

/// What says nothing about who may pass.
const OTHERS: [&str; 18] = [
    "apiId",
    "byteLength",
    "createdAtM",
    "created_at_m",
    "encrypted",
    "environment",
    "forWorkspaceId",
    "id",
    "identityId",
    "identity_id",
    "keyAuthId",
    "keyId",
    "key_auth_id",
    "meta",
    "recoverable",
    "updatedAt",
    "workspaceId",
    "workspace_id",
];

/// What restricts a key: counted requests, limits, and roles, whose permissions the object does not have.
const RESTRICTIONS: [&str; 10] = [
    "credits",
    "ratelimit",
    "ratelimits",
    "ratelimitLimit",
    "ratelimit_limit",
    "refill",
    "remaining",
    "remaining_requests",
    "roles",
    "verifications",
];

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
}

pub(super) fn read(text: &[u8], options: &Options, each: &mut Each<'_>) -> Outcome<()> {
    let mut each = |number, object: Result<&str, String>| match object {
        Ok("") => Ok(()),
        Ok(object) => each(number, draft(object, options)),
        Err(problem) => each(number, Err(problem)),
    };
    let whole = str::from_utf8(text).unwrap_or_default();
    match serde_json::from_str::<Answer<'_>>(whole) {
        Ok(answer) if answer.data.get().starts_with('[') => {
            json::of_array(whole, answer.data.get(), &mut each)
        }
        _ => json::of_each(text, &mut each),
    }
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
            "identity" => subjects.extend(value.get("externalId").and_then(Value::as_str)),
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
            _ if OTHERS.contains(&name) || is_nothing(value) => {}
            _ if RESTRICTIONS.contains(&name) => return Err(restriction(name)),
            _ => {
                return Err(format!(
                    "has the field {}, which Unkey does not document; `--ignore` passes it over",
                    quoted(name)
                ));
            }
        }
    }
    subjects.dedup();
    if subjects.len() > 1 {
        return Err("has `externalId` and `ownerId` that differ; `--ignore` passes one over".to_owned());
    }
    imported.set("subject", subjects.first().copied().unwrap_or_default())?;
    Ok(Draft::Imported(Box::new(imported)))
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
