//! The networks from which most refused requests came, in bounded memory.
//!
//! Each network belongs to one of [`CELLS`] cells, by its hash. A cell counts its requests and, for each bit of a network, those in which the
//! bit is set: if more than half of a cell's requests came from one network, its bits are those that are set in more than half. Counters only
//! add up, so sketches merge in any order. After "combinatorial group testing" (Cormode, Muthukrishnan: What's hot and what's not, 2003).

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::time::UnixSeconds;

/// How many networks can be told apart, at best. With 50 counters each, a sketch has at most 3,200 numbers.
const CELLS: u64 = 64;
/// 48 bits of a network and one for the kind of address.
const BITS: usize = 49;

/// So many networks of a key are remembered.
const FIRST_SEEN_MAX: usize = 16;

/// The /24 of an IPv4 address or the /48 of an IPv6 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientNetwork(u64); // INVARIANT: bit 48: IPv6; bits 0 to 47: the network, in the lowest bits

impl ClientNetwork {
    /// The network of an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self(u64::from(v4.to_bits() >> 8)),
            // Cannot fail: 48 bits are left.
            IpAddr::V6(v6) => Self(u64::try_from(v6.to_bits() >> 80).unwrap_or_default() | 1 << 48),
        }
    }

    /// A number that looks random, of each network another: the finalizer of `SplitMix64`.
    fn mixed(self) -> u64 {
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn cell(self) -> u64 {
        self.mixed() % CELLS
    }
}

impl fmt::Display for ClientNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 >> 48 == 0 {
            // Cannot fail: 24 bits.
            write!(f, "{}/24", Ipv4Addr::from_bits(u32::try_from(self.0 << 8).unwrap_or_default()))
        } else {
            write!(f, "{}/48", Ipv6Addr::from_bits(u128::from(self.0 & !(1 << 48)) << 80))
        }
    }
}

/// When each network of a key was seen first.
///
/// Of more than 16 networks it remembers those with the smallest mixed numbers, which are the same ones whoever merges what
/// first. A network that comes in was never seen before: only smaller numbers could have kept it out, and they stay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FirstSeen(BTreeMap<ClientNetwork, UnixSeconds>);

impl FirstSeen {
    /// Notes a request.
    pub fn note(&mut self, network: ClientNetwork, at: UnixSeconds) {
        self.0.entry(network).and_modify(|first| *first = (*first).min(at)).or_insert(at);
        if self.0.len() > FIRST_SEEN_MAX
            && let Some(last) = self.0.keys().copied().max_by_key(|network| network.mixed())
        {
            self.0.remove(&last);
        }
    }

    /// Adds what was noted elsewhere.
    pub fn merge(&mut self, other: &Self) {
        for (network, at) in &other.0 {
            self.note(*network, *at);
        }
    }

    /// Whether there may be others, which are not remembered.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.len() >= FIRST_SEEN_MAX
    }

    /// The networks, and when each was seen first.
    pub fn iter(&self) -> impl Iterator<Item = (ClientNetwork, UnixSeconds)> {
        self.0.iter().map(|(network, at)| (*network, *at))
    }
}

/// Counters of networks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NetworkSketch {
    /// Of a cell: its requests, then those in which each bit is set, from the lowest bit.
    cells: BTreeMap<u64, Vec<u64>>,
}

impl NetworkSketch {
    /// Counts a request.
    pub fn count(&mut self, network: ClientNetwork) {
        let cell = self.cells.entry(network.cell()).or_insert_with(|| vec![0; 1 + BITS]);
        let bits = (0..BITS).map(|bit| network.0 >> bit & 1);
        for (counter, amount) in cell.iter_mut().zip([1].into_iter().chain(bits)) {
            *counter += amount;
        }
    }

    /// Adds what was counted elsewhere.
    pub fn merge(&mut self, other: &Self) {
        for (cell, counters) in &other.cells {
            let own = self.cells.entry(*cell).or_insert_with(|| vec![0; 1 + BITS]);
            for (counter, amount) in own.iter_mut().zip(counters) {
                *counter += amount;
            }
        }
    }

    /// All requests.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.cells.values().filter_map(|cell| cell.first()).sum()
    }

    /// The networks of which more than half of the requests in their cell came, most first, each with the number of requests that came
    /// from it at most.
    #[must_use]
    pub fn top(&self) -> Vec<(ClientNetwork, u64)> {
        let mut found: Vec<_> = self.cells.iter().filter_map(|(at, cell)| majority(*at, cell)).collect();
        found.sort_by_key(|(network, count)| (core::cmp::Reverse(*count), *network));
        found
    }
}

fn majority(at: u64, cell: &[u64]) -> Option<(ClientNetwork, u64)> {
    let (total, bits) = cell.split_first()?;
    let is_set = |count: &u64| *count > total / 2;
    let network = bits
        .iter()
        .take(BITS)
        .enumerate()
        .filter(|(_, count)| is_set(count))
        .fold(0, |all, (bit, _)| all | 1 << bit);
    let network = ClientNetwork(network);
    let most = bits.iter().map(|count| if is_set(count) { *count } else { total - count }).min()?;
    // Otherwise the bits are those of several networks.
    (network.cell() == at).then_some((network, most))
}
