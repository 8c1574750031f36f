//! The load: exact request bytes on connections that stay open, from this process, so that its cost is not the contender's.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::thread;
use std::time::Duration;

use crate::failure::Failure;

/// Enough to keep one runtime busy, few enough that none of them waits long.
const CONNECTIONS: usize = 8;
const PATIENCE: Duration = Duration::from_secs(30);

/// The requests of a scenario, the same bytes for every contender.
pub(super) struct Traffic {
    /// Up to the key.
    pub(super) before_key: Vec<u8>,
    /// One of them in each request, in turn; empty: none.
    pub(super) keys: Vec<Vec<u8>>,
    /// From the key to the end of the head.
    pub(super) after_key: Vec<u8>,
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
pub(super) struct Client {
    connections: Vec<BufReader<TcpStream>>,
}

impl Client {
    pub(super) fn connect(address: SocketAddr) -> Result<Self, Failure> {
        let connect = || {
            let connection = TcpStream::connect(address)?;
            connection.set_nodelay(true)?;
            connection.set_read_timeout(Some(PATIENCE))?;
            Ok(BufReader::with_capacity(64 * 1024, connection))
        };
        let connections = (0..CONNECTIONS).map(|_| connect()).collect::<io::Result<_>>();
        Ok(Self { connections: connections.map_err(|error| failed(&error))? })
    }

    /// Sends the requests of these numbers, and fails unless each is answered with `status`.
    pub(super) fn send(
        &mut self,
        traffic: &Traffic,
        numbers: Range<usize>,
        status: u16,
    ) -> Result<(), Failure> {
        let outcomes: Vec<io::Result<()>> = thread::scope(|scope| {
            let threads: Vec<_> = self
                .connections
                .iter_mut()
                .enumerate()
                .map(|(lane, connection)| {
                    let numbers = numbers.clone().skip(lane).step_by(CONNECTIONS);
                    scope.spawn(move || converse(connection, traffic, numbers, status))
                })
                .collect();
            let joined = threads.into_iter().map(thread::ScopedJoinHandle::join);
            joined
                .map(|outcome| outcome.unwrap_or_else(|_| Err(io::Error::other("a load thread panicked"))))
                .collect()
        });
        outcomes.into_iter().collect::<io::Result<()>>().map_err(|error| failed(&error))
    }
}

fn converse(
    connection: &mut BufReader<TcpStream>,
    traffic: &Traffic,
    numbers: impl Iterator<Item = usize>,
    expected: u16,
) -> io::Result<()> {
    let mut request = Vec::new();
    let mut line = String::new();
    for number in numbers {
        traffic.write(number, &mut request);
        connection.get_mut().write_all(&request)?;
        let status = read_response(connection, &mut line)?;
        if status != expected {
            return Err(io::Error::other(format!("a request was answered {status}, not {expected}")));
        }
    }
    Ok(())
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

fn failed(error: &io::Error) -> Failure {
    Failure::new(format!("the load stopped: {error}"), "see what the contender printed")
}
