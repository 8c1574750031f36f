//! The consumers of a file of Kong's, by the ways in which its entities name them.

use std::collections::{BTreeSet, HashMap};

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_saphyr::Spanned;

use crate::import::kong::Consumer;

/// How an entity names its consumer.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Reference {
    Text(String),
    Fields {
        id: Option<String>,
        username: Option<String>,
    },
    /// `y` and `42` are no strings in YAML.
    Other(IgnoredAny),
}

/// The consumers, by how Kong refers to them.
#[derive(Default)]
pub(super) struct Names<'k> {
    ids: HashMap<&'k str, Vec<usize>>,
    usernames: HashMap<&'k str, Vec<usize>>,
}

impl<'k> Names<'k> {
    pub(super) fn new(consumers: &'k [Spanned<Consumer>]) -> Self {
        let mut names = Self::default();
        for (at, consumer) in consumers.iter().map(|consumer| &consumer.value).enumerate() {
            if let Some(id) = consumer.id.as_deref() {
                names.ids.entry(id).or_default().push(at);
            }
            if let Some(username) = consumer.username.as_deref() {
                names.usernames.entry(username).or_default().push(at);
            }
        }
        names
    }

    /// All consumers that an id or a username names.
    pub(super) fn all(&self, id: Option<&str>, username: Option<&str>) -> BTreeSet<usize> {
        let of_id = id.and_then(|id| self.ids.get(id)).into_iter();
        of_id.chain(username.and_then(|username| self.usernames.get(username))).flatten().copied().collect()
    }

    /// All consumers that a reference may mean.
    pub(super) fn meant(&self, reference: &Reference) -> BTreeSet<usize> {
        match reference {
            Reference::Text(name) => self.all(Some(name), Some(name)),
            Reference::Fields { id, username } => self.all(id.as_deref(), username.as_deref()),
            Reference::Other(_) => BTreeSet::new(),
        }
    }

    /// The one consumer that a reference means, of the entity in `list`.
    pub(super) fn one(&self, reference: Option<&Reference>, list: &str) -> Result<usize, String> {
        let reference = reference.ok_or_else(|| format!("has no `consumer` in `{list}`"))?;
        let meant = self.meant(reference);
        match meant.first() {
            None => Err(unknown_consumer(list)),
            Some(at) if meant.len() == 1 => Ok(*at),
            Some(_) => Err(format!(
                "`consumer` in `{list}` names more than one consumer of this file; name it by id"
            )),
        }
    }

    /// Checks that an entity below the consumer `at` names no other one.
    pub(super) fn check_nested(
        &self,
        reference: Option<&Reference>,
        at: usize,
        list: &str,
    ) -> Result<(), String> {
        match reference {
            Some(_) if self.one(reference, list)? != at => {
                Err(format!("`consumer` in `{list}` names another consumer than the one it stands below"))
            }
            _ => Ok(()),
        }
    }
}

pub(super) fn unknown_consumer(list: &str) -> String {
    format!(
        "`consumer` in `{list}` names no consumer of this file; export both in one file, and write names that are no strings in YAML, such as `y` or `42`, in quotes"
    )
}
