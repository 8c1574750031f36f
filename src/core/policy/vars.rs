//! The variables, in words: what the configuration table of the README and the check for unknown names go by.

use crate::key::KeyPrefix;

/// One variable, in words.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Its name in `[vars]`.
    pub name: &'static str,
    /// What its value may be.
    pub form: &'static str,
    /// Its value where it is not set, in JSON; or `required`.
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
        form: "list of `bearer`, `basic`, `header:<name>`, `query:<name>`",
        default: r#"["bearer","header:x-api-key"]"#,
    },
    Variable {
        name: "ROUTES",
        form: "list of tables: path, access, methods, scopes, subjects, origin, origin_authorization, origin_signature, cache",
        default: "[]",
    },
    Variable {
        name: "METHODS",
        form: "list of method names",
        default: r#"["GET","HEAD","POST","PUT","PATCH","DELETE","OPTIONS"]"#,
    },
    Variable {
        name: "REALM",
        form: "1 to 64 printable ASCII characters without `\"` and `\\`",
        default: r#""api""#,
    },
    Variable { name: "ALLOW_HTTP", form: "true or false", default: "false" },
    Variable { name: "ALLOW_ENCODED_SLASH", form: "true or false", default: "false" },
    Variable { name: "CASE_INSENSITIVE_PATHS", form: "true or false", default: "false" },
    Variable { name: "FORMAT_EXTENSIONS", form: "true or false", default: "false" },
    Variable { name: "FORWARD_HEADERS", form: "list of header names in lower case", default: "[]" },
    Variable { name: "IMPORTED_KEYS", form: "true or false", default: "false" },
    Variable { name: "CORS_ORIGINS", form: "list of `scheme://host[:port]`, or [\"*\"]", default: "[]" },
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
    Variable {
        name: "PLANS",
        form: "table: plan = {limiter = \"BINDING\", period = 10 or 60}",
        default: "{}",
    },
];

#[cfg(test)]
mod tests {
    use super::VARIABLES;
    use std::format;
    use std::vec::Vec;

    /// What each variable decides. Only the README says it: in the table above it would be in the gate's wasm.
    const MEANINGS: &[(&str, &str)] = &[
        (
            "ORIGIN",
            "Where requests go: a URL (`http://` only to loopback or with ALLOW_HTTP), the zone's own origin, or a service binding.",
        ),
        ("KEY_PREFIX", "What every key of this environment begins with."),
        ("CREDENTIALS", "Where a request may carry its key; none of it reaches the origin."),
        (
            "ROUTES",
            "What holds where; the first that matches path and method decides, and what none matches needs any valid key.",
        ),
        ("METHODS", "The methods that are let through at all."),
        ("REALM", "The realm that a 401 names."),
        (
            "ALLOW_HTTP",
            "Whether plain HTTP is taken from loopback and spoken to any origin; for development.",
        ),
        (
            "ALLOW_ENCODED_SLASH",
            "Whether `%2F` in a path is an ordinary character of its segment; else it is refused. [Not for WSGI servers](docs/origins.md), which decode it.",
        ),
        (
            "CASE_INSENSITIVE_PATHS",
            "Whether routes match whatever the case, for origins that do not care about it.",
        ),
        (
            "FORMAT_EXTENSIONS",
            "Whether the origin serves `/x.json` as `/x`; a path for which another rule holds without its extension is then refused.",
        ),
        (
            "FORWARD_HEADERS",
            "Headers that go to the origin although the gate [drops](docs/headers.md) them by default.",
        ),
        (
            "IMPORTED_KEYS",
            "Whether keys that another system issued are looked up; an unknown one costs a read, and a second credential in CREDENTIALS that could be one is refused.",
        ),
        (
            "CORS_ORIGINS",
            "Whose pages may read answers; the gate then answers preflights and adds the CORS headers that the origin does not.",
        ),
        (
            "PREFLIGHT",
            "Whether the gate answers preflights for CORS_ORIGINS, or the origin gets all preflights, without key, body and cookies.",
        ),
        ("KV_CACHE_TTL_SECONDS", "How long an edge location may serve its copy of a record."),
        ("KV_TIMEOUT_MS", "How long a read of KV may take before it counts as failed."),
        ("CACHE_ENTRIES", "How many records an isolate keeps; 0 turns its cache off."),
        ("CACHE_SECONDS", "How long an isolate serves a record without asking KV; 0 turns its cache off."),
        ("STALE_SECONDS", "How long past CACHE_SECONDS a kept record still serves while KV fails."),
        ("ORIGIN_TIMEOUT_SECONDS", "How long the origin may take until its response headers."),
        (
            "MAX_CONNECTION_SECONDS",
            "How long a WebSocket, or a response without `Content-Length`, may last once a key has opened it; 0: no limit.",
        ),
        (
            "ACCESS_LOG_SAMPLE",
            "Which share of accepted requests is logged as a line where no USAGE dataset is bound.",
        ),
        (
            "REJECTION_LOGS_PER_MINUTE",
            "How many rejections an isolate logs in a minute; the rest is counted.",
        ),
        ("PLANS", "The rate limiter of each plan; where there are any, a key with another plan is refused."),
    ];

    #[test]
    fn the_readme_has_the_same_table() {
        let readme = include_str!("../../../README.md");
        let (_, after) = readme.split_once("<!-- variables:").unwrap();
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
        assert_eq!(rows, expected, "README.md should hold:\n{}", expected.join("\n"));
    }
}
