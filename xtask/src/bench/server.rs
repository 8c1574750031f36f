//! A small HTTP server, for the KV backend, for the verify API and for an origin where nginx is not installed.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use crate::failure::Failure;
use crate::loopback;

/// The body of a 200; none is a 404.
pub(super) type Body = Option<Arc<[u8]>>;

/// Answers requests, by their target and body, until the bench ends.
pub(super) fn serve(
    answer: impl Fn(&str, &[u8]) -> Body + Send + Sync + 'static,
) -> Result<SocketAddr, Failure> {
    loopback::serve(move |connection| keep_answering(connection, &answer))
}

fn keep_answering(connection: TcpStream, answer: &impl Fn(&str, &[u8]) -> Body) -> std::io::Result<()> {
    let mut writer = connection.try_clone()?;
    let mut reader = BufReader::new(connection);
    let mut line = String::new();
    let mut sent = Vec::new();
    let mut response = Vec::new();
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut length = 0;
        while line != "\r\n" {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().map_err(std::io::Error::other)?;
            }
        }
        sent.resize(length, 0);
        reader.read_exact(&mut sent)?;
        response.clear();
        let body = answer(&target, &sent);
        let (status, body) = body.as_ref().map_or(("404 Not Found", &[][..]), |body| ("200 OK", &**body));
        write!(
            response,
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )?;
        response.extend_from_slice(body);
        writer.write_all(&response)?;
    }
}
