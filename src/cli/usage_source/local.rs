//! The Durable Object of `wrangler dev`, read from its SQLite file by a Node.js process. The object may be running meanwhile.

use std::ffi::OsStr;
use std::io::{self, Read as _};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use keygate_core::usage::{
    AnomalyCollector, AnomalyReport, Collector, Commit, Day, Hour, LastUses, LastUsesReport, Query, Report,
    Row as _, RowError, RowName, Usage,
};

use crate::control_config::dev_command;
use crate::error::{Error, Outcome};
use crate::local_kv::state_folder;
use crate::node::{self, Script};
use crate::time;
use crate::usage_source::UsageSource;
use crate::wrangler_config::WranglerConfig;

const SCRIPT: &str = include_str!("local_usage.cjs");
/// The one object that all gates send to.
const OBJECT: &str = "usage";

/// The object's file.
pub(super) struct LocalUsage {
    /// The folder of the configuration.
    project: PathBuf,
    /// Of the class's objects.
    folder: PathBuf,
    /// Of the class, as Miniflare makes it.
    unique_key: String,
    place: String,
    /// What runs both Workers, for messages.
    command: String,
}

/// What the script writes: a letter, a number, bytes.
struct Piece {
    letter: u8,
    number: u64,
    bytes: Vec<u8>,
}

impl LocalUsage {
    /// # Errors
    /// The folder cannot be named.
    pub(super) fn new(
        config: &WranglerConfig,
        persist_to: Option<&Path>,
        script: &str,
        class: &str,
    ) -> Outcome<Self> {
        let unique_key = format!("{script}-{class}");
        Ok(Self {
            project: config.folder().to_owned(),
            folder: state_folder(config, persist_to)?.join("do").join(&unique_key),
            place: format!("the control Worker {script} of `wrangler dev`"),
            unique_key,
            command: dev_command(config),
        })
    }

    /// Gives the rows that are asked for to `row`, and returns what is in no row yet. `rows` is told up to which day there are sums.
    ///
    /// # Errors
    /// Usage cannot be read, or nothing was ever counted.
    fn read(
        &self,
        rows: impl FnOnce(Option<Day>) -> Vec<RangeInclusive<u64>>,
        mut row: impl FnMut(u64, &[u8]) -> Result<(), RowError>,
    ) -> Outcome<Usage> {
        let mut recent = Usage::default();
        let arguments = [self.folder.as_os_str(), OsStr::new(&self.unique_key), OsStr::new(OBJECT)];
        let mut script = Script::start(&self.project, SCRIPT, &arguments)?;
        let first = piece(&mut script).map_err(|error| self.broken(&error))?;
        match first.letter {
            b'n' => return Err(self.nothing_yet()),
            b'm' => {}
            _ => return Err(self.said(&first)),
        }
        let names = rows((first.number > 0).then_some(Day(first.number)));
        let names: Vec<_> = names.iter().map(|range| (range.start(), range.end())).collect();
        let names = serde_json::to_vec(&names).unwrap_or_default();
        script.write(&names).map_err(|error| self.broken(&error))?;
        // The script reads to its end.
        script.input = None;
        loop {
            let piece = piece(&mut script).map_err(|error| self.broken(&error))?;
            match piece.letter {
                b'r' => row(piece.number, &piece.bytes).map_err(|error| self.unreadable(&error))?,
                b'c' => {
                    let commit = Commit::unpack(&piece.bytes).map_err(|error| self.unreadable(&error))?;
                    recent.merge(commit.usage());
                }
                b'e' => return Ok(recent),
                _ => return Err(self.said(&piece)),
            }
        }
    }

    fn nothing_yet(&self) -> Error {
        Error::failed(
            format!("nothing has been counted yet by {} in {}", self.place, self.folder.display()),
            format!(
                "run both Workers (`{}`) and send a request, which is counted some seconds later; if they keep their state in another folder, name it with `--persist-to`",
                self.command
            ),
        )
    }

    fn said(&self, piece: &Piece) -> Error {
        self.failed(&String::from_utf8_lossy(&piece.bytes))
    }

    fn broken(&self, error: &io::Error) -> Error {
        self.failed(&error.to_string())
    }

    fn unreadable(&self, error: &RowError) -> Error {
        self.failed(&error.to_string())
    }

    fn failed(&self, reason: &str) -> Error {
        let remedy = if reason.contains("Node.js") {
            node::INSTALL
        } else {
            "check the folder of the local store (`--persist-to`), and that `wrangler dev` runs this version of the control Worker"
        };
        Error::failed(format!("cannot read usage from {}: {reason}", self.place), remedy)
    }
}

impl UsageSource for LocalUsage {
    fn report(&self, query: &Query) -> Outcome<Report> {
        let today = Hour::of(time::now()?).day();
        let asking = Collector::new(query.clone(), today);
        let mut collector = Collector::new(query.clone(), today);
        let recent =
            self.read(|summed| asking.rows(summed), |number, packed| collector.add(number, packed))?;
        collector.add_recent(&recent);
        Ok(collector.report())
    }

    fn last_uses(&self) -> Outcome<LastUsesReport> {
        let mut report = LastUsesReport::default();
        let recent = self.read(
            |_| vec![RowName::all_last_uses()],
            |_, packed| {
                report.add(LastUses::unpack(packed)?.0.iter());
                Ok(())
            },
        )?;
        report.add(recent.keys.iter().map(|(id, key)| (id, &key.last)));
        Ok(report)
    }

    fn anomalies(&self) -> Outcome<AnomalyReport> {
        let now = time::now()?;
        let asking = AnomalyCollector::new(now);
        let mut collector = AnomalyCollector::new(now);
        let recent =
            self.read(|summed| asking.rows(summed), |number, packed| collector.add(number, packed))?;
        collector.add_recent(&recent);
        Ok(collector.report())
    }

    fn may_have_any(&self) -> bool {
        self.folder.is_dir()
    }

    fn place(&self) -> &str {
        &self.place
    }
}

/// The next piece that the script writes.
fn piece(script: &mut Script) -> io::Result<Piece> {
    let output = script.output()?;
    let (mut letter, mut number, mut length) = ([0; 1], [0; 8], [0; 4]);
    output.read_exact(&mut letter)?;
    output.read_exact(&mut number)?;
    output.read_exact(&mut length)?;
    let mut bytes = Vec::new();
    let length = u64::from(u32::from_le_bytes(length));
    if output.take(length).read_to_end(&mut bytes)? as u64 != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Piece { letter: u8::from_le_bytes(letter), number: u64::from_le_bytes(number), bytes })
}
