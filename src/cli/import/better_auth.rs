//! The table `apikey` of better-auth's API key plugin, a row an object.

use serde_json::{Map, Value};

use crate::error::Outcome;
use crate::import::imported_row::{ImportedRow, quoted, restriction};
use crate::import::json::{self, Fields, is_nothing};
use crate::import::values::{javascript_time, truth};
use crate::import::{Draft, Each, Options, Read};

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
    json::of_each(text, &mut |number, object| match object {
        Ok("") => Ok(()),
        Ok(object) => each(number, draft(object, options)),
        Err(problem) => each(number, Err(problem)),
    })
}

fn draft(object: &str, options: &Options) -> Read {
    let fields = Fields::parse(object)?;
    let mut imported = ImportedRow::default();
    let is_unlimited =
        |(name, value): (&str, &Value)| plain(name) == "ratelimitenabled" && truth(value) == Some(false);
    let is_unlimited = fields.iter().any(is_unlimited);
    for (name, value) in fields.iter().filter(|(name, _)| !options.ignores(name)) {
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
            other if OTHERS.contains(&other) || is_nothing(value) => {}
            other if RESTRICTIONS.contains(&other) => return Err(restriction(name)),
            _ => {
                return Err(format!(
                    "has the field {}, which better-auth does not document; `--ignore` passes it over",
                    quoted(name)
                ));
            }
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
    const FORM: &str = "`permissions` is not an object of arrays of strings";
    let parsed: Map<String, Value> = match value {
        Value::Object(permissions) => permissions.clone(),
        Value::String(text) if is_nothing(value) || text == "null" => Map::new(),
        Value::String(text) => serde_json::from_str(text).map_err(|_| FORM)?,
        _ => return Err(FORM.to_owned()),
    };
    let mut scopes = Vec::new();
    for (resource, actions) in &parsed {
        let actions = json::strings(actions).ok_or(FORM)?;
        scopes.extend(actions.iter().map(|action| format!("{resource}:{action}")));
    }
    Ok(scopes)
}
