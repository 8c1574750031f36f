//! Text that others wrote, made fit for a message.

/// The text without control characters and marks that change the reading direction, which would steer a terminal.
#[must_use]
pub fn printable(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect()
}

/// The text with every run of 40 or more key characters taken out: shorter than a key, a pepper or a digest.
#[must_use]
pub fn redact(text: &str) -> String {
    redact_runs(text, 40, "_-")
}

/// The text with every run of `least` or more letters, digits and `marks` taken out.
#[must_use]
pub fn redact_runs(text: &str, least: usize, marks: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut run = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_alphanumeric() || marks.contains(c) {
            run.push(c);
            continue;
        }
        clean.push_str(if run.len() < least { &run } else { "(redacted)" });
        run.clear();
        clean.push(c);
    }
    clean.pop();
    clean
}

/// The text as one word of the shell's.
#[must_use]
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// What a server said: on one line, redacted, and no longer than a message bears.
#[must_use]
pub fn short(text: &str) -> String {
    const LONGEST: usize = 200;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    printable(&redact(&line)).chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::{printable, redact, redact_runs};

    #[test]
    fn whole_keys_are_taken_out() {
        let key = format!("acme_live_{}", "a1".repeat(25));
        assert_eq!(
            redact(&format!("error: unexpected argument '{key}' found\n")),
            "error: unexpected argument '(redacted)' found\n"
        );
        assert_eq!(redact(&key), "(redacted)");
        assert_eq!(redact("--persist-to <DIR>"), "--persist-to <DIR>");
        assert_eq!(redact_runs("argument 'Zk3vQ9xLr/2K7h.VbT1m='", 20, "./="), "argument '(redacted)'");
    }

    #[test]
    fn what_others_wrote_cannot_steer_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\n\u{202e}c é"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}c é");
    }
}
