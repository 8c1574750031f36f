//! The program that a line for `sh` begins with.

/// The first word that `sh` would look up as a command, if it can be told without being `sh`.
///
/// Assignments before it are passed over, but not one of `PATH`, which decides where it is looked up. A word with quotes, expansions,
/// patterns or syntax in it is none.
pub(super) fn first_word(line: &str) -> Option<&str> {
    let mut rest = line.trim_start_matches([' ', '\t']);
    loop {
        let end = rest.find([' ', '\t', '\n', ';', '&', '|', '<', '>', '(', ')']).unwrap_or(rest.len());
        let (word, after) = rest.split_at_checked(end)?;
        match word.split_once('=') {
            Some((name, value)) if is_name(name) && name != "PATH" && is_plain(value) => {
                rest = after.trim_start_matches([' ', '\t']);
                // An assignment alone, or one before a redirection.
                if rest.is_empty() || rest == after {
                    return None;
                }
            }
            Some(_) => return None,
            None => {
                let is_function = after.trim_start_matches([' ', '\t']).starts_with('(');
                return Some(word).filter(|word| {
                    !word.is_empty() && is_plain(word) && !word.starts_with('-') && !is_function
                });
            }
        }
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Whether the shell takes the text as it stands.
fn is_plain(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '+' | ',' | ':' | '@' | '%'))
}

#[cfg(test)]
mod tests {
    use super::first_word;

    #[test]
    fn the_word_that_sh_looks_up_is_named_or_none_is() {
        for (line, word) in [
            ("ghh secret set X", Some("ghh")),
            ("  /opt/x-1.2/put --all", Some("/opt/x-1.2/put")),
            ("ghh", Some("ghh")),
            ("ghh;true", Some("ghh")),
            ("ghh>x", Some("ghh")),
            ("cat | ghh", Some("cat")),
            ("A=b C= ghh x", Some("ghh")),
            ("A=b\tghh", Some("ghh")),
            ("if true; then x; fi", Some("if")),
            ("PATH=/x ghh", None),
            ("A='b c' ghh", None),
            ("A=$(b) ghh", None),
            ("A=b", None),
            ("A=b;ghh", None),
            ("A=b >x ghh", None),
            ("[ -e x ] && ghh", None),
            ("\"$TOOL\" set", None),
            ("~/bin/put", None),
            ("g\\hh", None),
            ("{ ghh; }", None),
            ("(ghh)", None),
            ("! ghh", None),
            (">x ghh", None),
            ("# nothing", None),
            ("put() { cat; }; put", None),
            ("put () { cat; }; put", None),
            ("\nghh", None),
            ("-x", None),
            ("a=b=c", None),
        ] {
            assert_eq!(first_word(line), word, "{line:?}");
        }
    }
}
