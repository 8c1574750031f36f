//! A request as the gate reads it: the parts of its head that decide, once.

use std::cell::OnceCell;

use js_sys::Array;
use keygate_core::policy::{Policy, reads_header_without_policy};
use keygate_core::request::head::RequestHead;
use keygate_core::telemetry::event::request_id_of_ray;
use web_sys::{Headers, Request};
use zeroize::Zeroizing;

use crate::runtime;

/// A request and what was read of it. A key may stand in each of its texts.
pub(crate) struct Incoming {
    pub(crate) request: Request,
    pub(crate) headers: Headers,
    method: String,
    url: Zeroizing<String>,
    /// All names, in lower case, one a line.
    names: String,
    values: Vec<(String, Zeroizing<String>)>,
    id: OnceCell<String>,
}

impl Incoming {
    /// Reads method, URL, the names of all headers, and the values of those that the policy names.
    pub(crate) fn read(request: Request, policy: Option<&Policy>) -> Self {
        let headers = request.headers();
        let names = String::from(Array::from(&headers.keys()).join("\n"));
        let is_read = |name: &&str| match policy {
            Some(policy) => policy.reads_header(name),
            None => reads_header_without_policy(name),
        };
        let values = names.split('\n').filter(is_read).filter_map(|name| {
            let value = headers.get(name).ok()??;
            Some((name.to_owned(), Zeroizing::new(value)))
        });
        Self {
            method: request.method(),
            url: Zeroizing::new(request.url()),
            values: values.collect(),
            names,
            headers,
            request,
            id: OnceCell::new(),
        }
    }

    /// The values as [`Incoming::head`] borrows them.
    pub(crate) fn pairs(&self) -> Vec<(&str, &str)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// What the core is asked about.
    pub(crate) fn head<'a>(&'a self, pairs: &'a [(&'a str, &'a str)]) -> RequestHead<'a> {
        RequestHead { method: &self.method, url: &self.url, header_names: &self.names, headers: pairs }
    }

    /// Calls `with` with the head.
    pub(crate) fn with_head<T>(&self, with: impl FnOnce(&RequestHead<'_>) -> T) -> T {
        with(&self.head(&self.pairs()))
    }

    /// Names the request in its answer and in all of its log lines: Cloudflare's Ray ID, or a random one.
    pub(crate) fn id(&self, head: &RequestHead<'_>) -> &str {
        self.id.get_or_init(|| {
            let ray = head.header("cf-ray").and_then(request_id_of_ray);
            ray.map_or_else(runtime::random_id, str::to_owned)
        })
    }
}
