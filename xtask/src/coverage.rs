//! `cargo xtask coverage`: how much of the core its tests run through.
//!
//! The lines of the tests themselves are not counted, because they always run.

use std::collections::BTreeMap;
use std::fs;

use crate::built_tools;
use crate::failure::Failure;
use crate::program;
use crate::workspace::Workspace;

/// In percent, of the core as a whole.
const LINES_MIN: f64 = 96.0;
/// Where every branch has to be taken.
const DECISION: &str = "src/core/auth/decide.rs";
/// What the tools that read the compiler's counts come with.
const COMPONENT: &str = "llvm-tools";

pub(crate) fn run(workspace: &Workspace) -> Result<(), Failure> {
    let tool = built_tools::cargo_llvm_cov();
    if !tool.is_installed()? {
        eprintln!("setup: {}", tool.description()?);
        tool.install(workspace)?;
    }
    program::run(
        workspace.command("rustup").args(["component", "add", COMPONENT]),
        "install the LLVM tools of your Rust",
    )?;
    let report = workspace.target().join("coverage.lcov");
    program::run(
        workspace
            .command(tool.program()?)
            .args(["llvm-cov", "--quiet", "--package=keygate-core", "--lib", "--branch", "--lcov"])
            .arg("--output-path")
            .arg(&report)
            // Counting branches is not stable yet, and this measures with the compiler that builds the gate.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_TARGET_DIR", workspace.target().join("coverage")),
        "see the errors above",
    )?;
    let report = fs::read_to_string(&report).map_err(|error| {
        Failure::new(format!("cannot read `{}`: {error}", report.display()), "run it again")
    })?;
    judge(&files(workspace, &report)?)
}

/// What of one file was run.
#[derive(Default)]
struct Counts {
    /// Each line that holds code, and whether it was run.
    lines: BTreeMap<u32, bool>,
    /// Each way out of a condition by the report's own names, and whether it was taken.
    branches: BTreeMap<String, bool>,
}

/// Reads the report (lcov: `SF` a file, `DA` a line, `BRDA` a branch), the files' names relative to the clone.
fn files(workspace: &Workspace, report: &str) -> Result<BTreeMap<String, Counts>, Failure> {
    let mut files: BTreeMap<String, Counts> = BTreeMap::new();
    let mut current = (String::new(), u32::MAX);
    let root = format!("{}/", workspace.root().display());
    for line in report.lines() {
        if let Some(path) = line.strip_prefix("SF:") {
            let name = path.strip_prefix(&root).unwrap_or(path);
            current = (name.to_owned(), tests_begin(&workspace.read(name)?));
            continue;
        }
        let (Some(fields), is_line) =
            (line.strip_prefix("DA:").or_else(|| line.strip_prefix("BRDA:")), line.starts_with("DA:"))
        else {
            continue;
        };
        let mut parts = fields.split(',');
        let number = parts.next().and_then(|number| number.parse().ok());
        let count = parts.next_back().and_then(|count| count.parse::<u64>().ok()).unwrap_or(0);
        let Some(number) = number.filter(|number| *number < current.1) else { continue };
        let counts = files.entry(current.0.clone()).or_default();
        let was_run = if is_line {
            counts.lines.entry(number).or_default()
        } else {
            let name = fields.rsplit_once(',').map_or(fields, |(name, _)| name);
            counts.branches.entry(name.to_owned()).or_default()
        };
        *was_run |= count > 0;
    }
    Ok(files)
}

/// The line at which a file's own test module begins.
fn tests_begin(source: &str) -> u32 {
    let at = source.lines().zip(source.lines().skip(1)).zip(1..);
    at.filter(|((line, next), _)| *line == "#[cfg(test)]" && next.starts_with("mod tests {"))
        .map(|(_, at)| at)
        .next()
        .unwrap_or(u32::MAX)
}

fn judge(files: &BTreeMap<String, Counts>) -> Result<(), Failure> {
    let (mut run, mut all) = (0, 0);
    eprintln!("{:<36}{:>12}{:>12}  lines that no test runs", "file", "lines", "branches");
    for (name, Counts { lines, branches }) in files {
        let (lines_run, branches_run) = (count(lines.values()), count(branches.values()));
        run += lines_run;
        all += lines.len();
        let missed: Vec<String> =
            lines.iter().filter(|(_, was_run)| !**was_run).map(|(line, _)| line.to_string()).collect();
        eprintln!(
            "{name:<36}{:>12}{:>12}  {}",
            format!("{lines_run}/{}", lines.len()),
            format!("{branches_run}/{}", branches.len()),
            missed.join(" ")
        );
    }
    let percent = percent(run, all);
    eprintln!("{percent:.1} % of {all} lines");
    if percent < LINES_MIN {
        return Err(Failure::new(
            format!("the tests run less than {LINES_MIN} % of the core's lines"),
            "add tests for the lines above",
        ));
    }
    let not_taken: Vec<&str> = files
        .get(DECISION)
        .into_iter()
        .flat_map(|counts| &counts.branches)
        .filter(|(_, was_taken)| !**was_taken)
        .filter_map(|(name, _)| name.split(',').next())
        .collect();
    if not_taken.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        format!("a branch of `{DECISION}` is not taken, at line {}", not_taken.join(" ")),
        "add a test that takes it",
    ))
}

fn count<'b>(flags: impl Iterator<Item = &'b bool>) -> usize {
    flags.filter(|flag| **flag).count()
}

#[expect(clippy::cast_precision_loss, reason = "no core has 2^52 lines")]
fn percent(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}
