//! The bytes of a source as text, and the sources that are plainly something else.

use zeroize::Zeroizing;

use crate::error::{Error, Outcome};

/// Files that hold no text with keys: how they begin, what they are, and what to do instead.
const OTHER_FILES: [(&[u8], &str, &str); 13] = [
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook (.xlsx)", SAVE_AS_CSV),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook (.xls)", SAVE_AS_CSV),
    (b"\x1f\x8b", "compressed (gzip)", DECOMPRESS),
    (b"\xfd7zXZ\x00", "compressed (xz)", DECOMPRESS),
    (b"\x28\xb5\x2f\xfd", "compressed (zstd)", DECOMPRESS),
    (b"SQLite format 3\x00", "a SQLite database", EXPORT_TABLE),
    (b"-- MySQL dump", "a dump of a MySQL database", EXPORT_TABLE),
    (b"-- PostgreSQL database dump", "a dump of a PostgreSQL database", EXPORT_TABLE),
    (b"%PDF-", "a PDF document", SAVE_AS_CSV),
    (b"HTTP/", "an HTTP response with its headers", "save only the body (`curl` without `-i`)"),
    (b"-----BEGIN", "a PEM or PGP file, perhaps encrypted", "decrypt it first, then import the keys as text"),
    (b"age-encryption.org/", "encrypted (age)", "decrypt it first, then import the keys as text"),
    (b"$ANSIBLE_VAULT;", "encrypted (Ansible Vault)", "decrypt it first, then import the keys as text"),
];

const SAVE_AS_CSV: &str = "save the table as CSV (UTF-8), then use `--format csv`";
const DECOMPRESS: &str = "decompress it first, and send the keys to standard input";
const EXPORT_TABLE: &str = "export the table of keys as JSON or CSV; docs/migration.md has the commands";

/// The source without byte order mark and with `\n` as line end; UTF-16 becomes UTF-8.
///
/// # Errors
/// It is empty, or a file of a kind that holds no keys as text.
pub(super) fn text(bytes: &[u8]) -> Outcome<Zeroizing<Vec<u8>>> {
    let mut text = utf8(bytes)?;
    let first = text.trim_ascii_start();
    if first.is_empty() {
        return Err(Error::failed("the source is empty", "export the keys again, or name another file"));
    }
    for (start, what, remedy) in OTHER_FILES {
        if first.starts_with(start) {
            return Err(Error::failed(format!("the source is {what}"), remedy));
        }
    }
    if first.starts_with(b"<") {
        return Err(Error::failed(
            "the source is HTML or XML, perhaps a login or an error page in place of the export",
            "open it in an editor, and download the export again",
        ));
    }
    if text.contains(&0) {
        return Err(Error::failed(
            "the source is binary, or UTF-16 without a byte order mark",
            "save it as UTF-8 text",
        ));
    }
    if !text.contains(&b'\n') {
        for byte in text.iter_mut().filter(|byte| **byte == b'\r') {
            *byte = b'\n';
        }
    }
    Ok(text)
}

fn utf8(bytes: &[u8]) -> Outcome<Zeroizing<Vec<u8>>> {
    let units: Vec<u16> = match bytes {
        [0xff, 0xfe, rest @ ..] => rest.as_chunks().0.iter().copied().map(u16::from_le_bytes).collect(),
        [0xfe, 0xff, rest @ ..] => rest.as_chunks().0.iter().copied().map(u16::from_be_bytes).collect(),
        [0xef, 0xbb, 0xbf, rest @ ..] | rest => return Ok(Zeroizing::new(rest.to_vec())),
    };
    let text = String::from_utf16(&Zeroizing::new(units)).map(String::into_bytes).map(Zeroizing::new);
    text.map_err(|_| Error::failed("the source begins as UTF-16 text but is none", "save it as UTF-8 text"))
}
