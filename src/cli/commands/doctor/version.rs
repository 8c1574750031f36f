//! The deployed gate's version, beside this program's.

use semver::Version;

use crate::findings::{Findings, Level};

/// The name of the custom section of the gate's wasm whose content is the version and a newline; `src/gate/version.rs` writes it.
const SECTION: &[u8] = b"keygate-version";
const FIELD: &str = "version";

/// Compares the version in the modules of the deployed Worker with this program's.
pub(super) fn check_version(modules: &[u8], place: &str, findings: &mut Findings) {
    // INVARIANT: cargo takes no other version.
    let Ok(own) = env!("CARGO_PKG_VERSION").parse::<Version>() else {
        return;
    };
    let Some(deployed) = version_in(modules) else {
        return findings.advise(
            Level::Note,
            place,
            FIELD,
            "is not known: the modules have none, as those of another program",
            REMEDY_OLDER,
        );
    };
    findings.deployed_version = Some(deployed.to_string());
    if deployed < own {
        let problem =
            format!("is {deployed}, and this program is {own}: it may write records that this gate refuses");
        findings.advise(Level::Warning, place, FIELD, problem, REMEDY_OLDER);
    } else if deployed > own {
        let problem = format!(
            "is {deployed}, and this program is {own}: it may not know what is in the records of this gate"
        );
        let remedy = format!(
            "update this program: `npx keygate@latest upgrade` where `keygate init` made the folder, else install version {deployed}"
        );
        findings.advise(Level::Warning, place, FIELD, problem, &remedy);
    }
}

const REMEDY_OLDER: &str = "deploy a gate of this program's version: `npx keygate@latest upgrade`, then `npm run deploy`, where `keygate init` made the folder; else `wrangler deploy` from the repository at that version";

/// The version that stands behind the section's name in the wasm, which is a part of the body as it is.
fn version_in(modules: &[u8]) -> Option<Version> {
    let after = modules.windows(SECTION.len()).position(|window| window == SECTION)? + SECTION.len();
    let line = modules.get(after..)?.split(|byte| *byte == b'\n').next()?;
    str::from_utf8(line).ok()?.parse().ok()
}
