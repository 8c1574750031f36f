//! Loops: each gate marks what it forwards, and refuses what it has marked before.

use alloc::string::String;
use alloc::vec::Vec;

/// The header with the marks of the gates that have forwarded a request, joined with commas.
///
/// Not `Via` or `CDN-Loop`, which the platform sets itself.
pub const VIA_HEADER: &str = "keygate-via";

/// The length of a mark: 64 bits in hex.
const MARK_LEN: usize = 16;

/// More gates than anyone chains; it bounds the header.
const MARKS_MAX: usize = 16;

/// Whether the gate with this mark has forwarded the request before. `via` is the value of [`VIA_HEADER`].
pub(crate) fn is_loop(via: &str, mark: &str) -> bool {
    marks(via).any(|other| other == mark)
}

/// Whether too many gates have forwarded the request; a client may have written their marks.
pub(crate) fn has_too_many_hops(via: &str) -> bool {
    marks(via).count() >= MARKS_MAX
}

/// The header of the forwarded request: the marks of the other gates, and this one.
pub(crate) fn extended(via: Option<&str>, mark: &str) -> String {
    let mut all: Vec<&str> = marks(via.unwrap_or_default()).collect();
    all.push(mark);
    all.join(", ")
}

/// The marks in a header; a client may have sent anything else, which is dropped.
fn marks(via: &str) -> impl Iterator<Item = &str> {
    let is_hex = |b: u8| b.is_ascii_digit() || matches!(b, b'a'..=b'f');
    via.split(',').map(str::trim_ascii).filter(move |mark| mark.len() == MARK_LEN && mark.bytes().all(is_hex))
}

#[cfg(test)]
mod tests {
    use super::{extended, has_too_many_hops, is_loop};

    const OWN: &str = "0123456789abcdef";
    const OTHER: &str = "fedcba9876543210";

    #[test]
    fn own_mark_is_a_loop_and_the_marks_of_others_are_kept() {
        for (via, is_own, forwarded) in [
            (None, false, "0123456789abcdef"),
            (Some("fedcba9876543210"), false, "fedcba9876543210, 0123456789abcdef"),
            (Some("0123456789abcdef"), true, ""),
            (Some("fedcba9876543210,0123456789abcdef ,fedcba9876543210"), true, ""),
            (Some("0123456789ABCDEF"), false, "0123456789abcdef"),
            (Some("0123456789abcdef0"), false, "0123456789abcdef"),
            (Some("x\u{e9}, ,\"fedcba9876543210\""), false, "0123456789abcdef"),
        ] {
            assert_eq!(via.is_some_and(|via| is_loop(via, OWN)), is_own, "{via:?}");
            if !is_own {
                assert_eq!(extended(via, OWN), forwarded, "{via:?}");
            }
        }
    }

    #[test]
    fn more_marks_than_anyone_chains_are_refused() {
        for (count, is_refused) in [(15, false), (16, true), (1000, true)] {
            let via = [OTHER].repeat(count).join(",");
            assert_eq!(has_too_many_hops(&via), is_refused, "{count}");
            assert!(!is_loop(&via, OWN), "{count}");
        }
    }
}
