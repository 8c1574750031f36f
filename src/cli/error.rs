//! What a command says when it cannot do its work: the problem, then the remedy.

pub(crate) use keygate_delivery::{Error, Result as Outcome};

/// The process's exit code: 2 for a command line that asks for what cannot be, as for clap's own errors.
pub(crate) fn exit_code(error: &Error) -> u8 {
    if error.is_usage() { 2 } else { 1 }
}
