//! A server for tests: it gives the answers that it was told to, in order, and keeps what it was sent.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

/// What becomes of one request.
pub(crate) enum Told {
    /// Status, one header, body.
    Answer(u16, &'static str, String),
    /// Nothing, until the caller has gone.
    Silence,
    /// The end of the connection.
    Hangup,
}

pub(crate) struct StandIn {
    pub(crate) url: String,
    requests: Receiver<Request>,
}

/// A request as it came.
#[derive(Debug)]
pub(crate) struct Request {
    /// Method and path.
    pub(crate) line: String,
    pub(crate) headers: Vec<String>,
    pub(crate) body: String,
}

pub(crate) fn answer(status: u16, body: &str) -> Told {
    Told::Answer(status, "X-Nothing: 1", body.to_owned())
}

impl StandIn {
    pub(crate) fn telling(told: Vec<Told>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, requests) = channel();
        thread::spawn(move || {
            for told in told {
                let (stream, _) = listener.accept().unwrap();
                let Some(request) = read(&stream) else { continue };
                // The test may have ended.
                let _ = sender.send(request);
                tell(stream, told);
            }
        });
        Self { url, requests }
    }

    /// What came so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.try_iter().collect()
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let length = lines
        .iter()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    let line = lines.first()?.strip_suffix(" HTTP/1.1")?.to_owned();
    Some(Request { line, headers: lines.split_off(1), body: String::from_utf8(body).ok()? })
}

fn tell(mut stream: TcpStream, told: Told) {
    let (status, header, body) = match told {
        Told::Answer(status, header, body) => (status, header, body),
        Told::Hangup => return,
        Told::Silence => {
            // Ends when the other side has given up.
            let _ = stream.read(&mut [0]);
            return;
        }
    };
    let head = format!(
        "HTTP/1.1 {status} Told\r\n{header}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    // A caller that has read enough may hang up.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
}
