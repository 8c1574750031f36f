//! `env:NAME`: a variable of the environment that this process was started with.

use std::env;

use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::secret_store::{SecretStore, StoredSecret};
use crate::text::printable;

/// The variable.
pub(crate) struct EnvStore {
    name: String,
}

impl EnvStore {
    pub(crate) fn new(name: String) -> Self {
        Self { name }
    }
}

impl SecretStore for EnvStore {
    fn read(&self) -> Result<StoredSecret> {
        match env::var(&self.name) {
            Ok(text) if !text.is_empty() => {
                Ok(StoredSecret { text: Some(Zeroizing::new(text)), revision: None })
            }
            Ok(_) | Err(env::VarError::NotPresent) => Ok(StoredSecret { text: None, revision: None }),
            Err(env::VarError::NotUnicode(_)) => Err(Error::usage(
                format!("the variable {} is not UTF-8 text", printable(&self.name)),
                "set it to the secret text alone",
            )),
        }
    }

    fn check_writable(&self) -> Result<()> {
        Err(Error::usage(
            format!("env:{} can be read, not written", printable(&self.name)),
            "name a store that lasts: file:PATH, exec:COMMAND, or a secret manager",
        ))
    }

    fn put(&self, _: &str, _: &StoredSecret) -> Result<()> {
        self.check_writable()
    }
}

#[cfg(test)]
mod tests {
    use super::EnvStore;
    use crate::secret_store::{SecretStore as _, StoredSecret};

    #[test]
    fn a_variable_is_read_and_not_written() {
        let store = EnvStore::new("PATH".into());
        assert!(store.read().unwrap().text.is_some());
        let absent = EnvStore::new("KEYGATE_TEST_NO_SUCH_VARIABLE".into());
        assert!(absent.read().unwrap().text.is_none());
        for error in
            [store.check_writable().unwrap_err(), store.put("text", &StoredSecret::default()).unwrap_err()]
        {
            assert!(error.problem().contains("can be read, not written"), "{error:?}");
        }
    }
}
