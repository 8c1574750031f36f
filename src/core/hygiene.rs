//! Which of a client's headers are not handed on to the origin, besides the credential's own.

use alloc::vec::Vec;

use crate::credential::Places;

/// Headers for one hop only (RFC 9110, section 7.6.1, and its predecessors'), and `Forwarded` (RFC 7239): the gate states the
/// client's address in `X-Forwarded-For`, and an origin must not find the client's own claim beside it.
const DROPPED: [&str; 6] =
    ["forwarded", "keep-alive", "proxy-authorization", "proxy-connection", "te", "trailer"];

/// Headers by which some origins let a client name another path or method than the request's own: what was judged would not be
/// what is done (CVE-2018-14773).
const OVERRIDES: [&str; 6] = [
    "x-original-url",
    "x-rewrite-url",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-method",
];

/// Of all `X-Forwarded-*` the gate states these itself; the others are a client's claims that nobody has checked.
const STATED: [&str; 3] = ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];

/// What `Connection` may not take away: the platform's word about the client, and what frames or routes the message.
const NOT_BY_CONNECTION: [&str; 6] =
    ["connection", "content-length", "content-type", "host", "transfer-encoding", "upgrade"];

/// The names to drop, of the headers that the shell found doubtful.
///
/// An upgrade is handed on only if it is a WebSocket's, and those begin with GET (RFC 6455, section 4.1): the runtime would turn
/// any other method into one, and what was judged would not be what is forwarded.
///
/// `doubtful` holds one header a line: its name in lower case, and for `connection` and `upgrade` also `:` and the value.
pub fn dropped<'d>(places: &Places, method: &str, doubtful: &'d str) -> impl Iterator<Item = &'d str> {
    let upgrades = method == "GET";
    let mut names = Vec::new();
    for line in doubtful.split('\n').filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let itself = match name {
            "connection" => {
                let nominated = value.split(',').map(str::trim_ascii);
                names.extend(nominated.filter(|name| may_be_nominated(name)));
                false
            }
            "upgrade" => !(upgrades && value.eq_ignore_ascii_case("websocket")),
            _ => is_dropped(places, name),
        };
        if itself {
            names.push(name);
        }
    }
    names.into_iter()
}

fn is_dropped(places: &Places, name: &str) -> bool {
    name.starts_with("x-keygate-")
        || (name.starts_with("x-forwarded-") && !STATED.contains(&name))
        || DROPPED.contains(&name)
        || OVERRIDES.contains(&name)
        || places.is_lookalike(name)
}

/// Whether a sender may declare the header to be for this hop only. `name` is in the sender's spelling.
fn may_be_nominated(name: &str) -> bool {
    let is_token = |b: u8| {
        b.is_ascii_alphanumeric()
            || matches!(b, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
    };
    let begins_with_cf = name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("cf-"));
    !name.is_empty()
        && name.bytes().all(is_token)
        && !begins_with_cf
        && !NOT_BY_CONNECTION.iter().any(|kept| name.eq_ignore_ascii_case(kept))
}

#[cfg(test)]
mod tests {
    use super::dropped;
    use crate::credential::Places;
    use proptest::prelude::{any, proptest};
    use std::string::String;
    use std::vec::Vec;

    #[test]
    fn what_an_origin_could_take_for_the_gates_word_is_dropped() {
        for (doubtful, expected) in [
            ("", &[][..]),
            ("x-keygate-subject", &["x-keygate-subject"]),
            ("x-keygate-anything\nx_keygate_subject", &["x-keygate-anything", "x_keygate_subject"]),
            ("x_custom", &[]),
            ("x-original-url\nx-rewrite-url\nx-original-thing", &["x-original-url", "x-rewrite-url"]),
            ("x_original_url\nx-http_method_override", &["x_original_url", "x-http_method_override"]),
            ("x-http-method-override\nx-http-method", &["x-http-method-override", "x-http-method"]),
            (
                "x-forwarded-prefix\nx-forwarded-for\nx-forwarded-host\nx-forwarded-proto",
                &["x-forwarded-prefix"],
            ),
            ("te\ntrailer\nforwarded\nkeep-alive", &["te", "trailer", "forwarded", "keep-alive"]),
            ("proxy-authorization\nproxy-connection", &["proxy-authorization", "proxy-connection"]),
            ("connection:close, X-Hop ,x-other", &["close", "X-Hop", "x-other"]),
            ("connection:CF-Connecting-IP, cf-ray, Host, content-length", &[]),
            ("connection:,, bad name, é", &[]),
            ("upgrade:websocket\nconnection:Upgrade", &[]),
            ("upgrade:WebSocket", &[]),
            ("upgrade:h2c", &["upgrade"]),
            ("upgrade:", &["upgrade"]),
        ] {
            let got: Vec<&str> = dropped(&Places::default(), "GET", doubtful).collect();
            assert_eq!(got, expected, "{doubtful}");
        }
    }

    #[test]
    fn only_a_get_may_become_a_web_socket() {
        for method in ["POST", "DELETE", "OPTIONS", "HEAD", "PUT"] {
            let got: Vec<&str> = dropped(&Places::default(), method, "upgrade:websocket").collect();
            assert_eq!(got, ["upgrade"], "{method}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(doubtful in any::<String>()) {
            let _ = dropped(&Places::default(), "GET", &doubtful).count();
        }
    }
}
