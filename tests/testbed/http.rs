//! HTTP/1.1 on loopback: enough to read what the runtime writes, to the client and to the origin, and to answer it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result};

/// A head of the runtime's is never longer.
const HEAD_MAX: u64 = 512 * 1024;

/// A request or a response.
#[derive(Default)]
pub struct Message {
    /// The first line: of a request or of a status.
    pub start: String,
    /// Names in lower case; bytes above 0x7f as the characters of the same number.
    pub headers: Vec<(String, String)>,
    /// Whatever its framing was.
    pub body: Vec<u8>,
}

impl Message {
    /// The values of a header, by its name in lower case.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The first value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Of a request.
    #[must_use]
    pub fn method(&self) -> &str {
        self.start.split(' ').next().unwrap_or_default()
    }

    /// Of a request: path and query as they were sent.
    #[must_use]
    pub fn target(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    /// Of a response; 0 where it cannot be read.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
    }

    /// The whole head, for a search.
    #[must_use]
    pub fn head(&self) -> String {
        let lines = self.headers.iter().map(|(name, value)| format!("\n{name}: {value}"));
        lines.fold(self.start.clone(), |head, line| head + &line)
    }
}

/// What a server answers.
pub struct Response {
    /// Such as `200 OK`.
    status: &'static str,
    /// Whole lines.
    headers: String,
    body: Arc<[u8]>,
}

impl Response {
    /// A JSON text.
    #[must_use]
    pub fn ok(body: impl Into<Arc<[u8]>>) -> Self {
        let headers = "Content-Type: application/json\r\n".to_owned();
        Self { status: "200 OK", headers, body: body.into() }
    }

    /// Without a body.
    #[must_use]
    pub fn not_found() -> Self {
        Self { status: "404 Not Found", headers: String::new(), body: Arc::default() }
    }

    /// With one more header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push_str(&[name, ": ", value, "\r\n"].concat());
        self
    }
}

/// A port that nobody else has.
///
/// # Errors
///
/// When there is none.
pub fn listen() -> Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("there is no free loopback port")?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Answers requests until this process ends; a thread for each connection, as there are few and they stay.
///
/// # Errors
///
/// When there is no free port.
pub fn serve(answer: impl Fn(&Message) -> Response + Send + Sync + 'static) -> Result<SocketAddr> {
    let (listener, address) = listen()?;
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            // A connection that breaks is the other side's end.
            thread::spawn(move || drop(keep_answering(connection, &*answer)));
        }
    });
    Ok(address)
}

fn keep_answering(connection: TcpStream, answer: &impl Fn(&Message) -> Response) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut writer = connection.try_clone()?;
    let mut reader = BufReader::new(connection);
    while let Some(message) = read_request(&mut reader)? {
        let Response { status, headers, body } = answer(&message);
        let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
        let body = if message.method() == "HEAD" { &[] } else { &*body };
        writer.write_all(&[head.as_bytes(), body].concat())?;
    }
    Ok(())
}

/// Reads one request with its body; `None` where the connection ends before one begins.
///
/// # Errors
///
/// When the connection breaks or ends within it.
pub fn read_request(reader: &mut impl BufRead) -> io::Result<Option<Message>> {
    let Some(mut message) = read_head(reader)? else { return Ok(None) };
    if is_chunked(&message) {
        message.body = read_chunks(reader)?;
    } else if let Some(length) = length(&message) {
        message.body = read_exactly(reader, length)?;
    }
    Ok(Some(message))
}

/// Reads the answer to a request of `method`, past all that only announce it.
///
/// # Errors
///
/// When the connection breaks or ends within it.
pub fn read_answer(reader: &mut impl BufRead, method: &str) -> io::Result<Option<Message>> {
    let mut message = loop {
        let Some(message) = read_head(reader)? else { return Ok(None) };
        if !(100..200).contains(&message.status()) || message.status() == 101 {
            break message;
        }
    };
    if method == "HEAD" || matches!(message.status(), 101 | 204 | 304) {
        return Ok(Some(message));
    }
    message.body = if is_chunked(&message) {
        read_chunks(reader)?
    } else if let Some(length) = length(&message) {
        read_exactly(reader, length)?
    } else {
        let mut body = Vec::new();
        reader.read_to_end(&mut body)?;
        body
    };
    Ok(Some(message))
}

fn read_head(reader: &mut impl BufRead) -> io::Result<Option<Message>> {
    let mut message = Message::default();
    let mut reader = reader.take(HEAD_MAX);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            let is_first = message.start.is_empty();
            return if is_first { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let text: String = text.iter().copied().map(char::from).collect();
        if message.start.is_empty() {
            message.start = text;
        } else if text.is_empty() {
            return Ok(Some(message));
        } else {
            let (name, value) = text.split_once(':').unwrap_or((&text, ""));
            let value = value.trim_matches([' ', '\t']);
            message.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
    }
}

fn is_chunked(message: &Message) -> bool {
    message.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
}

fn length(message: &Message) -> Option<u64> {
    message.header("content-length")?.parse().ok()
}

fn read_exactly(reader: &mut impl BufRead, length: u64) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    let read = reader.take(length).read_to_end(&mut body)?;
    if u64::try_from(read).is_ok_and(|read| read == length) {
        Ok(body)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

fn read_chunks(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let size = u64::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        body.extend(read_exactly(reader, size)?);
        line.clear();
        reader.read_line(&mut line)?;
        if size == 0 {
            return Ok(body);
        }
    }
}
