//! What the command says: help, usage errors, findings, dry runs. `TRYCMD=overwrite` writes the files anew.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs;

const PEPPER: &str = "golden-0123456789-abcdefghijklmnopqrstuvwxyz";

// The help names the commands of every feature.
#[cfg(feature = "aws")]
#[test]
fn the_command_says_what_it_said() {
    trycmd::TestCases::new()
        .env("KEYGATE_PEPPER", PEPPER)
        .env("KEYGATE_PEPPER_PREVIOUS", "")
        .env("KEYGATE_PEPPER_FROM", "")
        .env("KEYGATE_PEPPER_PREVIOUS_FROM", "")
        .env("CLOUDFLARE_ENV", "")
        .env("COLUMNS", "100")
        .case("../../tests/cli/*.trycmd")
        .case("../../docs/cli.md");
}

/// Written anew, they hold what was printed: a key is to be made `[..]` again.
#[test]
fn no_golden_holds_a_key_or_the_pepper() {
    let mut goldens = 0;
    for file in fs::read_dir("../../tests/cli").unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_none_or(|extension| extension != "trycmd") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains(PEPPER), "{}", file.display());
        for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
            let secret = word.rsplit('_').next().unwrap_or_default();
            assert!(!word.starts_with("acme_") || secret.len() != 50, "{}: a key", file.display());
        }
        goldens += 1;
    }
    assert!(goldens >= 3, "{goldens}");
}
