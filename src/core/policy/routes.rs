//! Reading `ROUTES`.

use alloc::vec::Vec;
use core::fmt;

use serde_json::value::RawValue;

use super::read::{Reader, TWICE};
use crate::policy::pattern::Pattern;
use crate::policy::route::{Access, DEFAULT_COST, ROUTES_MAX, Route, RouteTable};
use crate::record::token::{Scope, Subject};
use crate::request::method::{MethodSet, Methods};
use crate::request::path::PathRules;

const ROUTE_FIELDS: &[&str] = &[
    "path",
    "access",
    "methods",
    "scopes",
    "subjects",
    "origin",
    "origin_authorization",
    "origin_signature",
    "cache",
    "cost",
];
/// The most units that one request costs: 0 is free of charge.
const COST_MAX: u32 = 10_000;
/// Fields that have no effect on a public route.
const KEY_FIELDS: &[&str] = &["scopes", "subjects", "origin_authorization", "cost"];
/// Fields that have no effect on a route that is closed.
const FORWARDING_FIELDS: &[&str] =
    &["scopes", "subjects", "origin", "origin_authorization", "origin_signature", "cache", "cost"];

impl<'v> Reader<'v, '_> {
    pub(super) fn routes(&mut self, methods: &Methods, rules: PathRules, allow_http: bool) -> RouteTable {
        let Some(value) = self.var("ROUTES") else {
            return RouteTable::default();
        };
        let mut routes = Vec::new();
        // Invalid routes are left out, so an index in `routes` is not one in the array.
        let mut fields = Vec::new();
        for (field, value) in self.errors.list("ROUTES", value, ROUTES_MAX, "routes") {
            if let Some(route) = self.route(&field, value, methods, rules, allow_http) {
                routes.push(route);
                fields.push(field);
            }
        }
        let (table, unreachable) = RouteTable::compile(routes, rules);
        for field in unreachable.into_iter().filter_map(|at| fields.get(at)) {
            self.errors.add(
                field,
                "is never reached: earlier routes match everything that it matches; move it up or remove it",
            );
        }
        table
    }

    fn route(
        &mut self,
        field: &str,
        value: &'v RawValue,
        methods: &Methods,
        rules: PathRules,
        allow_http: bool,
    ) -> Option<Route> {
        let fields = self.errors.object(field, value, "route fields")?;
        self.errors.unknown_fields(field, &fields, ROUTE_FIELDS);
        let field_of = |name: &str| fields.get(name).map(|value| (alloc::format!("{field}.{name}"), *value));

        let path = self.errors.required(field, &fields, "path");
        let pattern = path.and_then(|(field, value)| self.pattern(&field, value, rules));
        let access = field_of("access").map_or(Access::Key, |(field, value)| self.access(&field, value));
        let methods = field_of("methods")
            .map_or(methods.all(), |(field, value)| self.route_methods(&field, value, methods));
        let scopes = field_of("scopes").map_or_else(Vec::new, |(field, value)| {
            self.tokens(&field, value, Scope::ALLOWED, str::parse::<Scope>)
        });
        let subjects = field_of("subjects").map_or_else(Vec::new, |(field, value)| {
            self.tokens(&field, value, Subject::ALLOWED, str::parse::<Subject>)
        });
        let origin = field_of("origin").and_then(|(field, value)| self.origin(&field, value, allow_http));
        let mut boolean =
            |name: &str| field_of(name).and_then(|(field, value)| self.errors.boolean(&field, value));
        let origin_authorization = boolean("origin_authorization");
        let origin_signature = boolean("origin_signature");
        let cache = boolean("cache");
        let cost =
            field_of("cost").and_then(|(field, value)| self.errors.integer(&field, value, &(0..=COST_MAX)));

        let (unused, kind) = match access {
            Access::Key => (&[][..], "key"),
            Access::Public => (KEY_FIELDS, "public"),
            Access::Deny => (FORWARDING_FIELDS, "deny"),
        };
        for (field, _) in unused.iter().filter_map(|name| field_of(name)) {
            let problem = format_args!("has no effect on a route with access = \"{kind}\"; remove it");
            self.errors.add(&field, problem);
        }
        if methods.is_empty() {
            // Its error is reported already; it must not be reported as unreachable too.
            return None;
        }
        Some(Route {
            pattern: pattern?,
            access,
            methods,
            scopes: scopes.into(),
            subjects: subjects.into(),
            origin,
            origin_authorization,
            origin_signature,
            cache: cache.unwrap_or(false),
            cost: cost.unwrap_or(DEFAULT_COST),
        })
    }

    fn pattern(&mut self, field: &str, value: &RawValue, rules: PathRules) -> Option<Pattern> {
        let text = self.errors.string(field, value, "a path pattern such as /v1/reports/*")?;
        if rules.case_insensitive && !text.is_ascii() {
            let problem = "contains non-ASCII characters, which CASE_INSENSITIVE_PATHS does not fold";
            self.errors.add_string(field, &text, problem);
        }
        let parsed = text.parse::<Pattern>();
        parsed.map_err(|error| self.errors.add_string(field, &text, error)).ok()
    }

    fn access(&mut self, field: &str, value: &RawValue) -> Access {
        let allowed = "`public`, `key` or `deny`";
        let Some(text) = self.errors.string(field, value, allowed) else {
            return Access::Key;
        };
        match &*text {
            "public" => Access::Public,
            "key" => Access::Key,
            "deny" => Access::Deny,
            other => {
                self.errors.add_string(field, other, format_args!("is not {allowed}"));
                Access::Key
            }
        }
    }

    fn route_methods(&mut self, field: &str, value: &'v RawValue, methods: &Methods) -> MethodSet {
        let list = self.filled(field, value, "methods");
        let mut set = MethodSet::default();
        for (field, name) in &list {
            match methods.implied_by(name) {
                Some(_) if name == "HEAD" && !list.iter().any(|(_, name)| name == "GET") => {
                    self.errors.add_string(
                        field,
                        name,
                        "is listed without `GET`; rules for GET apply to HEAD too",
                    );
                }
                Some(implied) => set = set.union(implied),
                None => {
                    let allowed = methods.allow_header(methods.all());
                    self.errors.add_string(field, name, format_args!("is not one of METHODS: {allowed}"));
                }
            }
        }
        set
    }

    fn tokens<T: PartialEq, E: fmt::Display>(
        &mut self,
        field: &str,
        value: &'v RawValue,
        allowed: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Vec<T> {
        let mut tokens = Vec::new();
        for (field, text) in self.filled(field, value, allowed) {
            match parse(&text) {
                Ok(token) if tokens.contains(&token) => self.errors.add_string(&field, &text, TWICE),
                Ok(token) => tokens.push(token),
                Err(error) => self.errors.add(&field, error),
            }
        }
        tokens
    }
}
