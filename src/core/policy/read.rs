//! Reading the policy: from JSON to checked values, one variable after the other.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::bindings::mistyped;
use super::error::{ErrorCollector, Values, escape_value};
use super::{Policy, PolicyErrors, VARIABLES};
use crate::key::KeyPrefix;
use crate::policy::cors::{Cors, Preflight, WebOrigins, parse_web_origin};
use crate::policy::origin::{Origin, OriginError};
use crate::request::credential::CredentialSources;
use crate::request::header_filter::HeaderFilter;
use crate::request::method::Methods;
use crate::request::path::PathRules;
use crate::response::{ErrorFormat, Wording};
use crate::text::json_error;
use crate::text::unique_map::UniqueMap;

/// Far above what the platform accepts; it bounds the work for a local file.
const POLICY_MAX_BYTES: usize = 256 * 1024;
const LIST_MAX: usize = 64;
const WHOAMI_PATH_MAX_LEN: usize = 256;
/// The field of errors that concern no single variable.
const WHOLE: &str = "vars";

/// Reads the variables.
pub(super) fn read(json: &str) -> Result<Policy, PolicyErrors> {
    let mut errors = ErrorCollector::default();
    let policy = parse_object(json, &mut errors).and_then(|vars| {
        let mut reader = Reader { vars: &vars, errors: &mut errors };
        reader.policy()
    });
    errors.or(policy)
}

/// The variables that are set, and the defaults of the others.
fn parse_object<'j>(json: &'j str, errors: &mut ErrorCollector) -> Option<Values<'j>> {
    if json.len() > POLICY_MAX_BYTES {
        errors.add(WHOLE, format_args!("are longer than {POLICY_MAX_BYTES} bytes"));
        return None;
    }
    if !json_error::begins_with(json, '{') {
        errors.add(WHOLE, "are not a JSON object");
        return None;
    }
    let mut vars = match serde_json::from_str::<UniqueMap<&RawValue>>(json) {
        Ok(vars) => vars.0,
        Err(error) => {
            errors.add(WHOLE, format_args!("are not a JSON object: {}", json_error::problem(&error)));
            return None;
        }
    };
    for name in vars.keys() {
        if VARIABLES.iter().any(|variable| variable.name == name) {
            continue;
        }
        // Its value is not shown: it may be a secret under a mistyped name.
        let problem = if let Some(known) = mistyped(name) {
            format!("is not a variable; do you mean {known}?")
        } else {
            let names: Vec<&str> = VARIABLES.iter().map(|variable| variable.name).collect();
            format!("is not a variable; the variables are {}", names.join(", "))
        };
        errors.add(&escape_value(name), problem);
    }
    for variable in VARIABLES {
        if !vars.contains_key(variable.name) {
            match serde_json::from_str(variable.default) {
                Ok(default) => {
                    vars.insert(variable.name.into(), default);
                }
                // `required` is no JSON.
                Err(_) => errors.add(variable.name, format_args!("is not set; it is {}", variable.form)),
            }
        }
    }
    Some(vars)
}

/// A field such as `METHODS[2]`, and its string.
pub(super) type Element = (String, String);

pub(super) struct Reader<'v, 'f> {
    vars: &'f Values<'v>,
    pub(super) errors: &'f mut ErrorCollector,
}

// Where a value is invalid, the error is collected and a substitute is used, so that the rest can be checked.
impl<'v> Reader<'v, '_> {
    fn policy(&mut self) -> Option<Policy> {
        let allow_http = self.boolean("ALLOW_HTTP");
        let path_rules = PathRules {
            allow_encoded_slash: self.boolean("ALLOW_ENCODED_SLASH"),
            case_insensitive: self.boolean("CASE_INSENSITIVE_PATHS"),
            format_extensions: self.boolean("FORMAT_EXTENSIONS"),
        };
        let origin = self.var("ORIGIN");
        let origin = origin.and_then(|value| self.origin("ORIGIN", value, allow_http));
        let key_prefix = self.key_prefix();
        let credential_sources = self.credential_sources();
        let wording = Wording::new(&credential_sources, &self.realm(), self.error_format());
        let methods = self.methods();
        Some(Policy {
            header_filter: self.header_filter(&credential_sources),
            credential_sources,
            routes: self.routes(&methods, path_rules, allow_http),
            cors: self.cors(&methods),
            methods,
            path_rules,
            allow_http,
            imported_keys: self.boolean("IMPORTED_KEYS"),
            wording,
            kv_cache_ttl_secs: self.integer("KV_CACHE_TTL_SECONDS", &(30..=86_400)),
            kv_timeout_ms: self.integer("KV_TIMEOUT_MS", &(100..=10_000)),
            cache_entries: self.integer("CACHE_ENTRIES", &(0..=100_000)),
            cache_secs: self.integer("CACHE_SECONDS", &(0..=3_600)),
            stale_secs: self.integer("STALE_SECONDS", &(0..=86_400)),
            origin_timeout_secs: self.integer("ORIGIN_TIMEOUT_SECONDS", &(1..=600)),
            max_connection_secs: self.integer("MAX_CONNECTION_SECONDS", &(0..=86_400)),
            access_log_sample: self.share("ACCESS_LOG_SAMPLE"),
            rejection_logs_per_minute: self.integer("REJECTION_LOGS_PER_MINUTE", &(1..=100_000)),
            expiry_warning_days: self.integer("EXPIRY_WARNING_DAYS", &(0..=365)),
            whoami_path: self.whoami_path(),
            plans: self.plans(),
            // Last, so that an error here does not hide the others.
            origin: origin?,
            key_prefix: key_prefix?,
        })
    }

    pub(super) fn var(&self, name: &str) -> Option<&'v RawValue> {
        self.vars.get(name).copied()
    }

    fn boolean(&mut self, name: &str) -> bool {
        let read = self.var(name).and_then(|value| self.errors.boolean(name, value));
        read.unwrap_or_default()
    }

    fn integer(&mut self, name: &str, range: &RangeInclusive<u32>) -> u32 {
        let read = self.var(name).and_then(|value| self.errors.integer(name, value, range));
        read.unwrap_or_default()
    }

    fn share(&mut self, name: &str) -> f64 {
        let read = self.var(name).and_then(|value| self.errors.share(name, value));
        read.unwrap_or_default()
    }

    /// The strings of an array that must not be empty.
    pub(super) fn filled(&mut self, field: &str, value: &'v RawValue, of: &str) -> Vec<Element> {
        if serde_json::from_str::<Vec<IgnoredAny>>(value.get()).is_ok_and(|list| list.is_empty()) {
            self.errors.add(field, format_args!("is empty; list {of}, or remove it"));
        }
        self.errors.strings(field, value, LIST_MAX, of)
    }

    pub(super) fn origin(&mut self, field: &str, value: &RawValue, allow_http: bool) -> Option<Origin> {
        let text = self.errors.string(field, value, OriginError::FORMS)?;
        match Origin::parse(&text, allow_http) {
            Ok(origin) => return Some(origin),
            // Not shown, because it contains a credential.
            Err(OriginError::UserInfo) => self.errors.add(field, OriginError::UserInfo),
            Err(error) => self.errors.add_string(field, &text, error),
        }
        None
    }

    fn key_prefix(&mut self) -> Option<KeyPrefix> {
        let text = self.errors.string("KEY_PREFIX", self.var("KEY_PREFIX")?, KeyPrefix::ALLOWED)?;
        let parsed = text.parse::<KeyPrefix>();
        parsed.map_err(|error| self.errors.add("KEY_PREFIX", error)).ok()
    }

    fn realm(&mut self) -> Box<str> {
        let allowed = "1 to 64 printable ASCII characters without `\"` and `\\`";
        let value = self.var("REALM");
        let text = value
            .and_then(|value| self.errors.string("REALM", value, allowed))
            .unwrap_or_else(|| "api".into());
        let printable = |b: u8| matches!(b, b' '..=b'~') && b != b'"' && b != b'\\';
        if !(1..=64).contains(&text.len()) || !text.bytes().all(printable) {
            self.errors.add_string("REALM", &text, format_args!("is not {allowed}"));
        }
        text.into()
    }

    fn whoami_path(&mut self) -> Option<Box<str>> {
        let allowed = "a path of letters, digits and `-._~` between slashes, or empty";
        let text = self.errors.string("WHOAMI_PATH", self.var("WHOAMI_PATH")?, allowed)?;
        if text.is_empty() {
            return None;
        }
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        let is_segment = |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(is_plain);
        let is_path = text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_segment));
        if !is_path || text.len() > WHOAMI_PATH_MAX_LEN {
            self.errors.add_string("WHOAMI_PATH", &text, format_args!("is not {allowed}"));
        }
        Some(text.into())
    }

    fn error_format(&mut self) -> ErrorFormat {
        let allowed = "`problem` or `openai`";
        let value = self.var("ERROR_FORMAT");
        match value.and_then(|value| self.errors.string("ERROR_FORMAT", value, allowed)).as_deref() {
            Some("openai") => ErrorFormat::OpenAi,
            Some("problem") | None => ErrorFormat::Problem,
            Some(other) => {
                self.errors.add_string("ERROR_FORMAT", other, format_args!("is not {allowed}"));
                ErrorFormat::Problem
            }
        }
    }

    fn credential_sources(&mut self) -> CredentialSources {
        let mut sources = CredentialSources::default();
        let value = self.var("CREDENTIALS");
        for (field, text) in
            value.map_or_else(Vec::new, |value| self.filled("CREDENTIALS", value, "credential sources"))
        {
            if let Err(error) = sources.add(&text) {
                self.errors.add_string(&field, &text, error);
            }
        }
        sources
    }

    fn header_filter(&mut self, sources: &CredentialSources) -> HeaderFilter {
        let mut filter = HeaderFilter::new(sources.header_names());
        let value = self.var("FORWARD_HEADERS");
        let list = value.map_or_else(Vec::new, |value| {
            self.errors.strings("FORWARD_HEADERS", value, LIST_MAX, "header names")
        });
        for (field, name) in list {
            if let Err(error) = filter.allow(&name) {
                self.errors.add_string(&field, &name, error);
            }
        }
        filter
    }

    fn methods(&mut self) -> Methods {
        let mut methods = Methods::default();
        let value = self.var("METHODS");
        for (field, name) in value.map_or_else(Vec::new, |value| self.filled("METHODS", value, "methods")) {
            if let Err(error) = methods.add(&name) {
                self.errors.add_string(&field, &name, error);
            }
        }
        if methods.index_of("HEAD").is_some() && methods.index_of("GET").is_none() {
            self.errors.add("METHODS", "has `HEAD` without `GET`; rules for GET apply to HEAD too");
        }
        methods
    }

    fn cors(&mut self, methods: &Methods) -> Cors {
        let value = self.var("CORS_ORIGINS");
        let list = value.map_or_else(Vec::new, |value| {
            self.errors.strings("CORS_ORIGINS", value, LIST_MAX, "origins of pages")
        });
        let origins = if matches!(list.as_slice(), [(_, text)] if text == "*") {
            WebOrigins::Any
        } else {
            let mut names: Vec<Box<str>> = Vec::new();
            for (field, text) in &list {
                match parse_web_origin(text) {
                    Ok(name) if names.contains(&name) => self.errors.add_string(field, text, TWICE),
                    Ok(name) => names.push(name),
                    Err(error) => self.errors.add_string(field, text, error),
                }
            }
            WebOrigins::Named(names)
        };
        let allowed = "`answer` or `forward`";
        let value = self.var("PREFLIGHT");
        let preflight =
            match value.and_then(|value| self.errors.string("PREFLIGHT", value, allowed)).as_deref() {
                Some("forward") => Preflight::Forward,
                Some("answer") | None => Preflight::Answer,
                Some(other) => {
                    self.errors.add_string("PREFLIGHT", other, format_args!("is not {allowed}"));
                    Preflight::Answer
                }
            };
        Cors::new(origins, preflight, methods)
    }
}

pub(super) const TWICE: &str = "is listed twice";
