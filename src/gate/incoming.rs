//! The incoming request: the parts of its head that the core needs, read once.

use std::cell::OnceCell;

use js_sys::Array;
use keygate_core::policy::{Policy, reads_header_without_policy};
use keygate_core::request::head::RequestHead;
use keygate_core::telemetry::event::request_id_of_ray;
use web_sys::{Headers, Request};
use worker::worker_sys::Context;
use zeroize::Zeroizing;

use crate::runtime;

/// A request, with the values that were read from it. Any of them may contain a key.
pub(crate) struct Incoming {
    pub(crate) request: Request,
    pub(crate) headers: Headers,
    /// For what goes on after the response; `None` if the instance has failed.
    pub(crate) context: Option<Context>,
    method: String,
    url: Zeroizing<String>,
    /// The names of all headers, in lower case, one per line.
    names: String,
    values: Vec<(String, Zeroizing<String>)>,
    id: OnceCell<String>,
}

impl Incoming {
    /// Reads method, URL, the names of all headers, and the values of those that the policy needs.
    pub(crate) fn read(request: Request, context: Option<Context>, policy: Option<&Policy>) -> Self {
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
            context,
            request,
            id: OnceCell::new(),
        }
    }

    /// The header values, in the form that [`Incoming::head`] borrows.
    pub(crate) fn pairs(&self) -> Vec<(&str, &str)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// The head for the core.
    pub(crate) fn head<'a>(&'a self, pairs: &'a [(&'a str, &'a str)]) -> RequestHead<'a> {
        RequestHead { method: &self.method, url: &self.url, header_names: &self.names, headers: pairs }
    }

    /// Whether the client has disconnected; false where the runtime does not tell.
    pub(crate) fn has_disconnected(&self) -> bool {
        runtime::property(&runtime::property(&self.request, "signal"), "aborted").is_truthy()
    }

    /// Calls `with` with the head.
    pub(crate) fn with_head<T>(&self, with: impl FnOnce(&RequestHead<'_>) -> T) -> T {
        with(&self.head(&self.pairs()))
    }

    /// The id of the request in its response and in its log lines: Cloudflare's Ray ID, or a random one.
    pub(crate) fn id(&self, head: &RequestHead<'_>) -> &str {
        self.id.get_or_init(|| {
            let ray = head.header("cf-ray").and_then(request_id_of_ray);
            ray.map_or_else(runtime::random_id, str::to_owned)
        })
    }
}
