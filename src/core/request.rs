//! A request as the gate reads it: its head, its one path, its method, its credential, and the headers that stay at the gate.

pub mod credential;
pub mod head;
pub mod header_filter;
pub mod method;
pub(crate) mod overrides;
pub mod path;
pub(crate) mod query;
pub mod url;
