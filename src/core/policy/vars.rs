//! The variables, described: the source of the table in docs/configuration.md and of the check for unknown names.

use crate::key::KeyPrefix;

/// The description of a variable.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Its name in `[vars]`.
    pub name: &'static str,
    /// Which values it accepts.
    pub form: &'static str,
    /// Its default in JSON; or `required`.
    pub default: &'static str,
}

/// Every variable; there are no others.
pub const VARIABLES: &[Variable] = &[
    Variable {
        name: "ORIGIN",
        form: "`https://host[:port][/base]`, `zone` or `service:BINDING`",
        default: "required",
    },
    Variable { name: "KEY_PREFIX", form: KeyPrefix::ALLOWED, default: "required" },
    Variable {
        name: "CREDENTIALS",
        form: "array of `bearer`, `authorization`, `basic`, `header:<name>`, `query:<name>`",
        default: r#"["bearer","header:x-api-key"]"#,
    },
    Variable {
        name: "ROUTES",
        form: "array of tables: path, access, methods, scopes, subjects, origin, origin_authorization, origin_signature, cache, cost",
        default: "[]",
    },
    Variable {
        name: "METHODS",
        form: "array of method names",
        default: r#"["GET","HEAD","POST","PUT","PATCH","DELETE","OPTIONS"]"#,
    },
    Variable {
        name: "REALM",
        form: "1 to 64 printable ASCII characters without `\"` and `\\`",
        default: r#""api""#,
    },
    Variable { name: "ERROR_FORMAT", form: "`problem` or `openai`", default: r#""problem""# },
    Variable { name: "ALLOW_HTTP", form: "true or false", default: "false" },
    Variable { name: "ALLOW_ENCODED_SLASH", form: "true or false", default: "false" },
    Variable { name: "CASE_INSENSITIVE_PATHS", form: "true or false", default: "false" },
    Variable { name: "FORMAT_EXTENSIONS", form: "true or false", default: "false" },
    Variable { name: "FORWARD_HEADERS", form: "array of header names in lower case", default: "[]" },
    Variable { name: "IMPORTED_KEYS", form: "true or false", default: "false" },
    Variable { name: "CORS_ORIGINS", form: "array of `scheme://host[:port]`, or [\"*\"]", default: "[]" },
    Variable { name: "PREFLIGHT", form: "`answer` or `forward`", default: r#""answer""# },
    Variable { name: "KV_CACHE_TTL_SECONDS", form: "30 to 86400", default: "30" },
    Variable { name: "KV_TIMEOUT_MS", form: "100 to 10000", default: "2000" },
    Variable { name: "CACHE_ENTRIES", form: "0 to 100000", default: "10000" },
    Variable { name: "CACHE_SECONDS", form: "0 to 3600", default: "30" },
    Variable { name: "STALE_SECONDS", form: "0 to 86400", default: "300" },
    Variable { name: "ORIGIN_TIMEOUT_SECONDS", form: "1 to 600", default: "100" },
    Variable { name: "MAX_CONNECTION_SECONDS", form: "0 to 86400", default: "0" },
    Variable { name: "ACCESS_LOG_SAMPLE", form: "0.0 to 1.0", default: "1.0" },
    Variable { name: "REJECTION_LOGS_PER_MINUTE", form: "1 to 100000", default: "600" },
    Variable { name: "EXPIRY_WARNING_DAYS", form: "0 to 365", default: "14" },
    Variable {
        name: "WHOAMI_PATH",
        form: "a path of letters, digits and `-._~` between slashes, or empty",
        default: r#""""#,
    },
    Variable {
        name: "PLANS",
        form: "table: plan = {rate = {limiter = \"BINDING\", period = 10 or 60, limit}, quota = {limit, period}}",
        default: "{}",
    },
];

#[cfg(test)]
mod tests {
    use super::VARIABLES;
    use crate::policy::bindings::{KEY_USAGE, KEYS, QUOTA, SECRETS, USAGE};
    use std::format;
    use std::vec::Vec;

    /// The meaning of each variable. It is here and not in `VARIABLES`, because that array is part of the gate's wasm.
    const MEANINGS: &[(&str, &str)] = &[
        (
            "ORIGIN",
            "Where requests are forwarded: a URL (`http://` only to loopback or with ALLOW_HTTP), the zone's own origin, or a service binding.",
        ),
        ("KEY_PREFIX", "The prefix of every key of this environment."),
        (
            "CREDENTIALS",
            "The credential sources: where a request may carry its key. `authorization` is a key as the whole `Authorization`; in `basic` it is the user name or the password (an imported key: the password, or the user name if the password is empty). The gate strips them all before it forwards.",
        ),
        (
            "ROUTES",
            "Access rules. The first rule that matches path and method applies; a request that matches none needs any valid key.",
        ),
        ("METHODS", "The methods that the gate accepts."),
        ("REALM", "The realm in the `WWW-Authenticate` header of a 401."),
        (
            "ERROR_FORMAT",
            "The body of a refusal: RFC 9457, or the `error` object that the SDKs of OpenAI and Stripe read.",
        ),
        (
            "ALLOW_HTTP",
            "Whether the gate accepts plain HTTP to localhost and loopback addresses, and forwards over plain HTTP to any origin; for development.",
        ),
        (
            "ALLOW_ENCODED_SLASH",
            "Whether `%2F` is an ordinary character of a path segment; otherwise the path is refused. [Not for WSGI servers](origins.md), which decode it.",
        ),
        ("CASE_INSENSITIVE_PATHS", "Whether routes match regardless of case, for origins that ignore case."),
        (
            "FORMAT_EXTENSIONS",
            "Whether the origin serves `/x.json` as `/x`; the gate then refuses a path if another rule applies to it without its extension.",
        ),
        (
            "FORWARD_HEADERS",
            "Headers that the gate forwards although it [strips](headers.md) them by default.",
        ),
        (
            "IMPORTED_KEYS",
            "Whether the gate looks up keys that another system issued. An unknown one costs a KV read; a second credential in CREDENTIALS that could be one is refused.",
        ),
        (
            "CORS_ORIGINS",
            "The sites whose pages may read responses; the gate then answers preflights and adds the CORS headers that the origin does not set.",
        ),
        (
            "PREFLIGHT",
            "Whether the gate answers preflights for CORS_ORIGINS, or forwards all preflights to the origin, without key, body and cookies.",
        ),
        ("KV_CACHE_TTL_SECONDS", "How long an edge location may serve its cached copy of a record."),
        ("KV_TIMEOUT_MS", "How long a KV read may take before it counts as failed."),
        ("CACHE_ENTRIES", "How many records an isolate caches; 0 turns the cache off."),
        (
            "CACHE_SECONDS",
            "How long an isolate serves a cached record without reading KV; 0 turns the cache off.",
        ),
        (
            "STALE_SECONDS",
            "How long after CACHE_SECONDS an isolate still serves a cached record while KV fails.",
        ),
        ("ORIGIN_TIMEOUT_SECONDS", "How long the origin may take to send its response headers."),
        (
            "MAX_CONNECTION_SECONDS",
            "How long a WebSocket, or a response without `Content-Length`, may stay open after a key has opened it; 0 means no limit.",
        ),
        (
            "ACCESS_LOG_SAMPLE",
            "The share of accepted requests that are logged as a line where no USAGE dataset is bound.",
        ),
        ("REJECTION_LOGS_PER_MINUTE", "How many rejections an isolate logs per minute; it counts the rest."),
        (
            "EXPIRY_WARNING_DAYS",
            "From how many days before its key expires a response has [`X-Keygate-Key-Expires`](responses.md#before-a-key-expires); 0: never.",
        ),
        (
            "WHOAMI_PATH",
            "Where the gate itself answers [what the presented key is](responses.md#what-a-key-is), such as `/.well-known/keygate/whoami`; empty: nowhere.",
        ),
        (
            "PLANS",
            "The [limits](plans.md) of each plan: `rate`, `quota` or both. If there are any plans, a key with another one is refused.",
        ),
    ];

    #[test]
    fn documentation_has_the_same_table() {
        let document = include_str!("../../../docs/configuration.md");
        let (_, after) = document.split_once("<!-- variables:").unwrap();
        let rows: Vec<&str> = after.lines().skip(3).take_while(|line| line.starts_with('|')).collect();
        let expected: Vec<_> = VARIABLES
            .iter()
            .zip(MEANINGS)
            .map(|(variable, (name, meaning))| {
                assert_eq!(variable.name, *name);
                let default = match variable.default {
                    "required" => "required".into(),
                    json => format!("`{json}`"),
                };
                format!("| `{}` | {} | {default} | {meaning} |", variable.name, variable.form)
            })
            .collect();
        assert_eq!(MEANINGS.len(), VARIABLES.len());
        assert_eq!(rows, expected, "docs/configuration.md should hold:\n{}", expected.join("\n"));
    }
    #[test]
    fn documentation_has_every_field_of_a_route() {
        let document = include_str!("../../../docs/configuration.md");
        let (_, after) = document.split_once("A route has these fields:\n\n").unwrap();
        let (list, _) = after.split_once("\n\n").unwrap();
        let items = list.lines().filter_map(|line| line.strip_prefix("- "));
        let mut documented: Vec<&str> = items
            .flat_map(|item| {
                item.split_once(": ").map_or(item, |(names, _)| names).split('`').skip(1).step_by(2)
            })
            .collect();
        let routes = VARIABLES.iter().find(|variable| variable.name == "ROUTES").unwrap();
        let mut fields: Vec<&str> =
            routes.form.strip_prefix("array of tables: ").unwrap().split(", ").collect();
        documented.sort_unstable();
        fields.sort_unstable();
        assert_eq!(documented, fields);
    }

    #[test]
    fn documentation_has_every_binding() {
        let document = include_str!("../../../docs/configuration.md");
        let (_, after) = document.split_once("| binding | what | required |\n|---|---|---|\n").unwrap();
        let rows = after.lines().take_while(|line| line.starts_with('|'));
        let mut documented: Vec<&str> = rows.filter_map(|row| row.split('`').nth(1)).collect();
        let mut bindings = [KEYS, USAGE, KEY_USAGE, QUOTA].into_iter().chain(SECRETS).collect::<Vec<_>>();
        documented.sort_unstable();
        bindings.sort_unstable();
        assert_eq!(documented, bindings);
    }
}
