//! The load: exact request bytes on connections that stay open, from this process, so that its cost is not the contender's.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Enough to keep one runtime busy, few enough that none of them waits long.
pub(crate) const CONNECTIONS: usize = 8;
const PATIENCE: Duration = Duration::from_secs(30);

/// The requests of a scenario, the same bytes for every contender.
pub(crate) struct Traffic {
    /// Up to the key.
    pub(crate) before_key: Vec<u8>,
    /// One of them in each request, in turn; empty: none.
    pub(crate) keys: Vec<Vec<u8>>,
    /// From the key to the end of the head.
    pub(crate) after_key: Vec<u8>,
}

impl Traffic {
    fn write(&self, number: usize, request: &mut Vec<u8>) {
        request.clear();
        request.extend_from_slice(&self.before_key);
        if let Some(key) = self.keys.get(number.checked_rem(self.keys.len()).unwrap_or_default()) {
            request.extend_from_slice(key);
        }
        request.extend_from_slice(&self.after_key);
    }
}

/// The connections to one contender.
pub(crate) struct Client {
    connections: Vec<BufReader<TcpStream>>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Result<Self> {
        let connect = || {
            let connection = TcpStream::connect(address)?;
            connection.set_nodelay(true)?;
            connection.set_read_timeout(Some(PATIENCE))?;
            Ok(BufReader::with_capacity(64 * 1024, connection))
        };
        let connections = (0..CONNECTIONS).map(|_| connect()).collect::<io::Result<_>>();
        Ok(Self { connections: connections.context("the load does not start")? })
    }

    /// Sends the requests of these numbers, and fails unless each is answered with `status`.
    pub(crate) fn send(&mut self, traffic: &Traffic, numbers: Range<usize>, status: u16) -> Result<()> {
        self.on_each(|lane, connection| {
            let mut exchange = Exchange::new(connection, traffic, status);
            let mut numbers = numbers.clone().skip(lane).step_by(CONNECTIONS);
            numbers.try_for_each(|number| exchange.run(number))
        })
        .map(drop)
    }

    /// Sends `count` requests, one each `interval`, whether the ones before are answered or not, and says how long each took.
    ///
    /// A request whose connection is still busy is sent late; its time counts from when it was due.
    pub(crate) fn send_at(
        &mut self,
        traffic: &Traffic,
        count: usize,
        interval: Duration,
        status: u16,
    ) -> Result<Vec<Duration>> {
        let start = Instant::now() + interval;
        let lanes = self.on_each(|lane, connection| {
            let mut exchange = Exchange::new(connection, traffic, status);
            let mut took = Vec::new();
            for number in (lane..count).step_by(CONNECTIONS) {
                let due = start + interval * u32::try_from(number).map_err(io::Error::other)?;
                let wait = due.saturating_duration_since(Instant::now());
                thread::sleep(wait);
                // That this thread wakes late is no delay of the contender's.
                let began = if wait.is_zero() { due } else { Instant::now() };
                exchange.run(number)?;
                took.push(began.elapsed());
            }
            Ok(took)
        })?;
        Ok(lanes.concat())
    }

    /// Has a thread for each connection.
    fn on_each<T: Send>(
        &mut self,
        lane: impl Fn(usize, &mut BufReader<TcpStream>) -> io::Result<T> + Sync,
    ) -> Result<Vec<T>> {
        let lane = &lane;
        let outcomes: Vec<io::Result<T>> = thread::scope(|scope| {
            let threads: Vec<_> = self
                .connections
                .iter_mut()
                .enumerate()
                .map(|(number, connection)| scope.spawn(move || lane(number, connection)))
                .collect();
            let joined = threads.into_iter().map(thread::ScopedJoinHandle::join);
            joined
                .map(|outcome| outcome.unwrap_or_else(|_| Err(io::Error::other("a load thread panicked"))))
                .collect()
        });
        outcomes.into_iter().collect::<io::Result<_>>().context("the load stopped")
    }
}

/// Requests and answers on one connection, one after the other.
struct Exchange<'a> {
    connection: &'a mut BufReader<TcpStream>,
    traffic: &'a Traffic,
    expected: u16,
    request: Vec<u8>,
    line: String,
}

impl<'a> Exchange<'a> {
    fn new(connection: &'a mut BufReader<TcpStream>, traffic: &'a Traffic, expected: u16) -> Self {
        Self { connection, traffic, expected, request: Vec::new(), line: String::new() }
    }

    /// Sends the request of this number, and fails unless it is answered as expected.
    fn run(&mut self, number: usize) -> io::Result<()> {
        self.traffic.write(number, &mut self.request);
        self.connection.get_mut().write_all(&self.request)?;
        let status = read_response(self.connection, &mut self.line)?;
        if status == self.expected {
            return Ok(());
        }
        Err(io::Error::other(format!("a request was answered {status}, not {}", self.expected)))
    }
}

/// Reads one response and gives its status; its body is thrown away.
fn read_response(connection: &mut BufReader<TcpStream>, line: &mut String) -> io::Result<u16> {
    line.clear();
    connection.read_line(line)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other("the connection was closed without an answer"))?;
    let mut length = None;
    loop {
        line.clear();
        if connection.read_line(line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line == "\r\n" {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse::<u64>().ok();
        }
    }
    let length = length.ok_or_else(|| io::Error::other("an answer without Content-Length"))?;
    let read = io::copy(&mut connection.by_ref().take(length), &mut io::sink())?;
    if read == length { Ok(status) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}
