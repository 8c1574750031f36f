//! What `keygate check` and `keygate doctor` found: where, and what is wrong there.

use std::process::ExitCode;

use serde::Serialize;

use crate::error::Outcome;
use crate::output::{Output, printable};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) enum Level {
    /// The gate would refuse what is written.
    Error,
    /// It works, and is not wise.
    Warning,
    /// It may be what is meant.
    Note,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Finding {
    level: Level,
    file: String,
    /// `vars.ROUTES[2].methods[0]`; `.` is the whole file.
    field: String,
    problem: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

/// What was found.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Report<'r> {
    /// Whether there is no error.
    ok: bool,
    findings: &'r [Finding],
    /// The version of the deployed gate, where `doctor --remote` found it.
    #[serde(skip_serializing_if = "Option::is_none")]
    deployed_version: Option<&'r str>,
}

/// All findings, in the order in which they were made.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    list: Vec<Finding>,
    pub(crate) deployed_version: Option<String>,
}

impl Findings {
    pub(crate) fn add(
        &mut self,
        level: Level,
        file: &str,
        field: impl Into<String>,
        problem: impl Into<String>,
    ) {
        let (file, field, problem) = (file.to_owned(), field.into(), problem.into());
        self.push(Finding { level, file, field, problem, remedy: None });
    }

    /// As [`Findings::add`], with what to do about it.
    pub(crate) fn advise(
        &mut self,
        level: Level,
        file: &str,
        field: impl Into<String>,
        problem: impl Into<String>,
        remedy: &str,
    ) {
        let (file, field, problem) = (file.to_owned(), field.into(), problem.into());
        self.push(Finding { level, file, field, problem, remedy: Some(remedy.to_owned()) });
    }

    /// Environments share files: what is said of one is said once.
    fn push(&mut self, finding: Finding) {
        if !self.list.contains(&finding) {
            self.list.push(finding);
        }
    }

    /// Prints them with their number.
    ///
    /// # Errors
    /// Standard output is closed or full.
    pub(crate) fn print(&self, out: Output) -> Outcome<ExitCode> {
        let (errors, warnings) = (self.count(Level::Error), self.count(Level::Warning));
        if out.is_json() || !self.is_empty() {
            out.result(&self.report(), self.to_text())?;
        }
        let count = |number: usize, what| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
        let notes = match self.count(Level::Note) {
            0 => String::new(),
            number => format!(", {}", count(number, "note")),
        };
        out.note(format_args!("{}, {}{notes}", count(errors, "error"), count(warnings, "warning")));
        Ok(ExitCode::from(u8::from(errors > 0)))
    }

    pub(crate) fn report(&self) -> Report<'_> {
        let deployed_version = self.deployed_version.as_deref();
        Report { ok: self.count(Level::Error) == 0, findings: &self.list, deployed_version }
    }

    /// What is wrong first of all.
    pub(crate) fn first_error(&self) -> Option<String> {
        let error = self.list.iter().find(|finding| finding.level == Level::Error)?;
        Some(format!("{}: {}", error.field, error.problem))
    }

    pub(crate) fn count(&self, level: Level) -> usize {
        self.list.iter().filter(|finding| finding.level == level).count()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// One line each, and one for each remedy.
    pub(crate) fn to_text(&self) -> String {
        let line = |finding: &Finding| {
            let level = match finding.level {
                Level::Error => "error",
                Level::Warning => "warning",
                Level::Note => "note",
            };
            let line =
                printable(&format!("{level}: {}: {}: {}", finding.file, finding.field, finding.problem));
            match &finding.remedy {
                Some(remedy) => format!("{line}\n help: {}", printable(remedy)),
                None => line,
            }
        };
        self.list.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}
