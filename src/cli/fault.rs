//! What a command says when it cannot do its work: the problem, then the remedy.

use core::fmt;

/// Why a command ended without doing its work.
///
/// Neither text ever holds a key or a pepper: errors end up in terminals, logs and tickets.
#[derive(Debug)]
pub(crate) struct Fault {
    kind: Kind,
    /// What was asked for may have been done all the same: no answer came.
    unanswered: bool,
    problem: String,
    remedy: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Failed,
    Usage,
}

/// The result of everything that can end a command.
pub(crate) type Outcome<T> = Result<T, Fault>;

impl Fault {
    /// The world was not as needed: exit code 1.
    pub(crate) fn failed(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { kind: Kind::Failed, unanswered: false, problem: problem.into(), remedy: remedy.into() }
    }

    /// The command line asks for something that cannot be: exit code 2, as for clap's own errors.
    pub(crate) fn usage(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { kind: Kind::Usage, ..Self::failed(problem, remedy) }
    }

    /// The same fault, of something that may have been done all the same.
    pub(crate) fn unanswered(self) -> Self {
        Self { unanswered: true, ..self }
    }

    /// Whether what failed may have been done all the same.
    pub(crate) fn is_unanswered(&self) -> bool {
        self.unanswered
    }

    /// The same fault, with what it brought about and what is to be done about that.
    pub(crate) fn and(self, consequence: impl AsRef<str>, remedy: impl Into<String>) -> Self {
        Self {
            kind: Kind::Failed,
            unanswered: self.unanswered,
            problem: format!("{}; {}", self.problem, consequence.as_ref()),
            remedy: remedy.into(),
        }
    }

    /// What was wrong, without what to do about it.
    pub(crate) fn problem(&self) -> &str {
        &self.problem
    }

    /// What to do about it.
    pub(crate) fn remedy(&self) -> &str {
        &self.remedy
    }

    /// What the process ends with.
    pub(crate) fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Failed => 1,
            Kind::Usage => 2,
        }
    }

    /// The fault as one JSON object, for `--json`.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::json!({ "error": self.problem, "remedy": self.remedy })
    }
}

impl From<keygate_delivery::Error> for Fault {
    fn from(error: keygate_delivery::Error) -> Self {
        Self {
            kind: if error.is_usage() { Kind::Usage } else { Kind::Failed },
            unanswered: error.is_unanswered(),
            problem: error.problem().to_owned(),
            remedy: error.remedy().to_owned(),
        }
    }
}

impl From<Fault> for keygate_delivery::Error {
    fn from(fault: Fault) -> Self {
        let Fault { kind, unanswered, problem, remedy } = fault;
        let error = match kind {
            Kind::Failed => Self::failed(problem, remedy),
            Kind::Usage => Self::usage(problem, remedy),
        };
        if unanswered { error.unanswered() } else { error }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}\n help: {}", self.problem, self.remedy)
    }
}
