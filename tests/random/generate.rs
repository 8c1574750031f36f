//! Makes one random request: what is odd about it, and its bytes.
//!
//! Half of the requests are odd in nothing but the credential, so that their answer can be foretold; each part of the others
//! may be odd in its own way.

use keygate_testbed::chance::Chance;

use crate::expected;
use crate::keys::{HOME, Key, Kind, PREFIX, Ring};
use crate::oddities::{HOSTILE, HOSTS, METHODS, ODD_METHODS, PIECES, QUERIES, TARGETS, WHOLE_TARGETS};
use crate::request::{NUMBER, Request};

pub(crate) fn make(seed: u64, number: u64, ring: &Ring) -> Request {
    let chance = &mut Chance::of(seed, number);
    let is_odd = chance.percent(50);
    let odd = |chance: &mut Chance| is_odd && chance.percent(25);
    let mut request = Request { number, ..Request::default() };
    let mut is_foretold = true;

    request.method = chance.pick(&METHODS).into();
    if odd(chance) {
        request.method = chance.pick(&ODD_METHODS).into();
        (request.is_malformed, is_foretold) = (true, false);
    }
    let path = chance.pick(&TARGETS);
    let query = chance.pick(&QUERIES);
    let mut target = latin1(&[path, query].concat());
    if odd(chance) {
        target = odd_target(chance, &target);
        (request.is_malformed, is_foretold) = (true, false);
    } else {
        request.target = Some([path, query].concat());
    }

    let mut headers: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut add = |name: &str, value: &[u8]| headers.push((latin1(name), value.to_vec()));
    if odd(chance) {
        // The runtime makes the URL of it, path and all.
        request.target = None;
        (request.is_malformed, is_foretold) = (true, false);
        if chance.percent(80) {
            add("Host", &latin1(chance.pick(&HOSTS)));
        }
        if chance.percent(20) {
            add("Host", b"evil.example");
        }
    } else {
        add("Host", b"api.example.com");
    }
    add(NUMBER, number.to_string().as_bytes());
    let is_https = chance.percent(97);
    // As the platform's edge says them: whether there was TLS, and who the client is.
    add("X-Forwarded-Proto", if is_https { b"https" } else { b"http" });
    let address = if chance.percent(60) { HOME.to_string() } else { "198.51.100.9".to_owned() };
    add("CF-Connecting-IP", address.as_bytes());

    for (name, value) in credentials(chance, ring) {
        // Beside these two places, or without our prefix, nobody can tell it from what is the origin's own.
        let is_ours =
            value.windows(PREFIX.len() + 1).any(|window| window == [PREFIX, "_"].concat().as_bytes());
        request.is_exposing |= !is_ours || name == "X-Api-Key2";
        if value.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
            (request.is_malformed, is_foretold) = (true, false);
        }
        headers.push((latin1(name), value));
    }
    if odd(chance) {
        is_foretold = false;
        for _ in 0..=chance.below(4) {
            headers.push(hostile(chance, ring, &mut request.is_exposing, &mut request.is_malformed));
        }
    }
    if odd(chance) && chance.percent(40) {
        // A key where none belongs. It is not redacted from what goes to an origin, but from every log line.
        let key = ours(chance, ring);
        (request.is_exposing, is_foretold) = (true, false);
        match chance.below(4) {
            0 => headers.push((b"User-Agent".to_vec(), key.into_bytes())),
            1 => headers.push((b"Cookie".to_vec(), format!("session={key}").into_bytes())),
            2 => target.extend([b"/", key.as_bytes()].concat()),
            _ => target.extend([b"?api_key=", key.as_bytes()].concat()),
        }
        request.target = None;
    }
    shuffle(chance, &mut headers);

    let is_odd_body = odd(chance);
    let body = body(chance, is_odd_body, &request.method);
    request.is_malformed |= body.is_malformed;
    is_foretold &= !body.is_malformed;
    headers.extend(body.framing);
    request.body = body.content;

    let end: &[u8] = if odd(chance) && chance.percent(20) { b"\n" } else { b"\r\n" };
    request.is_malformed |= end == b"\n";
    is_foretold &= end != b"\n";
    let version: &[u8] = if odd(chance) && chance.percent(30) { b"HTTP/1.0" } else { b"HTTP/1.1" };
    request.is_malformed |= version == b"HTTP/1.0";
    is_foretold &= version != b"HTTP/1.0";
    let first = [&latin1(&request.method), b" ".as_slice(), &target, b" ", version, end];
    request.bytes = first.concat();
    for (name, value) in &headers {
        request.bytes.extend([name, b": ".as_slice(), value, end].concat());
    }
    request.bytes.extend_from_slice(end);
    request.bytes.extend(body.sent);
    if is_foretold {
        let from_home = address == HOME.to_string();
        request.expected = expected::foretell(
            &request.method,
            path,
            is_https,
            from_home,
            &expected::carried(&request.bytes, ring),
            ring,
        );
    }
    request
}

fn odd_target(chance: &mut Chance, target: &[u8]) -> Vec<u8> {
    match chance.below(10) {
        0..=1 => chance.pick(&WHOLE_TARGETS).to_vec(),
        // Around the platform's limit of 16 KB.
        2 => [target, &b"a/".repeat(chance.below(12_000))].concat(),
        _ => {
            let mut odd = target.to_vec();
            for _ in 0..=chance.below(3) {
                let at = chance.below(odd.len() + 1);
                let piece =
                    if chance.percent(90) { chance.pick(&PIECES).to_vec() } else { vec![odd_byte(chance)] };
                odd.splice(at..at, piece);
            }
            odd
        }
    }
}

/// The lines that hold, or seem to hold, a key.
fn credentials(chance: &mut Chance, ring: &Ring) -> Vec<(&'static str, Vec<u8>)> {
    let text = |chance: &mut Chance| chance.pick(&ring.keys).text.into_bytes();
    let bearer = |token: Vec<u8>| ("Authorization", [b"Bearer ".to_vec(), token].concat());
    match chance.below(16) {
        0 => Vec::new(),
        1..=4 => vec![bearer(text(chance))],
        5..=7 => vec![("X-API-Key", text(chance))],
        8..=9 => vec![bearer(mutated(chance, ring))],
        10 => vec![("x-api-key", mutated(chance, ring))],
        11 => {
            let key = text(chance);
            vec![bearer(key.clone()), ("X-API-Key", key)]
        }
        12 => vec![bearer(text(chance)), ("X-API-Key", text(chance))],
        13 => {
            let name = chance.pick(&["X-API-Key", "Authorization"]);
            vec![(name, text(chance)), (name, text(chance))]
        }
        14 => {
            let value = [text(chance), b",".to_vec(), text(chance)].concat();
            vec![("X-API-Key", value)]
        }
        _ => {
            let scheme = chance.pick(&[
                "bearer ",
                "BEARER\t",
                "Bearer  ",
                "Bearer",
                "Basic ",
                "Token ",
                "Beare ",
                "",
                "\"Bearer\" ",
            ]);
            let mut lines = vec![("Authorization", [scheme.as_bytes().to_vec(), text(chance)].concat())];
            if chance.percent(50) {
                lines.push((chance.pick(&["X-API-Key", "X_Api_Key", "X-Api-Key2"]), text(chance)));
            }
            lines
        }
    }
}

/// A key of the ring with something changed: almost always one character.
fn mutated(chance: &mut Chance, ring: &Ring) -> Vec<u8> {
    const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut key = chance.pick(&ring.keys).text.into_bytes();
    let at = chance.below(key.len());
    match chance.below(11) {
        0..=2 => key.splice(at..=at, [chance.pick(BASE62)]).for_each(drop),
        3 => drop(key.remove(at)),
        4 => key.insert(at, chance.pick(BASE62)),
        5 => key.get_mut(at..).and_then(|rest| rest.get_mut(..2)).into_iter().for_each(<[u8]>::reverse),
        6 => {
            let flip = |byte: &u8| {
                if byte.is_ascii_lowercase() { byte.to_ascii_uppercase() } else { byte.to_ascii_lowercase() }
            };
            let flipped = key.get(at).map(flip);
            key.splice(at..=at, flipped).for_each(drop);
        }
        7 => key.splice(at..=at, [odd_byte(chance)]).for_each(drop),
        8 => key.truncate(at),
        9 => key.extend(b"0".repeat(1 + chance.below(2_000))),
        // The half of one, and the half of another.
        _ => {
            let other: Key = chance.pick(&ring.keys);
            let at = PREFIX.len() + 1 + chance.below(50);
            key.truncate(at);
            key.extend(other.text.bytes().skip(at));
        }
    }
    key
}

/// A key with our prefix: any other is no secret of this gate's.
fn ours(chance: &mut Chance, ring: &Ring) -> String {
    let ours: Vec<&Key> = ring.keys.iter().filter(|key| key.kind != Kind::OtherPrefix).collect();
    let at = chance.below(ours.len());
    ours.get(at).map(|key| key.text.clone()).unwrap_or_default()
}

/// Any byte but those that end a line.
fn odd_byte(chance: &mut Chance) -> u8 {
    match chance.byte() {
        b'\r' | b'\n' => 0,
        byte => byte,
    }
}

fn hostile(
    chance: &mut Chance,
    ring: &Ring,
    is_exposing: &mut bool,
    is_malformed: &mut bool,
) -> (Vec<u8>, Vec<u8>) {
    match chance.below(12) {
        0 => {
            *is_malformed = true;
            let value = (0..chance.below(40)).map(|_| odd_byte(chance)).collect();
            (b"X-Odd".to_vec(), value)
        }
        1 => {
            *is_malformed = true;
            let name = (0..chance.below(12)).map(|_| odd_byte(chance)).collect();
            (name, b"odd".to_vec())
        }
        2 => {
            // Around the limits of the runtime and of the platform.
            *is_malformed = true;
            (b"X-Big".to_vec(), b"big ".repeat(chance.below(40_000)))
        }
        3 => {
            // A line within a line.
            (*is_malformed, *is_exposing) = (true, true);
            let end = chance.pick(&["\n", "\r", "\r\n ", "\r\n"]);
            let key = ours(chance, ring);
            (b"X-Split".to_vec(), format!("x{end}Authorization: Bearer {key}").into_bytes())
        }
        4 => (b"X-Empty".to_vec(), Vec::new()),
        _ => {
            let (name, value) = chance.pick(&HOSTILE);
            // These the runtime acts upon by itself.
            *is_malformed |= matches!(name, "Upgrade" | "Expect" | "Connection" | "Trailer");
            (latin1(name), latin1(value))
        }
    }
}

struct Body {
    framing: Vec<(Vec<u8>, Vec<u8>)>,
    sent: Vec<u8>,
    content: Vec<u8>,
    is_malformed: bool,
}

fn body(chance: &mut Chance, is_odd: bool, method: &str) -> Body {
    let mut body = Body { framing: Vec::new(), sent: Vec::new(), content: Vec::new(), is_malformed: is_odd };
    let mut frame = |name: &str, value: &str| body.framing.push((latin1(name), latin1(value)));
    let has_body = matches!(method, "POST" | "PUT" | "PATCH") || chance.percent(5) || is_odd;
    if !has_body {
        return body;
    }
    let content: Vec<u8> = match chance.below(4) {
        0 => Vec::new(),
        1 => (0..chance.below(400)).map(|_| chance.byte()).collect(),
        2 => b"{\"a\":1}".repeat(chance.below(3_000)),
        // A request within a body: whoever reads it as one has lost count.
        _ => {
            b"0\r\n\r\nGET /v1/smuggled HTTP/1.1\r\nHost: api.example.com\r\nX-Forwarded-Proto: https\r\n\r\n"
                .to_vec()
        }
    };
    let length = content.len().to_string();
    let chunked: Vec<u8> = {
        let chunks = content.chunks(1 + chance.below(300));
        let chunks =
            chunks.map(|chunk| [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
        chunks.chain([b"0\r\n\r\n".to_vec()]).flatten().collect()
    };
    let is_chunked = chance.percent(40);
    body.sent = if is_chunked { chunked } else { content.clone() };
    match (is_odd, is_chunked) {
        (false, true) => frame("Transfer-Encoding", "chunked"),
        (false, false) => frame("Content-Length", &length),
        (true, _) => match chance.below(8) {
            0 => {
                frame("Content-Length", &length);
                frame("Transfer-Encoding", "chunked");
            }
            1 => {
                frame("Content-Length", &length);
                frame("Content-Length", "0");
            }
            2 => frame("Content-Length", "-1"),
            3 => frame("Content-Length", "+7"),
            4 => frame("Content-Length", "99999999999999999999"),
            5 => frame("Transfer-Encoding", "xchunked"),
            6 => frame("Transfer-Encoding", "gzip, chunked"),
            // None at all: what follows is the next request, or nothing.
            _ => {}
        },
    }
    body.content = content;
    body
}

fn shuffle<T>(chance: &mut Chance, list: &mut [T]) {
    for at in (1..list.len()).rev() {
        list.swap(at, chance.below(at + 1));
    }
}

/// The bytes of a text whose characters are bytes.
fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect()
}
