//! Addresses that a secret may be sent to.

/// Whether a secret may be sent to the address: not in the clear, but to this machine.
#[must_use]
pub fn may_carry_secrets(url: &str) -> bool {
    let loopback = |rest: &str| {
        let authority = rest.split('/').next().unwrap_or_default();
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        matches!(host, "127.0.0.1" | "localhost" | "[::1]")
    };
    let safe = url.strip_prefix("https://").is_some_and(|rest| !rest.is_empty())
        || url.strip_prefix("http://").is_some_and(loopback);
    safe && !url.contains(['?', '#', '@'])
}

#[cfg(test)]
mod tests {
    use super::may_carry_secrets;

    #[test]
    fn a_secret_goes_in_the_clear_to_this_machine_alone() {
        for url in ["https://vault.example", "http://127.0.0.1:8200/v1", "http://localhost", "http://[::1]:1"]
        {
            assert!(may_carry_secrets(url), "{url}");
        }
        for url in [
            "",
            "https://",
            "vault.example",
            "ftp://localhost",
            "http://vault.example",
            "http://localhost.example",
            "http://127.0.0.1.example",
            "http://127.0.0.1@vault.example/",
            "http://localhost@vault.example:1",
            "https://u@h",
            "https://h?q",
        ] {
            assert!(!may_carry_secrets(url), "{url}");
        }
    }
}
