//! What must become of a request, read from its bytes.

use crate::keys::{Kind, Ring};

/// What can be said of a request's answer before it is sent.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) enum Expected {
    /// Nothing: it is odd in more than its credential.
    #[default]
    Anything,
    Forwarded,
    /// With some code.
    Refused,
    /// With this one.
    Code(&'static str),
}

/// What a request's credential headers hold.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Carried {
    Nothing,
    /// One key of the ring, by its place there, and nothing else.
    Key(usize),
    /// One text that is no key of the ring, with no sign in it that could make it two.
    Other,
    /// Anything else.
    Unclear,
}

/// Reads the credential headers of a request's bytes; every sign that may end a line ends one here.
pub(crate) fn carried(bytes: &[u8], ring: &Ring) -> Carried {
    let text: String = bytes.iter().copied().map(char::from).collect();
    // A line that begins with a blank goes on the line before.
    let text = text.replace("\r\n ", "  ").replace("\r\n", "\n").replace('\r', "\n");
    let head = text.split("\n\n").next().unwrap_or_default();
    let lines = |wanted: &str| {
        let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let values = lines.filter(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value);
        values.map(|value| value.trim_matches([' ', '\t']).to_owned()).collect::<Vec<_>>()
    };
    let (keys, authorizations) = (lines("x-api-key"), lines("authorization"));
    if keys.len() > 1 || authorizations.len() > 1 {
        return Carried::Unclear;
    }
    let key = keys.first().map(String::as_str).unwrap_or_default();
    let authorization = authorizations.first().map(String::as_str).unwrap_or_default();
    let (scheme, token) = authorization.split_once([' ', '\t']).unwrap_or((authorization, ""));
    let token = token.trim_matches([' ', '\t']);
    let is_bearer = scheme.eq_ignore_ascii_case("bearer");
    let is_ours = is_bearer && token.starts_with("acme_live_");
    // An `Authorization` of another kind may hold no key: neither one of ours nor the other header's.
    let holds_key = authorization.contains("acme_live_") || !key.is_empty() && authorization.contains(key);
    let is_key = is_ours || is_bearer && token == key;
    let is_wrapped = !key.starts_with("acme_live_") && key.contains("acme_live_");
    if is_wrapped || holds_key && !is_key || is_bearer && token.contains(',') {
        return Carried::Unclear;
    }
    let found = match (key, is_bearer && !token.is_empty()) {
        ("", false) => return Carried::Nothing,
        // Beside a key of ours, so is a value of the other header.
        (key, true) if is_ours && !key.contains("acme_live_") && !key.contains(',') => token,
        ("", true) => token,
        // A bearer token without our prefix is the origin's own business beside a key.
        (key, _) if !is_ours || key == token => key,
        _ => return Carried::Unclear,
    };
    if !found.bytes().all(|byte| byte.is_ascii_graphic() && !b",;>\"'`".contains(&byte)) {
        return Carried::Unclear;
    }
    ring.keys.iter().position(|key| key.text == found).map_or(Carried::Other, Carried::Key)
}

/// What must become of a request that is odd in nothing but its credential.
pub(crate) fn foretell(
    method: &str,
    path: &str,
    is_https: bool,
    from_home: bool,
    carried: &Carried,
    ring: &Ring,
) -> Expected {
    let first = path.split('/').nth(1).unwrap_or_default();
    match first {
        _ if !is_https => Expected::Code("https_required"),
        "closed" => Expected::Code("route_denied"),
        "public" => Expected::Forwarded,
        "read-only" if method != "GET" && method != "HEAD" => Expected::Code("method_not_allowed"),
        _ => match carried {
            Carried::Nothing => Expected::Code("credential_missing"),
            Carried::Other => Expected::Code("key_invalid"),
            Carried::Unclear => Expected::Refused,
            Carried::Key(at) => {
                let kind = ring.keys.get(*at).map(|key| key.kind).unwrap_or_default();
                with_key(kind, first == "admin", from_home)
            }
        },
    }
}

fn with_key(kind: Kind, needs_scope: bool, from_home: bool) -> Expected {
    match kind {
        Kind::Networked if !from_home => Expected::Code("ip_not_allowed"),
        Kind::Active | Kind::Static | Kind::Networked if needs_scope => Expected::Code("scope_missing"),
        Kind::Active | Kind::Static | Kind::Networked | Kind::Admin => Expected::Forwarded,
        Kind::Revoked | Kind::Denied => Expected::Code("key_revoked"),
        Kind::Disabled => Expected::Code("key_disabled"),
        Kind::Expired => Expected::Code("key_expired"),
        Kind::NotYetValid => Expected::Code("key_not_yet_valid"),
        Kind::BadRecord => Expected::Code("key_record_invalid"),
        Kind::Unknown | Kind::WrongDigest | Kind::Forged | Kind::OtherPrefix => Expected::Code("key_invalid"),
    }
}
