//! What a file of Kong's has that Kong does not document: it may be a misspelt list of keys.

use std::collections::BTreeSet;

use crate::error::{Error, Outcome};
use crate::import::Options;
use crate::import::imported_row::quoted;
use crate::import::kong::{CREDENTIALS, Consumer, Kong};

/// What else a consumer may have: `kong/db/schema/entities/consumers.lua`, and credentials of other kinds.
const OF_CONSUMERS: [&str; 13] = [
    "basicauth_credentials",
    "created_at",
    "header_cert_auth_credentials",
    "hmacauth_credentials",
    "jwt_secrets",
    "mtls_auth_credentials",
    "oauth2_credentials",
    "oauth2_tokens",
    "tags",
    "type",
    "updated_at",
    "username_lower",
    "ws_id",
];

/// What is said of each field of a consumer that is not documented.
pub(super) fn fields(consumer: &Consumer, options: &Options) -> Vec<String> {
    let is_unknown = |name: &&String| !OF_CONSUMERS.contains(&name.as_str()) && !options.ignores(name);
    let names: BTreeSet<&String> = consumer.others.keys().filter(is_unknown).collect();
    let problem = |name: &String| {
        format!(
            "the consumer has {}, which Kong does not document; its list of keys is `{CREDENTIALS}`, and `--ignore` passes another one over",
            quoted(name)
        )
    };
    names.into_iter().map(problem).collect()
}

/// Refuses a list of the file that may be a misspelt one of keys. Plugins of others have lists too, which are passed over.
pub(super) fn refuse_list(file: &Kong, options: &Options) -> Outcome<()> {
    match file.others.keys().filter(|name| may_be_keys(name) && !options.ignores(name)).min() {
        None => Ok(()),
        Some(name) => Err(Error::failed(
            format!("the source has a list {}, which Kong does not document", quoted(name)),
            format!("name it `{CREDENTIALS}` if it has keys; `--ignore` passes it over"),
        )),
    }
}

fn may_be_keys(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("key") && ["auth", "cred"].iter().any(|part| name.contains(part))
}
