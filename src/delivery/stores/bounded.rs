//! Reading a secret text from a file or a command.

use std::io::{self, Read};

use zeroize::Zeroizing;

/// Above any key, pepper or token; a secret text is a line.
const TEXT_MAX_BYTES: u64 = 64 * 1024;

/// A text of no more than [`TEXT_MAX_BYTES`].
pub(crate) fn read_bounded(from: impl Read) -> io::Result<Zeroizing<String>> {
    // Reserved whole, so that no reallocation leaves a copy behind.
    let mut text =
        Zeroizing::new(String::with_capacity(usize::try_from(TEXT_MAX_BYTES).unwrap_or_default() + 1));
    if from.take(TEXT_MAX_BYTES + 1).read_to_string(&mut text)? as u64 > TEXT_MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is longer than a secret text is"));
    }
    Ok(text)
}
