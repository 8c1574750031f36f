//! Where the words go: results to standard output, everything meant for a reader's eyes to standard error.

use std::fmt::Display;
use std::io::{self, BufWriter, StdoutLock, Write as _};

use keygate_delivery::text::redact_runs;
use serde::Serialize;
use tabwriter::TabWriter;
use zeroize::Zeroizing;

use crate::error::{Error, Outcome};

pub(crate) use keygate_delivery::text::{printable, quoted};

/// Room for any result that holds a key, so that no reallocation leaves a copy of it behind.
const RESULT_BYTES: usize = 32 * 1024;

/// The two streams, and whether results are JSON.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Says something to the reader.
    #[expect(clippy::unused_self, reason = "who may write is said by who was given an Output")]
    pub(crate) fn note(self, text: impl Display) {
        // A closed standard error must not stop a command half way through its writes.
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// Writes the one result: `value` as a JSON object under `--json`, else `text`.
    ///
    /// # Errors
    /// Standard output is closed or full.
    pub(crate) fn result(self, value: &impl Serialize, text: impl Display) -> Outcome<()> {
        let mut line = Zeroizing::new(Vec::with_capacity(RESULT_BYTES));
        if self.json {
            serde_json::to_writer(&mut *line, value).map_err(io::Error::from)
        } else {
            write!(line, "{text}")
        }
        .and_then(|()| {
            line.push(b'\n');
            let mut stdout = io::stdout().lock();
            stdout.write_all(&line)?;
            stdout.flush()
        })
        .map_err(|e| not_written(&e))
    }

    /// Writes the one result under `--json`; without it the command has none.
    ///
    /// # Errors
    /// As [`Output::result`].
    pub(crate) fn json_result(self, value: &impl Serialize) -> Outcome<()> {
        if self.json { self.result(value, "") } else { Ok(()) }
    }

    /// Standard output for results without number: one JSON object a line.
    #[expect(clippy::unused_self, reason = "who may write is said by who was given an Output")]
    pub(crate) fn lines(self) -> Lines {
        Lines(BufWriter::new(io::stdout().lock()))
    }

    /// Says why the command failed; as a JSON object under `--json`.
    pub(crate) fn failure(self, error: &Error) {
        match serde_json::to_string(error) {
            Ok(json) if self.json => self.note(json),
            _ => self.note(error),
        }
    }
}

/// Results, a line each; on their way out when [`Lines::finish`] returns.
pub(crate) struct Lines(BufWriter<StdoutLock<'static>>);

impl Lines {
    /// # Errors
    /// Standard output is closed or full.
    pub(crate) fn add(&mut self, value: &impl Serialize) -> Outcome<()> {
        serde_json::to_writer(&mut self.0, value)
            .map_err(io::Error::from)
            .and_then(|()| self.0.write_all(b"\n"))
            .map_err(|e| not_written(&e))
    }

    /// # Errors
    /// As [`Lines::add`].
    pub(crate) fn add_text(&mut self, text: impl Display) -> Outcome<()> {
        writeln!(self.0, "{text}").map_err(|e| not_written(&e))
    }

    /// Sends what there is on its way.
    ///
    /// # Errors
    /// As [`Lines::add`].
    pub(crate) fn flush(&mut self) -> Outcome<()> {
        self.0.flush().map_err(|e| not_written(&e))
    }

    /// # Errors
    /// As [`Lines::add`].
    pub(crate) fn finish(mut self) -> Outcome<()> {
        self.0.flush().map_err(|e| not_written(&e))
    }
}

/// A table whose rows have tabs between their cells, with its columns aligned.
pub(crate) fn aligned(rows: &str) -> String {
    let mut table = TabWriter::new(Vec::new());
    let written = table.write_all(rows.as_bytes());
    let bytes = written.ok().and_then(|()| table.into_inner().ok());
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_else(|| rows.to_owned())
}

pub(crate) fn not_written(error: &io::Error) -> Error {
    Error::failed(
        format!("cannot write to standard output: {error}"),
        "check where standard output is sent to",
    )
}

/// `text` with every run taken out that may be a key, an imported one as well: these have 20 characters or more.
///
/// clap repeats arguments in its errors, and somebody will give a whole key where its id belongs. No word or option of ours is
/// as long.
pub(crate) fn redact_typed(text: &str) -> String {
    redact_runs(text, 20, "-._~+/=")
}

#[cfg(test)]
mod tests {
    use super::redact_typed;

    #[test]
    fn a_whole_key_in_a_usage_error_is_taken_out() {
        assert_eq!(
            redact_typed("unexpected argument 'Zk3vQ9xLr/2K7h.VbT1m='"),
            "unexpected argument '(redacted)'"
        );
    }
}
