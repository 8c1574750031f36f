//! The platforms that the command line is built for.

use clap::builder::PossibleValuesParser;

use crate::failure::Failure;
use crate::program;
use crate::workspace::Workspace;

/// A platform, as Rust calls it and as Node does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Platform {
    pub(crate) triple: &'static str,
    pub(crate) os: &'static str,
    pub(crate) cpu: &'static str,
}

impl Platform {
    const fn new(triple: &'static str, os: &'static str, cpu: &'static str) -> Self {
        Self { triple, os, cpu }
    }

    pub(crate) fn of_triple(triple: &str) -> Result<Self, Failure> {
        ALL.into_iter().find(|platform| platform.triple == triple).ok_or_else(|| {
            let all: Vec<_> = ALL.iter().map(|platform| platform.triple).collect();
            Failure::new(
                format!("there is no npm package for {triple}"),
                format!("use one of: {}", all.join(", ")),
            )
        })
    }

    /// The platform that this runs on.
    pub(crate) fn host(workspace: &Workspace) -> Result<Self, Failure> {
        let version =
            program::output(workspace.command("rustc").arg("-vV"), "update Rust with `rustup update`")?;
        let triple = version.lines().find_map(|line| line.strip_prefix("host: "));
        Self::of_triple(triple.unwrap_or_default())
    }

    /// The name of its npm package.
    pub(crate) fn package(self) -> String {
        format!("@keygate/{}-{}", self.os, self.cpu)
    }

    /// The file name of the command line.
    pub(crate) fn program(self) -> &'static str {
        if self.os == "win32" { "keygate.exe" } else { "keygate" }
    }
}

/// A release has musl's on Linux, which run with any libc.
pub(crate) const ALL: [Platform; 8] = [
    Platform::new("x86_64-unknown-linux-musl", "linux", "x64"),
    Platform::new("aarch64-unknown-linux-musl", "linux", "arm64"),
    Platform::new("x86_64-apple-darwin", "darwin", "x64"),
    Platform::new("aarch64-apple-darwin", "darwin", "arm64"),
    Platform::new("x86_64-pc-windows-gnu", "win32", "x64"),
    Platform::new("x86_64-pc-windows-msvc", "win32", "x64"),
    Platform::new("x86_64-unknown-linux-gnu", "linux", "x64"),
    Platform::new("aarch64-unknown-linux-gnu", "linux", "arm64"),
];

pub(crate) fn triples() -> PossibleValuesParser {
    ALL.iter().map(|platform| platform.triple).collect::<Vec<_>>().into()
}
