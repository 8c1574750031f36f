//! Origins that lead back to the gate.

use keygate_core::policy::Policy;
use keygate_core::policy::origin::{Origin, OriginUrl};
use keygate_core::policy::route::Route;
use serde_json::Value;

use crate::findings::{Findings, Level};
use crate::wrangler_config::{WranglerConfig, is_custom_domain};

const REMEDY: &str = "name the host behind the gate; `ORIGIN = \"zone\"` for the origin of the zone that the gate's route is in, or `service:BINDING` for a Worker";

/// Where `wrangler dev` listens, unless `dev.port` says otherwise.
const DEV_PORT: u64 = 8787;

/// Addresses under which the gate is reached.
struct Address {
    /// Where it is said, as it is written.
    source: String,
    /// `api.example.com`; with a `*` at its start every host that ends with the rest.
    host: String,
    /// What the path begins with; all of it, unless there is a `*` at its end.
    path: String,
}

/// An origin that leads back to the gate.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Loop {
    /// `ORIGIN` or `ROUTES[0].origin`.
    pub(crate) field: String,
    problem: String,
}

impl Loop {
    /// Adds it as an error of this field of this file.
    pub(crate) fn report(self, file: &str, field: String, findings: &mut Findings) {
        findings.advise(Level::Error, file, field, self.problem, REMEDY);
    }
}

/// Checks every origin of the policy against the addresses of the same gate.
pub(crate) fn check_loops(config: &WranglerConfig, policy: &Policy, findings: &mut Findings) {
    report(config, loops(config, policy), findings);
}

/// The origins of the policy that lead back to the gate of this configuration.
pub(crate) fn loops(config: &WranglerConfig, policy: &Policy) -> Vec<Loop> {
    let mut all = at_addresses(policy, &of_config(config));
    all.extend(by_origin(policy, |origin| {
        let Origin::Service(binding) = origin else {
            return None;
        };
        own_service(config, binding)
    }));
    all
}

/// Checks every origin of the policy against an address that the operator names.
pub(crate) fn check_url(config: &WranglerConfig, policy: &Policy, url: &str, findings: &mut Findings) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let address =
        Address { source: "`--url`".to_owned(), host: host.to_ascii_lowercase(), path: "/*".to_owned() };
    check_addresses(config, policy, &[address], findings);
}

/// Checks every origin of the policy against routes that are deployed.
pub(crate) fn check_patterns<'p>(
    config: &WranglerConfig,
    policy: &Policy,
    patterns: impl Iterator<Item = &'p str>,
    findings: &mut Findings,
) {
    let all: Vec<Address> = patterns.map(|pattern| of_pattern(pattern, false)).collect();
    check_addresses(config, policy, &all, findings);
}

fn check_addresses(config: &WranglerConfig, policy: &Policy, all: &[Address], findings: &mut Findings) {
    report(config, at_addresses(policy, all), findings);
}

fn report(config: &WranglerConfig, loops: Vec<Loop>, findings: &mut Findings) {
    for found in loops {
        let field = config.place(&format!("vars.{}", found.field));
        found.report(config.name(), field, findings);
    }
}

fn at_addresses(policy: &Policy, all: &[Address]) -> Vec<Loop> {
    by_origin(policy, |origin| {
        let Origin::Url(url) = origin else {
            return None;
        };
        all.iter().find(|address| leads_back(url, address, all)).map(|address| address.source.clone())
    })
}

/// The origins for which `way` says by what they lead back.
fn by_origin(policy: &Policy, way: impl Fn(&Origin) -> Option<String>) -> Vec<Loop> {
    let top = (policy.origin(), "ORIGIN".to_owned());
    let routes = policy.routes().as_slice().iter().enumerate();
    let own = routes.filter_map(|(at, route)| Some((Route::origin(route)?, format!("ROUTES[{at}].origin"))));
    let found = [top].into_iter().chain(own).filter_map(|(origin, field)| {
        let source = way(origin)?;
        let problem = format!(
            "leads back to the gate, whose address it is by {source}; the gate would answer 508 to every request"
        );
        Some(Loop { field, problem })
    });
    found.collect()
}

/// The binding, as it is written, if its Worker is the gate itself.
fn own_service(config: &WranglerConfig, binding: &str) -> Option<String> {
    let services = config.setting("services")?.as_array()?;
    let at =
        services.iter().position(|entry| entry.get("binding").and_then(Value::as_str) == Some(binding))?;
    let entry = services.get(at)?;
    let service = entry.get("service")?.as_str()?;
    let name = match entry.get("environment").and_then(Value::as_str) {
        Some(environment) => format!("{service}-{environment}"),
        None => service.to_owned(),
    };
    (config.worker_name()? == name).then(|| format!("`{}`", config.place(&format!("services[{at}].service"))))
}

/// The routes and custom domains of the chosen environment, its name at workers.dev, and where it listens locally.
fn of_config(config: &WranglerConfig) -> Vec<Address> {
    let mut all: Vec<Address> = config
        .routes()
        .filter_map(|route| {
            let pattern = route.as_str().or_else(|| route.get("pattern")?.as_str())?;
            Some(of_pattern(pattern, is_custom_domain(route)))
        })
        .collect();
    let dev = config.setting("dev").and_then(|dev| dev.get("port")).and_then(Value::as_u64);
    let port = dev.unwrap_or(DEV_PORT);
    all.extend(["localhost", "127.0.0.1", "[::1]"].map(|host| Address {
        source: "the port of `wrangler dev`".to_owned(),
        host: format!("{host}:{port}"),
        path: "/*".to_owned(),
    }));
    if config.setting("workers_dev") != Some(&Value::Bool(false))
        && let Some(name) = config.worker_name()
    {
        all.push(Address {
            source: format!("`{}`", config.place("workers_dev")),
            host: format!("{name}.*.workers.dev"),
            path: "/*".to_owned(),
        });
    }
    all
}

/// A route's pattern: `[scheme://]host[/path]`, with a `*` only at the start of the host and at the end of the path.
fn of_pattern(pattern: &str, is_domain: bool) -> Address {
    let rest = pattern.split_once("://").map_or(pattern, |(_, rest)| rest);
    let (host, path) = rest.find('/').and_then(|at| rest.split_at_checked(at)).unwrap_or((rest, "/"));
    Address {
        source: format!("the route `{pattern}`"),
        host: host.to_ascii_lowercase(),
        path: if is_domain { "/*".to_owned() } else { path.to_owned() },
    }
}

/// Whether a request that reached the gate at any of its addresses is forwarded to this one.
fn leads_back(origin: &OriginUrl, address: &Address, all: &[Address]) -> bool {
    let (_, authority) = origin.base().split_once("://").unwrap_or_default();
    let host =
        authority.rsplit_once(':').filter(|_| !authority.ends_with(']')).map_or(authority, |(host, _)| host);
    let is_host = match address.host.split_once('*') {
        None => address.host == authority || address.host == host,
        Some((start, end)) => {
            host.len() >= start.len() + end.len() && host.starts_with(start) && host.ends_with(end)
        }
    };
    let forwarded = |from: &Address| match from.path.strip_suffix('*') {
        Some(start) => (format!("{}{start}", origin.base_path()), true),
        None => (format!("{}{}", origin.base_path(), from.path), false),
    };
    is_host
        && all.iter().map(forwarded).any(|(path, is_open)| match address.path.strip_suffix('*') {
            Some(start) => path.starts_with(start) || is_open && start.starts_with(&path),
            None => path == address.path || is_open && address.path.starts_with(&path),
        })
}

#[cfg(test)]
mod tests {
    use super::check_loops;
    use crate::findings::Findings;
    use crate::wrangler_config::fake::gate;
    use keygate_core::policy::Policy;

    fn is_loop(settings: &str, origin: &str) -> bool {
        let (_folder, config) = gate(&format!("name = 'gate'\n{settings}\n"), "");
        let vars = format!("{{\"KEY_PREFIX\": \"acme\", \"ORIGIN\": \"{origin}\"}}");
        let mut findings = Findings::default();
        check_loops(&config, &Policy::from_json(&vars).unwrap(), &mut findings);
        !findings.is_empty()
    }

    #[test]
    fn an_origin_at_an_address_of_the_gate_is_a_loop() {
        const OFF: &str = "workers_dev = false";
        for (settings, origin, expected) in [
            (OFF, "https://api.example.com", false),
            ("", "https://gate.acme.workers.dev", true),
            ("", "https://other.acme.workers.dev", false),
            ("", "https://gate.workers.dev", false),
            (OFF, "https://gate.acme.workers.dev", false),
            ("routes = ['api.example.com/*']", "https://api.example.com", true),
            ("routes = ['api.example.com/*']", "https://API.example.com:8443/base", true),
            ("routes = ['https://api.example.com/*']", "https://api.example.com", true),
            ("route = 'api.example.com/*'", "https://api.example.com", true),
            (
                "route = { pattern = 'api.example.com/*', zone_name = 'example.com' }",
                "https://api.example.com",
                true,
            ),
            ("routes = ['api.example.com/*']", "https://origin.example.com", false),
            ("routes = ['*.example.com/*']", "https://origin.example.com", true),
            ("routes = ['*.example.com/*']", "https://example.com", false),
            ("routes = ['*example.com/*']", "https://example.com", true),
            (
                "routes = [{ pattern = 'api.example.com', custom_domain = true }]",
                "https://api.example.com/base",
                true,
            ),
            ("routes = ['api.example.com/v1/*']", "https://api.example.com", true),
            ("routes = ['api.example.com/v1/*']", "https://api.example.com/internal", false),
            ("routes = ['api.example.com/v1/*']", "https://api.example.com/v1", true),
            (
                "routes = ['api.example.com/v1/*', 'api.example.com/internal/*']",
                "https://api.example.com/internal",
                true,
            ),
            ("routes = ['api.example.com/health']", "https://api.example.com", true),
            ("routes = ['api.example.com/health']", "https://api.example.com/base", false),
            ("routes = ['api.example.com']", "https://api.example.com/base", false),
            ("routes = ['api.example.com/*']", "zone", false),
            ("services = [{ binding = 'API', service = 'gate' }]", "service:API", true),
            ("services = [{ binding = 'API', service = 'backend' }]", "service:API", false),
            (
                "services = [{ binding = 'API', service = 'gate', environment = 'test' }]",
                "service:API",
                false,
            ),
            (
                "services = [{ binding = 'A', service = 'gate' }, { binding = 'API', service = 'backend' }]",
                "service:API",
                false,
            ),
            (OFF, "http://127.0.0.1:8787", true),
            (OFF, "http://localhost:8787/base", true),
            (OFF, "http://127.0.0.1:5000", false),
            ("dev = { port = 5000 }", "http://127.0.0.1:5000", true),
            ("dev = { port = 5000 }", "http://127.0.0.1:8787", false),
        ] {
            assert_eq!(is_loop(settings, origin), expected, "{settings} {origin}");
        }
    }
}
