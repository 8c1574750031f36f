//! HTTP methods: the allowed ones, by name, and sets of them.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use thiserror::Error;

/// The number of bits of a [`MethodSet`]; no API needs more.
const METHODS_MAX: usize = 32;
/// `BASELINE-CONTROL` has 16 characters; nothing registered is longer than 17.
const METHOD_MAX_LEN: usize = 32;
/// A tunnel, and two methods that echo the request's headers, credential included.
const REFUSED: [&str; 3] = ["CONNECT", "TRACE", "TRACK"];

/// One of the allowed methods, by its index in [`Methods`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MethodIndex(u8); // INVARIANT: < METHODS_MAX

/// Some of the allowed methods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MethodSet(u32);

/// The methods of IANA's registry ("Hypertext Transfer Protocol (HTTP) Method Registry"), and others that servers and Node.js know.
const REGISTERED: [&str; 47] = [
    "ACL",
    "BASELINE-CONTROL",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "CONNECT",
    "COPY",
    "DELETE",
    "GET",
    "HEAD",
    "LABEL",
    "LINK",
    "LOCK",
    "M-SEARCH",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "MOVE",
    "NOTIFY",
    "OPTIONS",
    "ORDERPATCH",
    "PATCH",
    "POST",
    "PRI",
    "PROPFIND",
    "PROPPATCH",
    "PURGE",
    "PUT",
    "QUERY",
    "REBIND",
    "REPORT",
    "SEARCH",
    "SOURCE",
    "SUBSCRIBE",
    "TRACE",
    "TRACK",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UNLOCK",
    "UNSUBSCRIBE",
    "UPDATE",
    "UPDATEREDIRECTREF",
    "VERSION-CONTROL",
];

/// Whether a name, in capitals, is that of a known method.
pub(crate) fn is_registered(name: &str) -> bool {
    REGISTERED.contains(&name)
}

impl MethodSet {
    /// Whether the method is in the set.
    #[must_use]
    pub fn contains(self, method: MethodIndex) -> bool {
        self.0 & Self::of(method).0 != 0
    }

    /// The methods of both sets.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether every method of this set is in `other`.
    #[must_use]
    pub fn is_subset_of(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The set and this method.
    #[must_use]
    pub fn with(self, method: MethodIndex) -> Self {
        self.union(Self::of(method))
    }

    fn of(method: MethodIndex) -> Self {
        Self(1_u32.checked_shl(u32::from(method.0)).unwrap_or(0))
    }
}

/// The methods that the gate accepts, in the order of `METHODS`.
#[derive(Clone, Debug, Default)]
pub struct Methods {
    names: Vec<Box<str>>, // INVARIANT: at most METHODS_MAX, none twice
}

/// Why a name cannot be one of the allowed methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum MethodError {
    /// Not A-Z, 0-9, `-` and `_`, or too long.
    #[error(
        "is not a method name: 1 to {METHOD_MAX_LEN} characters of A-Z, 0-9, `-` and `_` that start with a letter"
    )]
    Name,
    /// `CONNECT`, `TRACE` or `TRACK`.
    #[error("is refused: CONNECT, TRACE and TRACK are never allowed")]
    Refused,
    /// It is listed already.
    #[error("is listed twice")]
    Twice,
    /// There are 32 already.
    #[error("is one too many; at most {METHODS_MAX} are allowed")]
    TooMany,
}

impl Methods {
    /// Adds a method.
    ///
    /// # Errors
    /// Every variant of [`MethodError`].
    pub(crate) fn add(&mut self, name: &str) -> Result<(), MethodError> {
        let upper = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
        if name.len() > METHOD_MAX_LEN
            || !name.starts_with(|c: char| c.is_ascii_uppercase())
            || !name.bytes().all(upper)
        {
            Err(MethodError::Name)
        } else if REFUSED.contains(&name) {
            Err(MethodError::Refused)
        } else if self.index_of(name).is_some() {
            Err(MethodError::Twice)
        } else if self.names.len() >= METHODS_MAX {
            Err(MethodError::TooMany)
        } else {
            self.names.push(name.into());
            Ok(())
        }
    }

    /// Finds a method by its exact name; methods are case-sensitive (RFC 9110, section 9.1).
    #[must_use]
    pub fn index_of(&self, method: &str) -> Option<MethodIndex> {
        self.indexed().find_map(|(index, name)| (name == method).then_some(index))
    }

    /// All allowed methods.
    #[must_use]
    pub fn all(&self) -> MethodSet {
        self.indexed().fold(MethodSet::default(), |set, (index, _)| set.union(MethodSet::of(index)))
    }

    /// The methods that a name in a route stands for: rules for GET apply to HEAD too.
    #[must_use]
    pub(crate) fn implied_by(&self, name: &str) -> Option<MethodSet> {
        let set = MethodSet::of(self.index_of(name)?);
        match self.index_of("HEAD") {
            Some(head) if name == "GET" => Some(set.union(MethodSet::of(head))),
            _ => Some(set),
        }
    }

    /// The value of an `Allow` header for a set: `GET, HEAD, POST`.
    #[must_use]
    pub fn allow_header(&self, set: MethodSet) -> String {
        let names: Vec<&str> =
            self.indexed().filter_map(|(index, name)| set.contains(index).then_some(name)).collect();
        names.join(", ")
    }

    fn indexed(&self) -> impl Iterator<Item = (MethodIndex, &str)> {
        (0_u8..).map(MethodIndex).zip(self.names.iter().map(|name| &**name))
    }
}

#[cfg(test)]
mod tests {
    use super::{MethodError, Methods};

    fn methods(names: &[&str]) -> Methods {
        let mut methods = Methods::default();
        for name in names {
            methods.add(name).unwrap();
        }
        methods
    }

    #[test]
    fn method_is_found_only_by_its_exact_name() {
        let methods = methods(&["GET", "M-SEARCH"]);
        assert!(methods.index_of("GET").is_some() && methods.index_of("M-SEARCH").is_some());
        for other in ["", "get", "Get", "GET ", "GETS", "GE", "HEAD", "PROPFIND", "ＧＥＴ"] {
            assert_eq!(methods.index_of(other), None, "{other:?}");
        }
    }

    #[test]
    fn get_implies_head_if_head_is_allowed() {
        let both = methods(&["POST", "GET", "HEAD"]);
        assert_eq!(both.allow_header(both.implied_by("GET").unwrap()), "GET, HEAD");
        assert_eq!(both.allow_header(both.implied_by("POST").unwrap()), "POST");
        let get = methods(&["GET"]);
        assert_eq!(get.allow_header(get.implied_by("GET").unwrap()), "GET");
        assert_eq!(get.implied_by("HEAD"), None);
    }

    #[test]
    fn malformed_refused_and_repeated_methods_are_rejected() {
        let mut methods = methods(&["GET"]);
        for (name, error) in [
            ("", MethodError::Name),
            ("get", MethodError::Name),
            ("-A", MethodError::Name),
            ("GET\r\nX:", MethodError::Name),
            ("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG", MethodError::Name),
            ("CONNECT", MethodError::Refused),
            ("TRACE", MethodError::Refused),
            ("TRACK", MethodError::Refused),
            ("GET", MethodError::Twice),
        ] {
            assert_eq!(methods.add(name), Err(error), "{name:?}");
        }
        for n in 1..32 {
            methods.add(&alloc::format!("M{n}")).unwrap();
        }
        assert_eq!(methods.add("M32"), Err(MethodError::TooMany));
        assert!(methods.all().contains(methods.index_of("M31").unwrap()));
        assert!(methods.all().is_subset_of(methods.all()) && !methods.all().is_empty());
    }
}
