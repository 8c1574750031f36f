//! Whether comparing a key takes the same time however wrong it is.
//!
//! The method is dudect's (Reparaz, Balasch and Verbauwhede, 2017): two classes of inputs in random order, and Welch's t-test of
//! the times that they took. Here one class is wrong in the last place only and the other is wrong at random, so a comparison
//! that stops at the first difference tells them apart. |t| above 5 is a leak; `leaky_control`, which stops there, must have one.
//!
//! Both classes are laid out alike in memory and hash texts of one length, so that nothing but the comparison differs.

use std::hint::black_box;
use std::io;
use std::sync::OnceLock;

use dudect_bencher::ctbench::{BenchMetadata, BenchName, BenchOpts, run_benches_console};
use dudect_bencher::rand::RngExt;
use dudect_bencher::{BenchRng, Class, CtRunner};
use keygate_core::key::digest::{Digest, ImportedKey};
use keygate_core::key::pepper::{Pepper, Peppers};
use keygate_core::key::{Key, KeyPrefix, NewKey};

const PEPPER: &str = "Zk9wVGVzdFBlcHBlck5vdEZvclVzZTAxMjM0NTY3ODkrLw";
const PEPPER_PREVIOUS: &str = "T2xkUGVwcGVyRm9yVGVzdHNPbmx5QWJjZGVmZ2hpamtsbW4";
const IMPORTED: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static SAMPLES: OnceLock<usize> = OnceLock::new();

/// The argument is the number of samples of each comparison.
fn main() -> io::Result<()> {
    let samples = std::env::args().nth(1).and_then(|number| number.parse().ok()).unwrap_or(1_000_000);
    SAMPLES.get_or_init(|| samples);
    let bench = |name, benchfn| BenchMetadata { name: BenchName(name), seed: None, benchfn };
    run_benches_console(
        BenchOpts::default(),
        vec![
            bench("tag", tag),
            bench("digest", digest),
            bench("imported_digest", imported_digest),
            bench("leaky_control", leaky_control),
        ],
    )
}

/// The tag of a presented key: `Peppers::tag_matches`.
fn tag(runner: &mut CtRunner, rng: &mut BenchRng) {
    let (prefix, peppers, right) = key();
    let (untagged, tag) = right.split_at(right.len() - 8);
    let texts = inputs(rng, |class, rng| {
        let tag: String = match class {
            Class::Left => format!("{}{}", &tag[..7], if tag.ends_with('0') { '1' } else { '0' }),
            Class::Right => (0..8).map(|_| char::from(BASE62[rng.random_range(0..62)])).collect(),
        };
        format!("{untagged}{tag}")
    });
    // Before any is timed: reading branches on the characters, which are no secret, and just before a timed comparison that
    // would be measured as a part of it.
    let keys: Vec<(Class, Key<'_>)> = texts
        .iter()
        .map(|(class, text)| (*class, Key::parse(text, &prefix).expect("it has the shape of a key")))
        .collect();
    for (class, key) in &keys {
        runner.run_one(*class, || peppers.tag_matches(key));
    }
}

/// The stored digest: `Peppers::digest_matches`.
fn digest(runner: &mut CtRunner, rng: &mut BenchRng) {
    let (prefix, peppers, right) = key();
    let key = Key::parse(&right, &prefix).expect("it was just made");
    let Digest::Keyed { pepper, mac } = peppers.current.digest(&key) else { return };
    let stored = inputs(rng, |class, rng| Digest::Keyed { pepper, mac: wrong(mac, class, rng) });
    for (class, stored) in &stored {
        runner.run_one(*class, || peppers.digest_matches(&key, stored));
    }
}

/// The stored digest of an imported key: `Peppers::imported_matches`.
fn imported_digest(runner: &mut CtRunner, rng: &mut BenchRng) {
    let key = ImportedKey::parse(IMPORTED).expect("it is one");
    let (_, peppers, _) = crate::key();
    let Digest::Imported { pepper, mac } = peppers.current.imported_digest(&key) else { return };
    let stored = inputs(rng, |class, rng| Digest::Imported { pepper, mac: wrong(mac, class, rng) });
    for (class, stored) in &stored {
        runner.run_one(*class, || peppers.imported_matches(&key, stored));
    }
}

/// What must be found: the same digests as above, compared byte by byte until two differ.
fn leaky_control(runner: &mut CtRunner, rng: &mut BenchRng) {
    let (prefix, peppers, right) = key();
    let key = Key::parse(&right, &prefix).expect("it was just made");
    let Digest::Keyed { mac, .. } = peppers.current.digest(&key) else { return };
    let stored = inputs(rng, |class, rng| wrong(mac, class, rng));
    for (class, stored) in &stored {
        runner.run_one(*class, || match peppers.current.digest(&key) {
            Digest::Keyed { mac, .. } => mac.iter().zip(stored).all(|(a, b)| black_box(a) == black_box(b)),
            Digest::Imported { .. } | Digest::ImportedBare(_) => false,
        });
    }
}

/// The right digest with its last bit turned, or any other.
fn wrong(mut right: [u8; 32], class: Class, rng: &mut BenchRng) -> [u8; 32] {
    match class {
        Class::Left => right[31] ^= 1,
        Class::Right => right = rng.random(),
    }
    right
}

/// Inputs of either class, in random order.
fn inputs<T>(rng: &mut BenchRng, make: impl Fn(Class, &mut BenchRng) -> T) -> Vec<(Class, T)> {
    let one = |_| {
        let class = if rng.random() { Class::Left } else { Class::Right };
        (class, make(class, rng))
    };
    (0..*SAMPLES.get().unwrap_or(&0)).map(one).collect()
}

/// A key that both peppers are tried on.
fn key() -> (KeyPrefix, Peppers, String) {
    let prefix = "acme_live".parse::<KeyPrefix>().expect("it is one");
    let current = PEPPER.parse::<Pepper>().expect("it is one");
    let previous = Some(PEPPER_PREVIOUS.parse::<Pepper>().expect("it is one"));
    let key = NewKey::from_entropy(&prefix, &current, |bytes| {
        bytes.fill(7);
        Ok::<(), ()>(())
    });
    let text = key.expect("there is entropy").reveal().to_owned();
    (prefix, Peppers { current, previous }, text)
}
