//! What the command line takes for as many keys as an operator may have: time, memory, calls.
//!
//! The server is the end-to-end tests' stand-in for Cloudflare's API, with the real one's limits: 1,000 names a page, with an empty
//! page before each further one, 10,000 entries a write, 100 values a read.

mod local;
mod source;
mod stand_in;

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use clap::Args;
use fs_err::{self as fs, File};
use keygate_testbed::checkout::Checkout;
use keygate_testbed::run as run_program;

use crate::keys::PEPPER;
use crate::machine::Machine;
use crate::place::Place;
use crate::process::Running;
use crate::report::Bar;
use source::Source;
use stand_in::{Calls, StandIn};

#[derive(Args)]
pub(crate) struct Options {
    /// How many keys
    #[arg(long, default_value_t = 100_000)]
    keys: usize,
}

/// One command, with what it has to come to.
struct Step {
    title: &'static str,
    arguments: Vec<String>,
    expected: Expected,
    limits: Limits,
}

/// How a command shows that it did its work.
enum Expected {
    /// It says on standard error how many keys it wrote.
    Written(usize),
    /// It prints so many lines.
    Lines(usize),
}

#[derive(Clone, Copy, Default)]
struct Limits {
    seconds: Option<f64>,
    megabytes: Option<f64>,
    reads: Option<u64>,
    writes: Option<u64>,
}

const IMPORT: Limits = Limits { seconds: Some(10.0), megabytes: Some(300.0), reads: None, writes: None };
/// From metadata alone.
const LIST: Limits = Limits { seconds: Some(2.0), megabytes: Some(300.0), reads: Some(0), writes: None };
/// Of a year, locally.
const USAGE: Limits = Limits { seconds: Some(2.0), ..NONE };
const NONE: Limits = Limits { seconds: None, megabytes: None, reads: None, writes: None };

/// What a command took.
struct Taken {
    seconds: f64,
    megabytes: f64,
    calls: Calls,
}

pub(crate) fn run(checkout: &Checkout, options: &Options) -> Result<()> {
    let place = Place::make()?;
    eprintln!("bench: the command line, as it is installed; the first time this takes some minutes");
    run_program(checkout.command("cargo").args(["build", "--release", "--locked", "--package=keygate-cli"]))?;
    let keygate = checkout.target()?.join("release/keygate");
    let mut server = StandIn::start(checkout)?;
    let source = Source::write(&place.0, options.keys)?;
    let config = place.0.join("wrangler.toml");
    fs::write(&config, server.wrangler_toml())?;

    println!("{}", Machine::bare(checkout)?.line());
    println!(
        "{} keys: seconds of each command, the most resident memory that it had, and its calls to the server",
        options.keys
    );
    println!("  {:<44} {:>7}  {:>5}  calls", "", "seconds", "MB");
    let mut bars = Vec::new();
    for step in steps(&source) {
        let taken = carry_out(&step, &keygate, checkout, &place.0, &mut server)?;
        println!("  {:<44} {:>7.2}  {:>5.0}  {}", step.title, taken.seconds, taken.megabytes, taken.calls);
        bars.extend(step.bars(&taken));
    }
    fs::write(&config, server.wrangler_toml() + local::BINDING)?;
    let seed = step("a key in the local KV", "issue --subject seed", None, Expected::Lines(1), NONE);
    carry_out(&seed, &keygate, checkout, &place.0, &mut server)?;
    local::fill(checkout, &place.0, options.keys)?;
    println!("  a year of use, in what wrangler dev keeps");
    for step in local_steps(options.keys) {
        // Once before: Node.js caches Miniflare's code.
        carry_out(&step, &keygate, checkout, &place.0, &mut server)?;
        let taken = carry_out(&step, &keygate, checkout, &place.0, &mut server)?;
        println!("  {:<44} {:>7.2}  {:>5.0}  {}", step.title, taken.seconds, taken.megabytes, taken.calls);
        bars.extend(step.bars(&taken));
    }
    println!("\nbars");
    bars.iter().for_each(Bar::print);
    if let Some(Bar { what, value, limit }) = bars.iter().find(|bar| !bar.is_held()) {
        bail!(
            "{what}: {value:.2}, of at most {limit:.2}; run it again on a machine at rest, and if it is missed there too, see what \
             changed in src/cli"
        );
    }
    Ok(())
}

fn step(title: &'static str, line: &str, file: Option<&Path>, expected: Expected, limits: Limits) -> Step {
    Step {
        title,
        arguments: line
            .split(' ')
            .map(str::to_owned)
            .chain(file.map(|file| file.display().to_string()))
            .collect(),
        expected,
        limits,
    }
}

fn local_steps(keys: usize) -> Vec<Step> {
    let unused = (0..keys).filter(|number| local::is_unused(*number)).count();
    let local = |title, line, expected| step(title, line, None, expected, USAGE);
    vec![
        local("usage of all keys", "usage --json", Expected::Lines(1)),
        local("usage of one key", "usage 000000000007 --last 30d --json", Expected::Lines(1)),
        local("list --unused", "list --unused 30d --json", Expected::Lines(unused)),
        step("usage of all keys, a year", "usage --last 365d --json", None, Expected::Lines(1), NONE),
    ]
}

fn steps(source: &Source) -> Vec<Step> {
    let all = source.keys;
    let import =
        |title, line, file: &Path, limits| step(title, line, Some(file), Expected::Written(all), limits);
    let list = |title, line, matching| step(title, line, None, Expected::Lines(matching), LIST);
    vec![
        import(
            "import of plaintext keys, to bulk files",
            "import --format keys --bulk-dir of-keys",
            &source.plain,
            IMPORT,
        ),
        import(
            "import of SHA-256 digests, to bulk files",
            "import --format sha256 --bulk-dir of-digests",
            &source.digests,
            IMPORT,
        ),
        import("import of both, to the server", "import --remote --format jsonl", &source.both, NONE),
        step(
            "the same once more: nothing is written",
            "import --remote --format jsonl",
            Some(&source.both),
            Expected::Written(0),
            Limits { writes: Some(0), ..NONE },
        ),
        list(
            "list --subject",
            "list --remote --json --subject customer-7",
            source.matching(source::is_customer_7),
        ),
        list("list --state", "list --remote --json --state disabled", source.matching(source::is_disabled)),
        list("list --expiring", "list --remote --json --expiring 14d", source.matching(source::ends_soon)),
        list(
            "list --scope",
            "list --remote --json --scope reports:write",
            source.matching(source::may_write),
        ),
        // The heading is a line.
        list("list of all, as a table", "list --remote", all + 1),
        step("export", "export --remote", None, Expected::Lines(all), NONE),
    ]
}

impl Step {
    fn bars(&self, taken: &Taken) -> Vec<Bar> {
        let Limits { seconds, megabytes, reads, writes } = self.limits;
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let count = |number: u64| number as f64;
        [
            ("seconds", taken.seconds, seconds),
            ("MB of memory", taken.megabytes, megabytes),
            ("calls that read values", count(taken.calls.reads()), reads.map(count)),
            ("calls that write", count(taken.calls.writes()), writes.map(count)),
        ]
        .into_iter()
        .filter_map(|(unit, value, limit)| {
            Some(Bar { what: format!("{}: {unit}", self.title), value, limit: limit? })
        })
        .collect()
    }
}

/// Runs the command in `place`, and holds it to what is expected.
fn carry_out(
    step: &Step,
    keygate: &PathBuf,
    checkout: &Checkout,
    place: &Path,
    server: &mut StandIn,
) -> Result<Taken> {
    const POLL: Duration = Duration::from_millis(1);
    let [printed, said] = ["printed", "said"].map(|name| place.join(name));
    let mut command = Command::new(keygate);
    command.args(&step.arguments).current_dir(place).stdin(Stdio::null());
    // Nothing of the person's own gate.
    let inherited = env::var_os("PATH").unwrap_or_default();
    let programs = checkout.path("node_modules/.bin");
    let path = env::join_paths([programs].into_iter().chain(env::split_paths(&inherited)))?;
    command.env_clear().env("PATH", path).envs(server.environment());
    command.env("KEYGATE_PEPPER", PEPPER);
    command.stdout(File::create(&printed)?.into_file()).stderr(File::create(&said)?.into_file());

    let began = Instant::now();
    let mut process = Running::start(&mut command)?;
    let mut peak_kib = 0;
    let status = loop {
        peak_kib = process.peak_kib()?.unwrap_or_default().max(peak_kib);
        match process.ended()? {
            Some(status) => break status,
            None => thread::sleep(POLL),
        }
    };
    let seconds = began.elapsed().as_secs_f64();

    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    let said = read(&said);
    let is_done = status.success()
        && match step.expected {
            Expected::Written(count) => {
                said.lines().any(|line| line.starts_with(&format!("{count} written to ")))
            }
            Expected::Lines(count) => read(&printed).lines().count() == count,
        };
    let last = said.lines().last().unwrap_or_default();
    ensure!(is_done, "`keygate {}` did not do its work: {last}", step.arguments.join(" "));
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let megabytes = peak_kib as f64 * 1024.0 / 1e6;
    Ok(Taken { seconds, megabytes, calls: server.calls()? })
}
