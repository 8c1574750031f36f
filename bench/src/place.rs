//! A folder of the run's own.

use std::env;
use std::path::PathBuf;
use std::process;

use anyhow::Result;

use crate::process::end_all_when_interrupted;

/// It goes with the value.
pub(crate) struct Place(pub(crate) PathBuf);

impl Place {
    pub(crate) fn make() -> Result<Self> {
        // Not in the clone: nginx, when it runs as another user, must be able to read it.
        let place = env::temp_dir().join(format!("keygate-bench-{}", process::id()));
        fs_err::create_dir_all(&place)?;
        end_all_when_interrupted(&place)?;
        Ok(Self(place))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What cannot be removed is in the system's own temporary folder.
        drop(fs_err::remove_dir_all(&self.0));
    }
}
