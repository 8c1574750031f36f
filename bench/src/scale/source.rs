//! What is imported: keys that another system issued, and digests of such keys.

use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use fs_err::File;
use keygate_core::key::digest::{Digest, ImportedKey};
use serde_json::json;

use crate::keys::KeyMaker;

/// The files, with as many keys in each.
pub(crate) struct Source {
    pub(crate) keys: usize,
    /// A key and its holder on each line.
    pub(crate) plain: PathBuf,
    /// A digest in base64 and its holder on each line.
    pub(crate) digests: PathBuf,
    /// Objects, by turns with a key and with a digest, and with all that `list` filters by.
    pub(crate) both: PathBuf,
}

const CUSTOMERS: usize = 1000;
const WEEK_SECS: u64 = 7 * 86_400;

pub(crate) fn is_customer_7(number: usize) -> bool {
    number % CUSTOMERS == 7
}

pub(crate) fn is_disabled(number: usize) -> bool {
    number.is_multiple_of(50)
}

/// Of those that are in use, as `list --expiring` means it.
pub(crate) fn ends_soon(number: usize) -> bool {
    number % 20 == 1
}

pub(crate) fn may_write(number: usize) -> bool {
    number.is_multiple_of(10)
}

impl Source {
    /// Writes the files into `folder`.
    pub(crate) fn write(folder: &Path, keys: usize) -> Result<Self> {
        let texts = KeyMaker::new()?.foreign(keys);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let file = |name: &str, line: &dyn Fn(usize, &str) -> String| {
            let path = folder.join(name);
            let mut file = BufWriter::new(File::create(&path)?);
            for (number, key) in texts.iter().enumerate() {
                writeln!(file, "{}", line(number, key))?;
            }
            file.flush()?;
            anyhow::Ok(path)
        };
        let holder = |number: usize| format!("customer-{}", number % CUSTOMERS);
        let object = |number: usize, key: &str| {
            let (field, text) =
                if number.is_multiple_of(2) { ("key", key.to_owned()) } else { ("sha256", digest(key)) };
            let not_after = if ends_soon(number) { now + WEEK_SECS } else { 4_102_444_800 };
            let scopes =
                if may_write(number) { vec!["reports:read", "reports:write"] } else { vec!["reports:read"] };
            let state = if is_disabled(number) { "disabled" } else { "active" };
            json!({
                field: text, "subject": holder(number), "name": "Made by the bench", "state": state,
                "not_after": not_after, "scopes": scopes,
            })
            .to_string()
        };
        Ok(Self {
            keys,
            plain: file("keys", &|number, key| format!("{key} {}", holder(number)))?,
            digests: file("digests", &|number, key| format!("{} {}", digest(key), holder(number)))?,
            both: file("both.jsonl", &object)?,
        })
    }

    /// How many of the objects are such.
    pub(crate) fn matching(&self, is_such: fn(usize) -> bool) -> usize {
        (0..self.keys).filter(|number| is_such(*number)).count()
    }
}

/// SHA-256 in base64url, as a record has it.
fn digest(key: &str) -> String {
    let digest = ImportedKey::parse(key).map(|key| Digest::ImportedBare(*key.sha256()).to_string());
    digest.unwrap_or_default().trim_start_matches("sha256.").to_owned()
}
