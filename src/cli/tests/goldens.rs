//! What the command says: help, usage errors, findings, dry runs. `TRYCMD=overwrite` writes the files anew.

#[test]
fn the_command_says_what_it_said() {
    trycmd::TestCases::new()
        .env("KEYGATE_PEPPER", "golden-0123456789-abcdefghijklmnopqrstuvwxyz")
        .env("KEYGATE_PEPPER_PREVIOUS", "")
        .env("CLOUDFLARE_ENV", "")
        .env("COLUMNS", "100")
        .case("../../tests/cli/*.trycmd");
}
