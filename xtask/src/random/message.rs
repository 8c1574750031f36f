//! HTTP/1.1 messages as bytes: enough to read what the runtime writes, to the client and to the origin.

use std::io::{self, BufRead, Read};

/// A head of the runtime's is never longer.
const HEAD_MAX: u64 = 512 * 1024;

#[derive(Default)]
pub(super) struct Message {
    /// The first line: of a request or of a status.
    pub(super) start: String,
    /// Names in lower case; bytes above 0x7f as the characters of the same number.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Message {
    /// The values of a header, by its name in lower case.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The first value.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    pub(super) fn method(&self) -> &str {
        self.start.split(' ').next().unwrap_or_default()
    }

    pub(super) fn target(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    pub(super) fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
    }

    /// The whole head, for a search.
    pub(super) fn head(&self) -> String {
        let lines = self.headers.iter().map(|(name, value)| format!("\n{name}: {value}"));
        lines.fold(self.start.clone(), |head, line| head + &line)
    }
}

/// Reads one request with its body; `None` where the connection ends before one begins.
pub(super) fn read_request(reader: &mut impl BufRead) -> io::Result<Option<Message>> {
    let Some(mut message) = read_head(reader)? else { return Ok(None) };
    if is_chunked(&message) {
        message.body = read_chunks(reader)?;
    } else if let Some(length) = length(&message) {
        message.body = read_exactly(reader, length)?;
    }
    Ok(Some(message))
}

/// Reads the answer to a request of `method`, past all that only announce it.
pub(super) fn read_answer(reader: &mut impl BufRead, method: &str) -> io::Result<Option<Message>> {
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
