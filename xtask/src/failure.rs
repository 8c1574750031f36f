//! Why a command stops.

use std::any::Any;
use std::fmt::{self, Display, Formatter};

/// For whatever downloads.
pub(crate) const NETWORK_REMEDY: &str =
    "see what it said above, check that this machine reaches its package registries, then try again";

/// What went wrong and what the person can do about it, one line in all.
#[derive(Debug)]
pub(crate) struct Failure {
    problem: String,
    remedy: String,
}

impl Failure {
    pub(crate) fn new(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { problem: problem.into(), remedy: remedy.into() }
    }

    /// Of a thread that panicked.
    pub(crate) fn panicked(_: Box<dyn Any + Send>) -> Self {
        Self::new("a part of it panicked", "see the panic above")
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.problem, self.remedy)
    }
}
