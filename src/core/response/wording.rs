//! How a gate words its refusals: how a key is to be sent, the challenge, and the format of the body. They follow from `CREDENTIALS`,
//! `REALM` and `ERROR_FORMAT`.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::request::credential::CredentialSources;

/// The format of the body: `ERROR_FORMAT`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ErrorFormat {
    /// RFC 9457.
    #[default]
    Problem,
    /// An `error` object with `message`, `type` and `code`, as the SDKs `openai` and `stripe` read it.
    OpenAi,
}

/// How a gate words its refusals.
#[derive(Clone, Debug)]
pub struct Wording {
    format: ErrorFormat,
    /// A sentence for the caller. INVARIANT: no character that JSON escapes
    advice: Box<str>,
    /// The scheme and the parameters of the challenge.
    challenge: Box<str>,
}

impl Wording {
    /// The wording of a gate with these sources; `realm` needs no escaping in a quoted string.
    pub(crate) fn new(sources: &CredentialSources, realm: &str, format: ErrorFormat) -> Self {
        let mut forms: Vec<String> = Vec::new();
        if sources.bearer() {
            forms.push("Authorization: Bearer <key>".into());
        }
        if sources.authorization() {
            forms.push("Authorization: <key>".into());
        }
        forms.extend(sources.header_names().iter().map(|name| format!("{}: <key>", capitalized(name))));
        if sources.basic() {
            forms.push("Authorization: Basic base64(<key>:)".into());
        }
        forms.extend(sources.query_name().map(|name| format!("?{name}=<key>")));
        let advice = format!("Send the API key as `{}`.", forms.join("` or `"));
        let challenge = if sources.bearer() {
            format!("Bearer realm=\"{realm}\"")
        } else if sources.basic() {
            format!("Basic realm=\"{realm}\"")
        } else if sources.authorization() {
            format!("ApiKey realm=\"{realm}\", header=\"authorization\"")
        } else if let Some(name) = sources.header_names().first() {
            format!("ApiKey realm=\"{realm}\", header=\"{name}\"")
        } else {
            format!("ApiKey realm=\"{realm}\", query=\"{}\"", sources.query_name().unwrap_or_default())
        };
        Self { format, advice: advice.into(), challenge: challenge.into() }
    }

    /// The format of the body.
    pub(crate) fn format(&self) -> ErrorFormat {
        self.format
    }

    /// How a key is to be sent.
    pub(crate) fn advice(&self) -> &str {
        &self.advice
    }

    /// The challenge (RFC 9110, section 11.6.1) before its `error` parameter. `ApiKey` is not a registered scheme.
    pub(crate) fn challenge(&self) -> &str {
        &self.challenge
    }
}

impl Default for Wording {
    /// The wording of a gate whose variables are invalid, so that its sources and its realm are not known.
    fn default() -> Self {
        Self {
            format: ErrorFormat::default(),
            advice: "Send the API key as `Authorization: Bearer <key>`.".into(),
            challenge: "Bearer realm=\"api\"".into(),
        }
    }
}

/// A header name with each word capitalized: `X-Api-Key`.
fn capitalized(name: &str) -> String {
    let mut is_start = true;
    let capitalize = |c: char| {
        let c = if is_start { c.to_ascii_uppercase() } else { c };
        is_start = c == '-';
        c
    };
    name.chars().map(capitalize).collect()
}

#[cfg(test)]
mod tests {
    use super::Wording;
    use crate::policy::Policy;

    fn wording(credentials: &str) -> Wording {
        let vars = std::format!(
            r#"{{"ORIGIN":"https://origin.example","KEY_PREFIX":"acme_live","REALM":"my api","CREDENTIALS":{credentials}}}"#
        );
        Policy::from_json(&vars).unwrap().wording().clone()
    }

    #[test]
    fn advice_and_challenge_name_the_configured_sources() {
        for (credentials, advice, challenge) in [
            (
                r#"["bearer","header:x-api-key"]"#,
                "Send the API key as `Authorization: Bearer <key>` or `X-Api-Key: <key>`.",
                r#"Bearer realm="my api""#,
            ),
            (
                r#"["header:api-key","query:key"]"#,
                "Send the API key as `Api-Key: <key>` or `?key=<key>`.",
                r#"ApiKey realm="my api", header="api-key""#,
            ),
            (
                r#"["basic","header:x-api-key"]"#,
                "Send the API key as `X-Api-Key: <key>` or `Authorization: Basic base64(<key>:)`.",
                r#"Basic realm="my api""#,
            ),
            (
                r#"["authorization","header:x-api-key"]"#,
                "Send the API key as `Authorization: <key>` or `X-Api-Key: <key>`.",
                r#"ApiKey realm="my api", header="authorization""#,
            ),
            (
                r#"["query:api_key"]"#,
                "Send the API key as `?api_key=<key>`.",
                r#"ApiKey realm="my api", query="api_key""#,
            ),
        ] {
            let wording = wording(credentials);
            assert_eq!((wording.advice(), wording.challenge()), (advice, challenge), "{credentials}");
        }
    }

    #[test]
    fn wording_without_a_policy_is_that_of_bearer() {
        let (default, bearer) = (Wording::default(), wording(r#"["bearer"]"#));
        assert_eq!(default.advice(), bearer.advice());
        assert_eq!(default.challenge(), bearer.challenge().replace("my api", "api"));
    }
}
