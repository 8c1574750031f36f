//! What a secret store can do.

use std::fmt;

use zeroize::Zeroizing;

use crate::error::Result;
use crate::template::Holder;

/// What a store holds.
// Absent on purpose: Clone, Display, Serialize, PartialEq. Debug prints no text.
#[derive(Default)]
pub struct StoredSecret {
    /// The text; `None` where the store has none yet.
    pub text: Option<Zeroizing<String>>,
    /// Names the state that was seen, in the store's own terms; where there is one, [`SecretStore::put`] replaces only it.
    pub revision: Option<String>,
}

impl StoredSecret {
    /// Whether it is `key`, alone on its line.
    pub(crate) fn is(&self, key: &str) -> bool {
        self.text.as_ref().is_some_and(|text| text.trim() == key)
    }
}

impl fmt::Debug for StoredSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredSecret").field("revision", &self.revision).finish_non_exhaustive()
    }
}

/// Something that keeps one secret text.
pub trait SecretStore {
    /// Reads the text. An absent text is no error.
    ///
    /// # Errors
    /// The store cannot be reached, or does not allow reading.
    fn read(&self) -> Result<StoredSecret>;

    /// Finds out, as far as the store can tell without a change, whether [`SecretStore::put`] is allowed.
    ///
    /// # Errors
    /// It is not.
    fn check_writable(&self) -> Result<()>;

    /// Replaces what was `seen` by the text.
    ///
    /// # Errors
    /// Somebody changed it since, or writing failed. After a failure the outcome may be unknown: read again.
    fn put(&self, text: &str, seen: &StoredSecret) -> Result<()>;

    /// Removes what a killed process may have left beside what the store holds.
    fn tidy(&self) {}

    /// Whether what was put can be read back. A command's cannot.
    fn is_readable(&self) -> bool {
        true
    }
}

/// The environment of the commands that stores run.
#[derive(Clone, Debug, Default)]
pub struct CommandEnvironment {
    pub(crate) set: Vec<(&'static str, String)>,
    pub(crate) removed: Vec<String>,
}

impl CommandEnvironment {
    /// This process' environment without the variables that hold secrets.
    #[must_use]
    pub fn without(removed: Vec<String>) -> Self {
        Self { set: Vec::new(), removed }
    }

    /// The same, with the subject and the name of the key's holder.
    #[must_use]
    pub fn of_holder(&self, holder: &Holder<'_>) -> Self {
        let set =
            vec![("KEYGATE_SUBJECT", holder.subject.to_owned()), ("KEYGATE_NAME", holder.name.to_owned())];
        Self { set, removed: self.removed.clone() }
    }
}
