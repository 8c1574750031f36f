//! Places on this machine: a file, a variable of the environment, what a shell command prints.

use std::env;
use std::fs;
use std::process::{Command, Stdio};

use zeroize::Zeroizing;

use crate::fault::{Fault, Outcome};
use crate::places::{Held, Place, PlaceUri};

/// One of them.
struct Local(PlaceUri);

/// The place, if it is one of this machine's.
pub(super) fn open(uri: &PlaceUri) -> Box<dyn Place> {
    Box::new(Local(uri.clone()))
}

impl Place for Local {
    fn look(&self) -> Outcome<Held> {
        let cannot = |why: String| {
            Fault::failed(format!("cannot read {}: {why}", self.0), "see that it is there, and may be read")
        };
        let text = match &self.0 {
            PlaceUri::File { path } => Some(fs::read_to_string(path).map_err(|e| cannot(e.to_string()))?),
            PlaceUri::Env { name } => env::var(name).ok().filter(|text| !text.is_empty()),
            PlaceUri::Exec { command } => {
                let mut shell = Command::new("sh");
                shell.args(["-c", command]).stdin(Stdio::null()).stderr(Stdio::inherit());
                let ran = shell.output().map_err(|e| cannot(e.to_string()))?;
                if !ran.status.success() {
                    return Err(cannot(format!("the command ended with {}", ran.status)));
                }
                Some(String::from_utf8(ran.stdout).map_err(|_| cannot("it is no text".to_owned()))?)
            }
            _ => None,
        };
        Ok(Held { text: text.map(Zeroizing::new), revision: None })
    }

    fn check_writable(&self) -> Outcome<()> {
        Err(Fault::usage(format!("{} is only read from", self.0), "name another place"))
    }

    fn put(&self, _: &str, _: &Held) -> Outcome<()> {
        self.check_writable()
    }
}
