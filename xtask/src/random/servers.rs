//! The servers behind the gate: the key store, and the origin, which looks at all that reaches it.

use std::collections::HashMap;
use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::keys::Ring;
use super::message::{Message, read_request};
use super::oracle::{self, ORIGIN_MARK};
use super::request::{NUMBER, Request};
use crate::failure::Failure;
use crate::loopback;

/// The requests that wait for their answer, with how often the origin has seen each, and what broke a rule.
#[derive(Default)]
pub(super) struct Ledger {
    flights: Mutex<HashMap<u64, (Arc<Request>, usize)>>,
    violations: Mutex<Vec<Violation>>,
}

pub(super) struct Violation {
    pub(super) rule: String,
    /// None where a request is at the origin that the driver knows nothing of.
    pub(super) request: Option<Arc<Request>>,
}

impl Ledger {
    pub(super) fn begin(&self, request: &Arc<Request>) {
        lock(&self.flights).insert(request.number, (Arc::clone(request), 0));
    }

    /// How often the origin has seen it.
    pub(super) fn end(&self, number: u64) -> usize {
        lock(&self.flights).remove(&number).map_or(0, |(_, sightings)| sightings)
    }

    fn sighted(&self, number: Option<u64>) -> Option<Arc<Request>> {
        let mut flights = lock(&self.flights);
        let (request, sightings) = flights.get_mut(&number?)?;
        *sightings += 1;
        Some(Arc::clone(request))
    }

    pub(super) fn report(&self, rule: String, request: Option<Arc<Request>>) {
        lock(&self.violations).push(Violation { rule, request });
    }

    pub(super) fn violations(&self) -> MutexGuard<'_, Vec<Violation>> {
        lock(&self.violations)
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves the records as the runtime asks a KV namespace: `GET /<name>?urlencoded=true`.
pub(super) fn serve_kv(ring: &Arc<Ring>) -> Result<SocketAddr, Failure> {
    let ring = Arc::clone(ring);
    serve(move |message| {
        let path = message.target().split('?').next().unwrap_or_default();
        let name = path.trim_start_matches('/').replace("%2F", "/");
        match ring.entries.get(&name) {
            Some(entry) => respond("200 OK", "", entry),
            None => respond("404 Not Found", "", ""),
        }
    })
}

/// Serves the origin; what may not be there is noted in the ledger.
pub(super) fn serve_origin(ring: &Arc<Ring>, ledger: &Arc<Ledger>) -> Result<SocketAddr, Failure> {
    let (ring, ledger) = (Arc::clone(ring), Arc::clone(ledger));
    serve(move |message| {
        let number = message.header(NUMBER).and_then(|number| number.parse().ok());
        match ledger.sighted(number) {
            Some(sent) => {
                if let Err(rule) = oracle::check_sighting(&sent, message, &ring) {
                    ledger.report(rule, Some(sent));
                }
            }
            None => ledger.report(format!("the origin saw what nobody sent: {}", message.start), None),
        }
        let mark = format!("{ORIGIN_MARK}: {}\r\n", number.unwrap_or_default());
        respond("200 OK", &mark, if message.method() == "HEAD" { "" } else { "from the origin" })
    })
}

fn respond(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn serve(answer: impl Fn(&Message) -> Vec<u8> + Send + Sync + 'static) -> Result<SocketAddr, Failure> {
    loopback::serve(move |connection| keep_answering(connection, &answer))
}

fn keep_answering(connection: TcpStream, answer: &impl Fn(&Message) -> Vec<u8>) -> io::Result<()> {
    let mut writer = connection.try_clone()?;
    let mut reader = BufReader::new(connection);
    while let Some(message) = read_request(&mut reader)? {
        writer.write_all(&answer(&message))?;
    }
    Ok(())
}
