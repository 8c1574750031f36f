//! The server, and what it was called for.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{ChildStdin, ChildStdout, Stdio};

use anyhow::{Context, Result};
use keygate_testbed::checkout::Checkout;
use serde_json::Value;

use crate::process::Running;

/// bench/cloudflare.js, running.
pub(crate) struct StandIn {
    /// Ends with the value.
    _process: Running,
    asking: ChildStdin,
    saying: BufReader<ChildStdout>,
    /// How it is reached: `env`, `account`, `namespace`.
    reached: Value,
}

/// How often each call was made: `METHOD /path`.
pub(crate) struct Calls(BTreeMap<String, u64>);

impl StandIn {
    pub(crate) fn start(checkout: &Checkout) -> Result<Self> {
        let mut command = checkout.command("node");
        command.arg("bench/cloudflare.js").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Running::start(&mut command)?;
        let (asking, saying) = process.pipes().context(SILENT)?;
        let mut saying = BufReader::new(saying);
        Ok(Self { reached: line(&mut saying)?, _process: process, asking, saying })
    }

    /// The variables by which it is found.
    pub(crate) fn environment(&self) -> impl Iterator<Item = (&str, &str)> {
        let variables = self.reached.get("env").and_then(Value::as_object).into_iter().flatten();
        variables.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
    }

    /// The gate whose keys it holds.
    pub(crate) fn wrangler_toml(&self) -> String {
        // Hexadecimal digits: JSON's string literal is TOML's.
        let id = |name| self.reached.get(name).map(Value::to_string).unwrap_or_default();
        format!(
            "name = \"gate\"\naccount_id = {}\n\
             vars = {{ ORIGIN = \"https://api.example.com\", KEY_PREFIX = \"acme_live\", IMPORTED_KEYS = true }}\n\
             kv_namespaces = [{{ binding = \"KEYS\", id = {} }}]\n",
            id("account"),
            id("namespace")
        )
    }

    /// What it was called for since this was asked last.
    pub(crate) fn calls(&mut self) -> Result<Calls> {
        self.asking.write_all(b"\n").context(SILENT)?;
        let said = line(&mut self.saying)?;
        let counts = said.as_object().into_iter().flatten();
        Ok(Calls(counts.filter_map(|(call, count)| Some((call.clone(), count.as_u64()?))).collect()))
    }
}

fn line(from: &mut BufReader<ChildStdout>) -> Result<Value> {
    let mut line = String::new();
    from.read_line(&mut line).context(SILENT)?;
    serde_json::from_str(&line).context(SILENT)
}

const SILENT: &str = "bench/cloudflare.js does not answer";
const LISTING: &str = "GET /keys";
const WRITING: &str = "PUT /bulk";

impl Calls {
    /// Those that read values: whatever neither lists nor writes.
    pub(crate) fn reads(&self) -> u64 {
        let others = self.0.iter().filter(|(call, _)| ![LISTING, WRITING].contains(&call.as_str()));
        others.map(|(_, count)| count).sum()
    }

    pub(crate) fn writes(&self) -> u64 {
        self.0.get(WRITING).copied().unwrap_or_default()
    }
}

impl Display for Calls {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let calls: Vec<String> = self.0.iter().map(|(call, count)| format!("{call} {count}")).collect();
        f.write_str(if calls.is_empty() { "none" } else { "" })?;
        f.write_str(&calls.join(", "))
    }
}
