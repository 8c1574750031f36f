//! Sends seeded random requests to the gate, and holds three rules against all that happens.
//!
//! The gate is the project's bundle on the real runtime, with records in a KV namespace of the runtime's, which this process
//! serves. Requests go out byte for byte on connections that stay open, several at a time. What may be forwarded is judged by
//! [`oracle`], which knows the keys that were made and reads the request's own bytes; it calls nothing of the gate's.

mod contract;
mod expected;
mod gate;
mod generate;
mod keys;
mod oddities;
mod oracle;
mod origin;
mod request;

use std::collections::BTreeMap;
use std::io::{self, BufReader, IsTerminal, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Result, ensure};
use clap::Parser;
use keygate_testbed::checkout::Checkout;
use keygate_testbed::http::{Message, read_answer};
use keygate_testbed::kv::KvBackend;
use serde_json::json;

use gate::Gate;
use keys::Ring;
use origin::{Ledger, Violation, lock};
use request::Request;

/// Enough that requests overlap in the gate, few enough that none of them waits long.
const CONNECTIONS: usize = 8;
/// A runtime on a loaded machine may take long; no answer at all is a finding.
const PATIENCE: Duration = Duration::from_mins(1);
/// When something is broken there will be many; the first few show what.
const SHOWN_MAX: usize = 5;
/// Of a request's bytes, when it is shown.
const BYTES_SHOWN_MAX: usize = 1_000;

/// Sends random requests to the gate, and checks what reaches the origin, the answers and the log.
#[derive(Parser)]
struct Options {
    /// How many requests are sent
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(1..))]
    requests: u64,
    /// What the requests are made from; another one each time without
    #[arg(long)]
    seed: Option<u64>,
    /// Only the request of this number, of those that the seed makes
    #[arg(long, requires = "seed")]
    number: Option<u64>,
    /// Also writes the result as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let checkout = Checkout::find()?;
    checkout.build_gate()?;
    let seed = options.seed.unwrap_or_else(seed_of_now);
    eprintln!("random: seed {seed}");
    let ring = Arc::new(Ring::make(seed)?);
    let ledger = Arc::new(Ledger::default());
    let kv = KvBackend::start(ring.entries.clone())?;
    let behind = [kv.address, origin::serve_origin(&ring, &ledger)?];
    let mut gate = Gate::start(&checkout, &ring, &ledger, behind)?;
    let start = Instant::now();
    let numbers = options.number.map_or(0..options.requests, |number| number..number.saturating_add(1));
    let run = Run { seed, ring: &ring, ledger: &ledger, gate: gate.address, end: numbers.end };
    let outcomes = run.send_all(numbers.start);
    let seconds = start.elapsed().as_secs_f64();
    if !gate.is_alive() {
        ledger.report("the runtime has ended".to_owned(), None);
    }
    let log_lines = gate.end();
    let sent: u64 = outcomes.values().sum();
    let broken = ledger.violations();
    for (outcome, count) in &outcomes {
        println!("{count:>9}  {outcome}");
    }
    println!("{sent:>9}  in {seconds:.0} s, with {log_lines} lines of log; {} broke a rule", broken.len());
    if let Some(file) = &options.json {
        let result = json!({
            "seed": seed, "requests": sent, "seconds": seconds, "log_lines": log_lines, "outcomes": outcomes,
            "violations": broken.iter().map(|broken| {
                json!({ "rule": broken.rule, "number": broken.request.as_ref().map(|request| request.number) })
            }).collect::<Vec<_>>(),
        });
        fs_err::write(file, format!("{result:#}\n"))?;
    }
    for violation in broken.iter().take(SHOWN_MAX) {
        show(violation, seed);
    }
    ensure!(
        broken.is_empty(),
        "{} times a rule was broken, with the seed {seed}; see the requests above, and send one of them again with `--seed` and `--number`",
        broken.len()
    );
    Ok(())
}

/// What the connections share.
struct Run<'a> {
    seed: u64,
    ring: &'a Ring,
    ledger: &'a Ledger,
    gate: SocketAddr,
    /// The first number that is not sent.
    end: u64,
}

impl Run<'_> {
    /// Sends every request from `first` on, and counts the outcomes.
    fn send_all(&self, first: u64) -> BTreeMap<String, u64> {
        let next = AtomicU64::new(first);
        let outcomes = Mutex::new(BTreeMap::new());
        thread::scope(|scope| {
            for _ in 0..CONNECTIONS {
                scope.spawn(|| self.send_in_turn(&next, &outcomes));
            }
            if io::stderr().is_terminal() {
                while next.load(Ordering::Relaxed) < self.end {
                    eprint!("\r{} of {}", next.load(Ordering::Relaxed), self.end);
                    thread::sleep(Duration::from_millis(200));
                }
                eprintln!("\r{0} of {0}", self.end);
            }
        });
        outcomes.into_inner().unwrap_or_default()
    }

    fn send_in_turn(&self, next: &AtomicU64, outcomes: &Mutex<BTreeMap<String, u64>>) {
        let mut connection = None;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= self.end {
                return;
            }
            let request = Arc::new(generate::make(self.seed, number, self.ring));
            self.ledger.begin(&request);
            let answer = exchange(&mut connection, self.gate, &request);
            let sightings = self.ledger.end(number);
            let outcome = match &answer {
                Ok(answer) => oracle::judge(&request, answer.as_ref(), sightings, self.ring),
                Err(_) if request.is_malformed => oracle::judge(&request, None, sightings, self.ring),
                Err(error) => Err(format!("no answer: {error}")),
            };
            match outcome {
                Ok(outcome) => *lock(outcomes).entry(outcome).or_default() += 1,
                Err(rule) => {
                    *lock(outcomes).entry("BROKE A RULE".to_owned()).or_default() += 1;
                    self.ledger.report(rule, Some(request));
                }
            }
        }
    }
}

/// Sends one request and reads its answer, on the connection that is open or on a new one.
fn exchange(
    connection: &mut Option<BufReader<TcpStream>>,
    gate: SocketAddr,
    request: &Request,
) -> io::Result<Option<Message>> {
    if let Some(open) = connection.take()
        && let Ok(Some(answer)) = converse(open, connection, request)
    {
        return Ok(Some(answer));
    }
    // The runtime may close a connection between two requests, as after a refusal whose body it has not read.
    let open = TcpStream::connect(gate)?;
    open.set_nodelay(true)?;
    open.set_read_timeout(Some(PATIENCE))?;
    converse(BufReader::new(open), connection, request)
}

/// The same on this connection; puts it back where it can be used again.
fn converse(
    mut open: BufReader<TcpStream>,
    connection: &mut Option<BufReader<TcpStream>>,
    request: &Request,
) -> io::Result<Option<Message>> {
    let written = open.get_mut().write_all(&request.bytes);
    if request.is_malformed {
        // Whoever waits for more of it learns that there is no more.
        drop(open.get_ref().shutdown(Shutdown::Write));
    } else {
        written?;
    }
    let answer = read_answer(&mut open, &request.method)?;
    let closes = |answer: &Message| {
        answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    };
    if !request.is_malformed && answer.as_ref().is_some_and(|answer| !closes(answer)) {
        *connection = Some(open);
    }
    Ok(answer)
}

fn show(violation: &Violation, seed: u64) {
    eprintln!("\nbroken: {}", violation.rule);
    if let Some(request) = &violation.request {
        let bytes = request.bytes.get(..BYTES_SHOWN_MAX).unwrap_or(&request.bytes);
        eprintln!("by `--seed {seed} --number {}`:", request.number);
        eprintln!("{}", bytes.escape_ascii().to_string().replace("\\r\\n", "\\r\\n\n"));
    }
}

fn seed_of_now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    // Short enough to be typed.
    now.as_secs() % 1_000_000
}
