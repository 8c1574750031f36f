//! What a command says when it cannot do its work: the problem, then the remedy.

use serde::Serialize;

/// Why a command ended without doing its work.
///
/// Neither text ever holds a key or a pepper: errors end up in terminals, logs and tickets.
#[derive(Debug, Serialize, thiserror::Error)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[error("error: {problem}\n help: {remedy}")]
pub(crate) struct Error {
    #[serde(skip)]
    is_usage: bool,
    /// What was asked for may have been done all the same: no answer came.
    #[serde(skip)]
    unanswered: bool,
    #[serde(rename = "error")]
    problem: String,
    remedy: String,
}

/// The result of everything that can end a command.
pub(crate) type Outcome<T> = Result<T, Error>;

impl Error {
    /// The world was not as needed: exit code 1.
    pub(crate) fn failed(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { is_usage: false, unanswered: false, problem: problem.into(), remedy: remedy.into() }
    }

    /// The command line asks for something that cannot be: exit code 2, as for clap's own errors.
    pub(crate) fn usage(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { is_usage: true, ..Self::failed(problem, remedy) }
    }

    /// The same error, of something that may have been done all the same.
    pub(crate) fn unanswered(self) -> Self {
        Self { unanswered: true, ..self }
    }

    /// Whether what failed may have been done all the same.
    pub(crate) fn is_unanswered(&self) -> bool {
        self.unanswered
    }

    /// The same error, with what it brought about and what is to be done about that.
    pub(crate) fn and(self, consequence: impl AsRef<str>, remedy: impl Into<String>) -> Self {
        let problem = format!("{}; {}", self.problem, consequence.as_ref());
        Self { is_usage: false, unanswered: self.unanswered, problem, remedy: remedy.into() }
    }

    /// What was wrong, without what to do about it.
    pub(crate) fn problem(&self) -> &str {
        &self.problem
    }

    /// What to do about it.
    pub(crate) fn remedy(&self) -> &str {
        &self.remedy
    }

    /// The process's exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        if self.is_usage { 2 } else { 1 }
    }
}

impl From<keygate_delivery::Error> for Error {
    fn from(error: keygate_delivery::Error) -> Self {
        Self {
            is_usage: error.is_usage(),
            unanswered: error.is_unanswered(),
            problem: error.problem().to_owned(),
            remedy: error.remedy().to_owned(),
        }
    }
}

impl From<Error> for keygate_delivery::Error {
    fn from(error: Error) -> Self {
        let Error { is_usage, unanswered, problem, remedy } = error;
        let error = if is_usage { Self::usage(problem, remedy) } else { Self::failed(problem, remedy) };
        if unanswered { error.unanswered() } else { error }
    }
}
