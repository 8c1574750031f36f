//! The gate's version, where `keygate doctor --remote` finds it in the deployed modules and no client can ask for it.

const TEXT: &[u8] = concat!(env!("CARGO_PKG_VERSION"), "\n").as_bytes();

/// A custom section of the wasm.
#[used]
// SAFETY: bytes without pointers, in a section of their own.
#[unsafe(link_section = "keygate-version")]
static VERSION: [u8; TEXT.len()] = match TEXT.first_chunk() {
    Some(text) => *text,
    None => unreachable!(),
};
