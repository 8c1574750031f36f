//! Why something could not be done, and what to do next.

use serde::Serialize;

/// Why a command ended without doing its work.
///
/// Neither text ever holds a key, a pepper or a token: errors end up in terminals, logs and tickets.
#[derive(Clone, Debug, Serialize, thiserror::Error)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[error("error: {problem}\n help: {remedy}")]
pub struct Error {
    #[serde(skip)]
    is_usage: bool,
    #[serde(skip)]
    is_unanswered: bool,
    #[serde(rename = "error")]
    problem: String,
    remedy: String,
}

/// The result of everything that can fail here.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The world was not as needed.
    pub fn failed(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { is_usage: false, is_unanswered: false, problem: problem.into(), remedy: remedy.into() }
    }

    /// What was asked for cannot be.
    pub fn usage(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { is_usage: true, ..Self::failed(problem, remedy) }
    }

    /// The same error, of something that may have been done all the same: no answer came.
    #[must_use]
    pub fn unanswered(self) -> Self {
        Self { is_unanswered: true, ..self }
    }

    /// The same error, with its consequence and what to do about that.
    #[must_use]
    pub fn and(self, consequence: impl AsRef<str>, remedy: impl Into<String>) -> Self {
        Self {
            is_usage: false,
            problem: format!("{}; {}", self.problem, consequence.as_ref()),
            remedy: remedy.into(),
            ..self
        }
    }

    /// Whether what was asked for cannot be, as opposed to something that failed.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        self.is_usage
    }

    /// Whether what failed may have been done all the same.
    #[must_use]
    pub fn is_unanswered(&self) -> bool {
        self.is_unanswered
    }

    /// What was wrong.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> &str {
        &self.remedy
    }
}

/// Fails unless the error has this problem and this remedy, and no secret.
#[cfg(test)]
pub(crate) fn check(error: &Error, problem: &str, remedy: &str) {
    assert!(error.problem().contains(problem), "{problem}: {error:?}");
    assert!(error.remedy().contains(remedy), "{remedy}: {error:?}");
    for secret in ["s3cret", "canary"] {
        assert!(!format!("{error:?}").contains(secret), "{error:?}");
    }
}
