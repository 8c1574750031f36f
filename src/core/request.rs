//! The parts of a request that the gate reads: URL, path, method, credential and headers; and the headers that it strips.

pub mod credential;
pub mod head;
pub mod header_filter;
pub mod method;
pub mod path;
pub(crate) mod query;
pub mod url;
pub mod via;
