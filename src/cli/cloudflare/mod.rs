//! Cloudflare's REST API: who asks, of which account, and what the answers mean.

mod api;
mod gate;
mod kv;
mod refusal;

pub(crate) use api::{TOKEN_VARIABLE, http_client};
pub(crate) use gate::{DeployedGate, NOT_LOOKED_AT};
pub(crate) use kv::{RemoteKv, WRITE_MAX, bulks};
pub(crate) use refusal::Permission;

use std::env;

use keygate_core::policy::bindings::KEYS;

use crate::error::{Error, Outcome};
use crate::wrangler_config::WranglerConfig;

const ACCOUNT_VARIABLE: &str = "CLOUDFLARE_ACCOUNT_ID";

/// The account that the gate is deployed in: `--account`, the configuration, `CLOUDFLARE_ACCOUNT_ID`; the last two in wrangler's
/// own order, so that both programs mean the same account.
///
/// # Errors
/// None is named, or what is named is no id.
pub(crate) fn account(flag: Option<&str>, config: &WranglerConfig) -> Outcome<String> {
    let from_toml = config.setting("account_id").and_then(|id| id.as_str());
    let variable = env::var(ACCOUNT_VARIABLE).ok();
    let places = [
        (flag, "--account".to_owned()),
        (from_toml, format!("{}: `{}`", config.name(), config.place("account_id"))),
        (variable.as_deref(), ACCOUNT_VARIABLE.to_owned()),
    ];
    let named = places.into_iter().find_map(|(id, place)| Some((id.filter(|id| !id.is_empty())?, place)));
    let Some((id, place)) = named else {
        return Err(Error::usage(
            format!("the Cloudflare account is not named in {}", config.name()),
            format!(
                "set `account_id` there, or {ACCOUNT_VARIABLE}, or give `--account ID`; the dashboard shows the id in its address, after dash.cloudflare.com/"
            ),
        ));
    };
    identifier(id, &place)
}

/// The KV namespace that `--namespace` or the configuration names; `None` where a deploy finds or makes one.
///
/// # Errors
/// None is bound, or what is named is no id.
pub(crate) fn named_namespace(flag: Option<&str>, config: &WranglerConfig) -> Outcome<Option<String>> {
    if let Some(id) = flag {
        return identifier(id, "--namespace").map(Some);
    }
    let place = format!("{}: `{}`", config.name(), config.place("kv_namespaces"));
    let namespace = config.keys_namespace().ok_or_else(|| config.no_namespace())?;
    match namespace.get("id") {
        None => Ok(None),
        // What this repository's wrangler.toml holds until a namespace is made.
        Some(id) if id.as_str().is_none_or(|id| id.bytes().all(|b| b == b'0')) => Err(Error::failed(
            format!("{place} binds `{KEYS}` to no namespace yet"),
            "make one with `wrangler kv namespace create KEYS`, and put the id that it prints there",
        )),
        Some(id) => identifier(id.as_str().unwrap_or_default(), &place).map(Some),
    }
}

/// An id of Cloudflare's, which becomes part of a URL.
fn identifier(text: &str, place: &str) -> Outcome<String> {
    const LENGTH: usize = 32;
    if text.len() == LENGTH && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(text.to_owned());
    }
    // The text is not repeated: somebody may have put a token there.
    Err(Error::usage(
        format!("{place} is not an id of Cloudflare's: {LENGTH} hexadecimal digits"),
        "copy the id from the dashboard, or from `wrangler whoami` and `wrangler kv namespace list`",
    ))
}
