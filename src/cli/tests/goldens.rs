//! What the command says: help, usage errors, findings, dry runs. `TRYCMD=overwrite` writes the files anew.

// The help names the commands of every feature.
#[cfg(feature = "aws")]
#[test]
fn the_command_says_what_it_said() {
    trycmd::TestCases::new()
        .env("KEYGATE_PEPPER", "golden-0123456789-abcdefghijklmnopqrstuvwxyz")
        .env("KEYGATE_PEPPER_PREVIOUS", "")
        .env("KEYGATE_PEPPER_FROM", "")
        .env("KEYGATE_PEPPER_PREVIOUS_FROM", "")
        .env("CLOUDFLARE_ENV", "")
        .env("COLUMNS", "100")
        .case("../../tests/cli/*.trycmd");
}
