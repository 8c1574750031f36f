//! A request that is sent, and what is known of it beforehand.

use crate::expected::Expected;

/// Names the request to the driver: at the origin, and to the person who looks at one.
pub(crate) const NUMBER: &str = "x-request-number";

#[derive(Default)]
pub(crate) struct Request {
    pub(crate) number: u64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) method: String,
    /// As it is in the request's first line, where nothing is odd about it.
    pub(crate) target: Option<String>,
    pub(crate) body: Vec<u8>,
    pub(crate) expected: Expected,
    /// It holds a whole key where no key belongs, and the origin may get that.
    pub(crate) is_exposing: bool,
    /// The runtime may refuse to read it, or not agree where it ends; it is the last on its connection.
    pub(crate) is_malformed: bool,
}
