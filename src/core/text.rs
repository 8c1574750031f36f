//! Parsing and escaping of strings, used in all of the core.

pub(crate) mod fnv;
pub(crate) mod from_str;
pub(crate) mod json_error;
pub(crate) mod message;
pub(crate) mod unique_map;
