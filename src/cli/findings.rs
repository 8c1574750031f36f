//! What `keygate check` found: where, and what is wrong there.

use serde::Serialize;

use crate::output::printable;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// The gate would refuse what is written.
    Error,
    /// It works, and is not wise.
    Warning,
}

#[derive(Debug, Serialize)]
struct Finding {
    level: Level,
    file: String,
    /// `vars.ROUTES[2].methods[0]`; `.` is the whole file.
    field: String,
    problem: String,
}

/// All findings, in the order in which they were made.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    pub(crate) fn add(
        &mut self,
        level: Level,
        file: &str,
        field: impl Into<String>,
        problem: impl Into<String>,
    ) {
        self.0.push(Finding { level, file: file.to_owned(), field: field.into(), problem: problem.into() });
    }

    pub(crate) fn count(&self, level: Level) -> usize {
        self.0.iter().filter(|finding| finding.level == level).count()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::json!({ "ok": self.count(Level::Error) == 0, "findings": self.0 })
    }

    /// One line each.
    pub(crate) fn to_text(&self) -> String {
        let line = |finding: &Finding| {
            let level = match finding.level {
                Level::Error => "error",
                Level::Warning => "warning",
            };
            printable(&format!("{level}: {}: {}: {}", finding.file, finding.field, finding.problem))
        };
        self.0.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}
