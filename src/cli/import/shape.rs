//! Dumps and lists of other systems that are no format of `import`: named, with what to export instead.

use std::fmt;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::error::{Error, Outcome};
use crate::import::Format;

/// The fields by which such a file is known.
#[derive(Deserialize)]
struct Shape {
    items: Option<Vec<IgnoredAny>>,
    data: Option<Vec<IgnoredAny>>,
    list: Option<Vec<IgnoredAny>>,
    keys: Option<Vec<IgnoredAny>>,
    value: Option<Vec<IgnoredAny>>,
    consumers: Option<Vec<IgnoredAny>>,
    keyauth_credentials: Option<Vec<IgnoredAny>>,
    #[serde(rename = "_format_version")]
    format_version: Option<IgnoredAny>,
    meta: Option<IgnoredAny>,
    message: Option<String>,
}

/// What a source of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Text {
    Lines,
    Csv,
    Json,
    Yaml,
}

/// Whose declarative file is expected.
#[derive(Clone, Copy, Debug)]
pub(super) enum System {
    Kong,
    Apisix,
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kong => "Kong",
            Self::Apisix => "APISIX",
        })
    }
}

/// What the object is, if it is such a file, and none that `wanted` reads.
pub(super) fn of_json(text: &str, wanted: Format) -> Option<Error> {
    of_kubernetes(serde_json::from_str(text).ok()).or_else(|| {
        let shape: Shape = serde_json::from_str(text).ok()?;
        refusal(&if wanted == Format::Unkey { Shape { data: None, keys: None, ..shape } } else { shape })
    })
}

/// What the YAML document is, if it is such a file, and no declarative file of `whose`.
pub(super) fn of_yaml(text: &str, whose: System) -> Option<Error> {
    of_kubernetes(serde_saphyr::from_str(text).ok()).or_else(|| {
        let shape: Shape = serde_saphyr::from_str(text).ok()?;
        refusal(&match whose {
            System::Kong => {
                Shape { consumers: None, keyauth_credentials: None, format_version: None, ..shape }
            }
            System::Apisix => Shape { consumers: None, list: None, ..shape },
        })
    })
}

/// What every object of Kubernetes has.
#[derive(Deserialize)]
struct Kubernetes {
    #[serde(rename = "apiVersion")]
    _version: String,
    #[serde(rename = "kind")]
    _kind: String,
}

fn of_kubernetes(object: Option<Kubernetes>) -> Option<Error> {
    object.map(|_| {
        Error::failed(
            "the source is a list or an object of Kubernetes",
            "decode the Secrets first; docs/migration.md has the command",
        )
    })
}

fn refusal(shape: &Shape) -> Option<Error> {
    let is_of_kong = shape.format_version.is_some() || shape.keyauth_credentials.is_some();
    let (what, remedy) = if is_of_kong {
        ("a declarative file of Kong", "use `--format kong`")
    } else if shape.consumers.is_some() {
        ("a declarative file of Kong or APISIX", "use `--format kong` or `--format apisix`")
    } else if shape.list.is_some() {
        ("a dump of APISIX's Admin API", "use `--format apisix`")
    } else if shape.data.is_some() && shape.meta.is_some() {
        ("an answer of Unkey's API", "use `--format unkey`")
    } else if shape.data.is_some() {
        (
            "a dump of Kong's Admin API: one page, in which keys name their consumers by id alone",
            "export with `deck gateway dump` or `kong config db_export`, then use `--format kong`",
        )
    } else if shape.items.is_some() {
        (
            "a list of API keys as AWS API Gateway gives it",
            "write one object for each key; docs/migration.md has the command",
        )
    } else if shape.keys.is_some() {
        ("a list of Tyk's, of key ids or hashes", "issue new keys: a key of Tyk cannot be recovered from it")
    } else if shape.value.is_some() {
        (
            "a list of Azure API Management's, which holds no key",
            "read the keys of each subscription with `listSecrets`, and write lines of a key, a blank and its subject",
        )
    } else if shape.message.is_some() {
        ("an error message of a server in place of the export", "open it in an editor, and export again")
    } else {
        return None;
    };
    Some(Error::failed(format!("the source is {what}"), remedy))
}

/// Refuses a source of which the first line shows that it is text of another format than `wanted`.
pub(super) fn refuse_other_text(text: &[u8], wanted: Text) -> Outcome<()> {
    let mut lines = text.split(|b| *b == b'\n').map(<[u8]>::trim_ascii);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with(b"#")).unwrap_or_default();
    let heading = first.to_ascii_lowercase();
    let has_columns = [b',', b';', b'\t'].into_iter().any(|separator| {
        let mut columns = heading.split(|b| *b == separator).map(<[u8]>::trim_ascii);
        heading.contains(&separator)
            && columns.any(|column| matches!(column, b"key" | b"\"key\"" | b"sha256"))
    });
    let (found, what, remedy) = match first {
        [b'{' | b'[', ..] => (Text::Json, "JSON", "`--format jsonl`"),
        _ if first == b"---" || first.starts_with(b"_format_version:") || first == b"consumers:" => {
            (Text::Yaml, "YAML", "`--format kong` or `--format apisix`")
        }
        _ if has_columns || first.starts_with(b"sep=") => (Text::Csv, "CSV", "`--format csv`"),
        _ => return Ok(()),
    };
    if found == wanted {
        return Ok(());
    }
    Err(Error::failed(format!("the source is {what}"), format!("use {remedy}")))
}
