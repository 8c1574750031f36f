//! The origin behind the gate, which looks at all that reaches it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use keygate_testbed::http::{self, Response};

use crate::keys::Ring;
use crate::oracle::{self, ORIGIN_MARK};
use crate::request::{NUMBER, Request};

/// The requests that wait for their answer, with how often the origin has seen each, and what broke a rule.
#[derive(Default)]
pub(crate) struct Ledger {
    flights: Mutex<HashMap<u64, (Arc<Request>, usize)>>,
    violations: Mutex<Vec<Violation>>,
}

pub(crate) struct Violation {
    pub(crate) rule: String,
    /// None where a request is at the origin that the driver knows nothing of.
    pub(crate) request: Option<Arc<Request>>,
}

impl Ledger {
    pub(crate) fn begin(&self, request: &Arc<Request>) {
        lock(&self.flights).insert(request.number, (Arc::clone(request), 0));
    }

    /// How often the origin has seen it.
    pub(crate) fn end(&self, number: u64) -> usize {
        lock(&self.flights).remove(&number).map_or(0, |(_, sightings)| sightings)
    }

    fn sighted(&self, number: Option<u64>) -> Option<Arc<Request>> {
        let mut flights = lock(&self.flights);
        let (request, sightings) = flights.get_mut(&number?)?;
        *sightings += 1;
        Some(Arc::clone(request))
    }

    pub(crate) fn report(&self, rule: String, request: Option<Arc<Request>>) {
        lock(&self.violations).push(Violation { rule, request });
    }

    pub(crate) fn violations(&self) -> MutexGuard<'_, Vec<Violation>> {
        lock(&self.violations)
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves the origin; what may not be there is noted in the ledger.
pub(crate) fn serve_origin(ring: &Arc<Ring>, ledger: &Arc<Ledger>) -> Result<SocketAddr> {
    let (ring, ledger) = (Arc::clone(ring), Arc::clone(ledger));
    http::serve(move |message| {
        let number = message.header(NUMBER).and_then(|number| number.parse().ok());
        match ledger.sighted(number) {
            Some(sent) => {
                if let Err(rule) = oracle::check_sighting(&sent, message, &ring) {
                    ledger.report(rule, Some(sent));
                }
            }
            None => ledger.report(format!("the origin saw what nobody sent: {}", message.start), None),
        }
        let body = b"\"from the origin\"".as_slice();
        Response::ok(body).with_header(ORIGIN_MARK, &number.unwrap_or_default().to_string())
    })
}
