//! The table `apikey` of better-auth's API key plugin, a row an object.

use std::collections::HashSet;

use serde_json::Value;

use crate::error::Outcome;
use crate::import::imported_row::{ImportedRow, check_restriction, quoted};
use crate::import::json::{self, Fields};
use crate::import::values::{is_nothing, javascript_time, truth};
use crate::import::{Draft, Each, Format, Options, Read};

/// What says nothing about who may pass (`packages/api-key/src/schema.ts`), in lower case and without `_`.
const OTHERS: [&str; 9] = [
    "configid",
    "id",
    "lastrefillat",
    "lastrequest",
    "metadata",
    "ratelimittimewindow",
    "ratelimitwindowstart",
    "requestcount",
    "updatedat",
];

/// What restricts a key: requests that are counted down, and a limit.
const RESTRICTIONS: [&str; 4] = ["ratelimitmax", "refillamount", "refillinterval", "remaining"];

pub(super) fn read(text: &[u8], options: &Options, each: &mut Each<'_>) -> Outcome<()> {
    json::of_each(text, Format::BetterAuth, options, &mut |place, object| match object {
        Ok("") => Ok(()),
        Ok(object) => each(place, draft(object, options)),
        Err(problem) => each(place, Err(problem)),
    })
}

fn draft(object: &str, options: &Options) -> Read {
    let fields = Fields::parse(object)?;
    let fields: Vec<(&str, &Value)> = fields.iter().filter(|(name, _)| !options.ignores(name)).collect();
    let mut imported = ImportedRow::default();
    imported.set_note("each `key` was taken as a SHA-256; where better-auth has `disableKeyHashing`, it is the key itself, and the gate does not accept it: use `--format jsonl`");
    let (mut is_unlimited, mut names) = (false, HashSet::new());
    for (name, value) in &fields {
        if !names.insert(plain(name)) {
            return Err(format!("has {} in two spellings; `--ignore` passes one over", quoted(name)));
        }
        is_unlimited |= plain(name) == "ratelimitenabled" && truth(value) == Some(false);
    }
    for (name, value) in fields {
        let text = || value.as_str().ok_or_else(|| format!("`{name}` is not a string"));
        let time = || javascript_time(value).map_err(|problem| format!("`{name}` {problem}"));
        match plain(name).as_str() {
            "key" => imported.set("sha256", hash(text()?)?)?,
            "referenceid" | "userid" => imported
                .set("subject", text()?)
                .map_err(|_| "has `referenceId` and `userId`; `--ignore` passes one over")?,
            "name" => imported.set("name", text()?)?,
            "prefix" | "start" => imported.set_start(text()?),
            "enabled" => imported.set_enabled(value)?,
            "expiresat" => imported.set_time("not_after", time()?)?,
            "createdat" => imported.set_time("created", time()?)?,
            "permissions" => imported.set_list("scopes", permissions(value)?)?,
            "ratelimitenabled" => {}
            "ratelimitmax" if is_unlimited => {}
            other if OTHERS.contains(&other) => {}
            other => check_restriction("better-auth", name, value, RESTRICTIONS.contains(&other))?,
        }
    }
    Ok(Draft::Imported(Box::new(imported)))
}

/// Columns are `expiresAt` or `expires_at`, as the adapter of the database names them.
fn plain(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "")
}

/// base64url without padding of the SHA-256 of the whole key (`defaultKeyHasher` in `packages/api-key/src/index.ts`).
fn hash(text: &str) -> Result<&str, String> {
    if text.len() == 43 {
        return Ok(text);
    }
    Err("`key` is not a SHA-256 in base64url; where better-auth has `disableKeyHashing`, it is the key itself: use `--format jsonl`".to_owned())
}

/// `{"files": ["read", "write"]}`, as an object or in a string, gives the scopes `files:read` and `files:write`.
fn permissions(value: &Value) -> Result<Vec<String>, String> {
    const FORM: &str = "`permissions` is not an object of arrays of strings, each name once";
    let text = match value {
        Value::Object(_) => value.to_string(),
        Value::String(_) if is_nothing(value) => return Ok(Vec::new()),
        Value::String(text) => text.clone(),
        _ => return Err(FORM.to_owned()),
    };
    let mut scopes = Vec::new();
    for (resource, actions) in Fields::parse(&text).map_err(|_| FORM)?.iter() {
        let actions = json::strings(actions).ok_or(FORM)?;
        scopes.extend(actions.iter().map(|action| format!("{resource}:{action}")));
    }
    Ok(scopes)
}
