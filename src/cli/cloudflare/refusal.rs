//! What Cloudflare's refusals mean, and what to do about each.

use keygate_delivery::text::short;
use serde::Deserialize;

use crate::error::Error;

/// An element of `errors` in an answer.
#[derive(Debug, Deserialize)]
pub(super) struct ApiError {
    #[serde(default)]
    pub(super) code: u64,
    #[serde(default)]
    message: String,
}

/// What a permission is called in the dashboard, for what was asked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Permission {
    KvRead,
    KvWrite,
    Scripts,
    /// To find the namespace's id, which the configuration could have.
    ScriptsOfNamespace,
    Routes,
    CacheRules,
    Zones,
}

impl Permission {
    fn name(self) -> &'static str {
        match self {
            Self::KvRead => "Account · Workers KV Storage: Read",
            Self::KvWrite => "Account · Workers KV Storage: Edit",
            Self::Scripts | Self::ScriptsOfNamespace => "Account · Workers Scripts: Read",
            Self::Routes => "Zone · Workers Routes: Read",
            Self::CacheRules => "Zone · Cache Rules: Read",
            Self::Zones => "Zone · Zone: Read",
        }
    }

    /// What to do without it.
    fn otherwise(self) -> &'static str {
        match self {
            Self::ScriptsOfNamespace => {
                "; or put the namespace's `id` into the configuration (`wrangler kv namespace list` shows it)"
            }
            _ => "",
        }
    }
}

/// The error that an answer amounts to.
pub(super) fn refusal(status: u16, said: &[ApiError], needs: Permission, doing: &str) -> Error {
    let words = words(status, said);
    let has = |codes: &[u64]| said.iter().any(|said| codes.contains(&said.code));
    let permission = needs.name();
    // Ambiguous on Cloudflare's side as well: a token without the permission and one of another account get the same answer.
    let (problem, remedy) = match status {
        // 6003 and 6111: the header has not the form of a token.
        _ if has(&[6003, 6111]) => (
            "CLOUDFLARE_API_TOKEN has not the form of an API token",
            "use the token as it was shown once when it was made, without quotes, blanks or `Bearer`; a global API key is no token".to_owned(),
        ),
        // 1000: not valid; 1001: expired or not yet valid.
        _ if status == 401 || has(&[1000, 1001]) => (
            "Cloudflare does not know the token in CLOUDFLARE_API_TOKEN",
            format!("it is wrong, has expired, or was revoked: make another (dash.cloudflare.com/profile/api-tokens) with the permission {permission}"),
        ),
        403 => (
            "the token in CLOUDFLARE_API_TOKEN may not do this in this account",
            format!("give the token the permission {permission}, and see that it is for the account that the configuration, CLOUDFLARE_ACCOUNT_ID or --account names, and that its address filter lets this machine in{}", needs.otherwise()),
        ),
        // 10013: no such namespace; 10014 and 10011: nothing of that id or form.
        404 if has(&[10013, 10011, 10014]) => (
            "there is no such KV namespace in this account",
            "compare the id in the configuration (or --namespace) with `wrangler kv namespace list`, and the account with `wrangler whoami`".to_owned(),
        ),
        // 10007 and 10090: no such Worker.
        404 if has(&[10007, 10090]) => (
            "there is no such Worker in this account",
            "deploy the gate: `wrangler deploy`, or `npm run deploy` where `keygate init` made the folder".to_owned(),
        ),
        // 7000 and 7003: the path leads nowhere, by its account.
        404 if has(&[7000, 7003]) => (
            "there is no such Cloudflare account",
            "compare the account in the configuration, CLOUDFLARE_ACCOUNT_ID or --account with `wrangler whoami`".to_owned(),
        ),
        429 => (
            "Cloudflare turns requests away, because there were too many",
            "wait five minutes, then run the command again; what was written stays written".to_owned(),
        ),
        500..=599 => (
            "Cloudflare's API fails",
            "see cloudflarestatus.com, then run the command again; keys that the gate has read lately, and those in STATIC_KEYS, still work".to_owned(),
        ),
        _ => (
            "Cloudflare refused the request",
            format!("see what it said; the token needs the permission {permission}"),
        ),
    };
    Error::failed(format!("{doing}: {problem} ({words})"), remedy)
}

/// What Cloudflare said, short and harmless. It has no reason to repeat the token; nor is it given the chance.
fn words(status: u16, said: &[ApiError]) -> String {
    let words = said.iter().take(2).map(|said| format!(", {}: {}", said.code, short(&said.message)));
    format!("status {status}{}", words.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::{ApiError, Permission, refusal};

    fn error(status: u16, code: u64, message: &str) -> String {
        let said = ApiError { code, message: message.to_owned() };
        refusal(status, &[said], Permission::KvWrite, "cannot write").to_string()
    }

    #[test]
    fn each_usual_mistake_has_its_own_remedy() {
        for (status, code, part) in [
            (400, 6003, "not the form of an API token"),
            (401, 1000, "does not know the token"),
            (403, 10000, "give the token the permission Account · Workers KV Storage: Edit"),
            (403, 9109, "see that it is for the account"),
            (404, 7003, "no such Cloudflare account"),
            (404, 10013, "no such KV namespace"),
            (429, 10429, "wait five minutes"),
            (502, 0, "cloudflarestatus.com"),
            (418, 1, "Cloudflare refused the request"),
        ] {
            let error = error(status, code, "said");
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn what_cloudflare_says_cannot_show_a_token_or_steer_a_terminal() {
        let token = "Zk3vQ9xLr2K7hVbT1mWcZk3vQ9xLr2K7hVbT1mWc";
        let error = error(400, 1, &format!("bad `{token}` \u{1b}[2J{}", "é".repeat(1000)));
        assert!(!error.contains(token) && !error.contains('\u{1b}'), "{error}");
        assert!(error.len() < 700, "{error}");
    }
}
