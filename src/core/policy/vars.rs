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
    /// What it decides.
    pub meaning: &'static str,
}

/// Every variable; there are no others.
pub const VARIABLES: &[Variable] = &[
    Variable {
        name: "ORIGIN",
        form: "`https://host[:port][/base]`, `zone` or `service:BINDING`",
        default: "required",
        meaning: "Where requests go: a URL (`http://` only to loopback or with ALLOW_HTTP), the zone's own origin, or a service binding.",
    },
    Variable {
        name: "KEY_PREFIX",
        form: KeyPrefix::ALLOWED,
        default: "required",
        meaning: "What every key of this environment begins with.",
    },
    Variable {
        name: "CREDENTIALS",
        form: "list of `bearer`, `basic`, `header:<name>`, `query:<name>`",
        default: r#"["bearer","header:x-api-key"]"#,
        meaning: "Where a request may carry its key; none of it reaches the origin.",
    },
    Variable {
        name: "ROUTES",
        form: "list of tables: path, access, methods, scopes, subjects, origin, cache",
        default: "[]",
        meaning: "What holds where; the first that matches path and method decides, and what none matches needs any valid key.",
    },
    Variable {
        name: "METHODS",
        form: "list of method names",
        default: r#"["GET","HEAD","POST","PUT","PATCH","DELETE","OPTIONS"]"#,
        meaning: "The methods that are let through at all.",
    },
    Variable {
        name: "REALM",
        form: "1 to 64 printable ASCII characters without `\"` and `\\`",
        default: r#""api""#,
        meaning: "The realm that a 401 names.",
    },
    Variable {
        name: "ALLOW_HTTP",
        form: "true or false",
        default: "false",
        meaning: "Whether plain HTTP is taken from loopback and spoken to any origin; for development.",
    },
    Variable {
        name: "ALLOW_ENCODED_SLASH",
        form: "true or false",
        default: "false",
        meaning: "Whether `%2F` in a path is an ordinary character of its segment; else it is refused.",
    },
    Variable {
        name: "CASE_INSENSITIVE_PATHS",
        form: "true or false",
        default: "false",
        meaning: "Whether routes match whatever the case, for origins that do not care about it.",
    },
    Variable {
        name: "IMPORTED_KEYS",
        form: "true or false",
        default: "false",
        meaning: "Whether keys that another system issued are looked up; an unknown one costs a read.",
    },
    Variable {
        name: "CORS_ORIGINS",
        form: "list of `scheme://host[:port]`, or [\"*\"]",
        default: "[]",
        meaning: "Whose pages may read answers; the gate then answers preflights and adds the CORS headers that the origin does not.",
    },
    Variable {
        name: "PREFLIGHT",
        form: "`answer` or `forward`",
        default: r#""answer""#,
        meaning: "Whether the gate answers preflights for CORS_ORIGINS, or the origin gets all preflights, without a key.",
    },
    Variable {
        name: "KV_CACHE_TTL_SECONDS",
        form: "30 to 86400",
        default: "30",
        meaning: "How long an edge location may serve its copy of a record.",
    },
    Variable {
        name: "KV_TIMEOUT_MS",
        form: "100 to 10000",
        default: "2000",
        meaning: "How long a read of KV may take before it counts as failed.",
    },
    Variable {
        name: "CACHE_ENTRIES",
        form: "0 to 100000",
        default: "10000",
        meaning: "How many records an isolate keeps; 0 turns its cache off.",
    },
    Variable {
        name: "CACHE_SECONDS",
        form: "0 to 3600",
        default: "30",
        meaning: "How long an isolate serves a record without asking KV; 0 turns its cache off.",
    },
    Variable {
        name: "STALE_SECONDS",
        form: "0 to 86400",
        default: "300",
        meaning: "How long past CACHE_SECONDS a kept record still serves while KV fails.",
    },
    Variable {
        name: "ORIGIN_TIMEOUT_SECONDS",
        form: "1 to 600",
        default: "100",
        meaning: "How long the origin may take until its response headers.",
    },
    Variable {
        name: "ACCESS_LOG_SAMPLE",
        form: "0.0 to 1.0",
        default: "1.0",
        meaning: "Which share of accepted requests is logged as a line where no USAGE dataset is bound.",
    },
    Variable {
        name: "REJECTION_LOGS_PER_MINUTE",
        form: "1 to 100000",
        default: "600",
        meaning: "How many rejections an isolate logs in a minute; the rest is counted.",
    },
    Variable {
        name: "PLANS",
        form: "table: plan = {limiter = \"BINDING\", period = 10 or 60}",
        default: "{}",
        meaning: "The rate limiter of each plan; where there are any, a key with another plan is refused.",
    },
];

#[cfg(test)]
mod tests {
    use super::VARIABLES;
    use std::format;
    use std::vec::Vec;

    #[test]
    fn the_readme_has_the_same_table() {
        let readme = include_str!("../../../README.md");
        let (_, after) = readme.split_once("<!-- variables:").unwrap();
        let rows: Vec<&str> = after.lines().skip(3).take_while(|line| line.starts_with('|')).collect();
        let expected: Vec<_> = VARIABLES
            .iter()
            .map(|variable| {
                let default = match variable.default {
                    "required" => "required".into(),
                    json => format!("`{json}`"),
                };
                format!("| `{}` | {} | {default} | {} |", variable.name, variable.form, variable.meaning)
            })
            .collect();
        assert_eq!(rows, expected);
    }
}
