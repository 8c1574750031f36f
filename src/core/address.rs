//! Client addresses, and the networks they may come from.

use alloc::string::{String, ToString};
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::ops::Range;

use serde::Serialize;

use crate::text::{decimal, hex, push_hex, shown};

/// A network in CIDR form, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct Network {
    first: IpAddr,   // INVARIANT: no bit set after the prefix, no IPv4-mapped IPv6
    prefix_len: u32, // INVARIANT: at most the bits of an address
}

/// Why a text is not a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkFault(String);

impl fmt::Display for NetworkFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Network {
    /// Reads `203.0.113.0/24`, `2001:db8::/32` or a single address.
    ///
    /// # Errors
    /// Not an address; bits set to the right of the prefix (a slip of the pen, with two readings);
    /// an IPv4-mapped IPv6 network (clients are compared in their IPv4 form, so it would never match).
    pub fn parse(text: &str) -> Result<Self, NetworkFault> {
        let Some((address, prefix_len)) = cidr(text) else {
            return Err(NetworkFault(alloc::format!(
                "`{}` is not a network such as 203.0.113.0/24 or 2001:db8::/32, nor an address",
                shown(text, 64)
            )));
        };
        let network = Self { first: masked(address, prefix_len), prefix_len };
        if network.first != address {
            return Err(NetworkFault(alloc::format!(
                "`{text}` has bits set after the prefix; the network is {}/{prefix_len}",
                written(network.first)
            )));
        }
        match address {
            IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => {
                Err(NetworkFault(alloc::format!("`{text}` is an IPv4-mapped network; write it in IPv4 form")))
            }
            IpAddr::V4(_) | IpAddr::V6(_) => Ok(network),
        }
    }

    /// Whether a client at `address` is inside; an IPv4-mapped IPv6 address counts as its IPv4 form.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        // Of another family, it is another address whatever the prefix.
        masked(address.to_canonical(), self.prefix_len) == self.first
    }
}

/// How many bits an address has.
fn bits(address: IpAddr) -> u32 {
    if address.is_ipv4() { u32::BITS } else { u128::BITS }
}

/// Reads `address` or `address/prefix`.
fn cidr(text: &str) -> Option<(IpAddr, u32)> {
    let Some((address, digits)) = text.split_once('/') else {
        let address = read(text)?;
        return Some((address, bits(address)));
    };
    let address = read(address)?;
    let max = bits(address);
    // No more digits than the largest prefix has.
    let is_short = digits.len() <= if max == u32::BITS { 2 } else { 3 };
    let prefix_len = decimal(digits).filter(|len| is_short && *len <= max)?;
    Some((address, prefix_len))
}

/// Reads an address as its `FromStr` does, which is 3 KB of wasm.
pub(crate) fn read(text: &str) -> Option<IpAddr> {
    if text.contains(':') { read_v6(text).map(IpAddr::V6) } else { read_v4(text).map(IpAddr::V4) }
}

/// Reads `203.0.113.7`.
pub(crate) fn read_v4(text: &str) -> Option<Ipv4Addr> {
    let (mut address, mut points) = (0, 0);
    let mut octet: Option<u32> = None;
    for byte in text.bytes() {
        octet = match (byte, octet) {
            (b'.', Some(read)) => {
                address = address << 8 | read;
                points += 1;
                None
            }
            (b'0'..=b'9', None) => Some(u32::from(byte - b'0')),
            // No leading zeros, which some read as octal; and 255 at most.
            (b'0'..=b'9', Some(read @ 1..=25)) if read < 25 || byte <= b'5' => {
                Some(read * 10 + u32::from(byte - b'0'))
            }
            _ => return None,
        };
    }
    octet.filter(|_| points == 3).map(|last| (address << 8 | last).into())
}

/// Reads `2001:db8::7`.
pub(crate) fn read_v6(text: &str) -> Option<Ipv6Addr> {
    let Some(gap) = text.as_bytes().windows(2).position(|pair| pair == b"::") else {
        let (address, count) = read_groups(text, true)?;
        return (count == 8).then(|| address.into());
    };
    let (high, above) = read_groups(text.get(..gap)?, false)?;
    let (low, below) = read_groups(text.get(gap + 2..)?, true)?;
    // The gap stands for one group at least.
    let zeros = 8_u32.checked_sub(above + below).filter(|zeros| *zeros > 0)?;
    Some((high.checked_shl(16 * (zeros + below)).unwrap_or(0) | low).into())
}

/// Reads groups with colons between them, of which the last two may be written as an IPv4 address: what they say, and how many
/// they are.
fn read_groups(text: &str, may_end_in_v4: bool) -> Option<(u128, u32)> {
    let (mut groups, mut count) = (0, 0);
    if text.is_empty() {
        return Some((groups, count));
    }
    let mut parts = text.split(':');
    while let Some(part) = parts.next() {
        if part.contains('.') {
            let v4 = read_v4(part).filter(|_| may_end_in_v4 && parts.next().is_none())?;
            return Some((groups << 32 | u128::from(u32::from(v4)), count + 2));
        }
        groups = groups << 16 | u128::from(hex(part).filter(|_| part.len() <= 4)?);
        count += 1;
    }
    Some((groups, count))
}

/// The address with all bits after the prefix cleared.
fn masked(address: IpAddr, prefix_len: u32) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(u32::BITS.saturating_sub(prefix_len)).unwrap_or(0);
            Ipv4Addr::from(u32::from(v4) & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(u128::BITS.saturating_sub(prefix_len)).unwrap_or(0);
            Ipv6Addr::from(u128::from(v6) & mask).into()
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&written(self.first))?;
        if self.prefix_len < bits(self.first) {
            write!(f, "/{}", self.prefix_len)?;
        }
        Ok(())
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

/// The text of an address (RFC 5952, section 4 and 5).
///
/// Not its `Display`, which pads: 3 KB of wasm.
pub(crate) fn written(address: IpAddr) -> String {
    let mut text = String::with_capacity(39);
    let v6 = match address {
        IpAddr::V4(v4) => {
            push_v4(&mut text, v4);
            return text;
        }
        IpAddr::V6(v6) => v6,
    };
    if let Some(v4) = v6.to_ipv4_mapped() {
        text.push_str("::ffff:");
        push_v4(&mut text, v4);
        return text;
    }
    let groups = v6.segments();
    let zeros = longest_zeros(&groups);
    for (at, group) in groups.iter().enumerate() {
        if zeros.contains(&at) {
            if at == zeros.start {
                text.push_str("::");
            }
            continue;
        }
        if at > 0 && at != zeros.end {
            text.push(':');
        }
        let digits = (u16::BITS - group.leading_zeros()).div_ceil(4).max(1);
        push_hex(&mut text, u32::from(*group), digits);
    }
    text
}

/// The first of the longest runs of two or more groups that are 0. Where there is none, it is after the last.
fn longest_zeros(groups: &[u16; 8]) -> Range<usize> {
    let mut longest = groups.len() + 1..groups.len() + 1;
    let mut start = 0;
    for (at, group) in groups.iter().enumerate() {
        if *group != 0 {
            start = at + 1;
        } else if at > start && at + 1 - start > longest.len() {
            longest = start..at + 1;
        }
    }
    longest
}

fn push_v4(text: &mut String, address: Ipv4Addr) {
    for (at, octet) in address.octets().iter().enumerate() {
        if at > 0 {
            text.push('.');
        }
        text.push_str(&octet.to_string());
    }
}

/// Reads the address of a client as the platform states it; anything else is no address.
#[must_use]
pub fn client_address(text: &str) -> Option<IpAddr> {
    read(text).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::{Network, client_address, read, written};
    use core::net::IpAddr;
    use ipnet::IpNet;
    use proptest::prelude::{Strategy, any, prop_assert_eq, prop_oneof, proptest};
    use std::string::{String, ToString};

    fn address() -> impl Strategy<Value = IpAddr> {
        // Few bits, so that networks hold addresses, and end where addresses do.
        let v6 = (0_u128..4, 0_u32..128).prop_map(|(bits, shift)| IpAddr::V6((bits << shift).into()));
        let v4 = (0_u32..4, 0_u32..32).prop_map(|(bits, shift)| IpAddr::V4((bits << shift).into()));
        prop_oneof![any::<IpAddr>(), v6, v4]
    }

    fn network_text() -> impl Strategy<Value = String> {
        let with = |prefix: &'static str| {
            (address(), prefix).prop_map(|(address, prefix)| std::format!("{address}{prefix}"))
        };
        prop_oneof![with("/[0-9]{1,3}"), with("/?[0-9+-]{0,4}"), "[0-9a-f.:/]{0,20}"]
    }

    fn address_text() -> impl Strategy<Value = String> {
        prop_oneof![
            address().prop_map(|address| address.to_string()),
            "(0|[1-9]?[0-9]|1[0-9]{2}|2[0-9]{2}|0[0-9]{1,2})(\\.([0-9]|[1-9][0-9]|25[0-9])){2,4}",
            "([0-9a-fA-F]{1,4}:){0,7}(:([0-9a-f]{1,4}:){0,6})?([0-9a-f]{1,5}|[1-9]?[0-9]\\.0\\.1[0-9]{2}\\.25[0-9])?",
            "(::?|[0-9a-f]{1,4}|1\\.2\\.3\\.4|\\.|[+%/]){0,12}",
        ]
    }

    proptest! {
        #[test]
        fn an_address_is_written_as_the_standard_library_writes_it(address in address(), is_set in any::<u8>()) {
            prop_assert_eq!(written(address), address.to_string());
            // Every pattern of groups that are 0 or not.
            let groups = core::array::from_fn(|at| u16::from(is_set >> at & 1) << at);
            let address = IpAddr::from(groups);
            prop_assert_eq!(written(address), address.to_string());
        }

        #[test]
        fn an_address_is_read_as_the_standard_library_reads_it(text in address_text()) {
            prop_assert_eq!(read(&text), text.parse().ok(), "{}", text);
        }

        #[test]
        fn networks_are_those_of_ipnet(text in network_text(), address in address()) {
            let theirs = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok();
            let theirs = theirs.filter(|net| {
                let is_mapped = matches!(net, IpNet::V6(v6) if v6.addr().to_ipv4_mapped().is_some());
                *net == net.trunc() && !is_mapped
            });
            let ours = Network::parse(&text).ok();
            let shown = |net: &IpNet| { if net.prefix_len() == net.max_prefix_len() {
                net.addr().to_string()
            } else {
                net.to_string()
            } };
            prop_assert_eq!(ours.map(|net| net.to_string()), theirs.as_ref().map(shown));
            let inside = theirs.map(|net| net.contains(&address.to_canonical()));
            prop_assert_eq!(ours.map(|net| net.contains(address)), inside);
        }
    }

    #[test]
    fn the_edges_of_a_network_are_inside_and_their_neighbours_are_not() {
        for (network, address, inside) in [
            ("203.0.113.0/24", "203.0.113.0", true),
            ("203.0.113.0/24", "203.0.113.255", true),
            ("203.0.113.0/24", "203.0.112.255", false),
            ("203.0.113.0/24", "203.0.114.0", false),
            ("203.0.113.0/24", "::ffff:203.0.113.9", true),
            ("203.0.113.7", "203.0.113.7", true),
            ("203.0.113.7", "203.0.113.8", false),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "203.0.113.9", false),
            ("2001:db8::/32", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", true),
            ("2001:db8::/32", "2001:db9::", false),
            ("2001:db8::1/128", "2001:db8::1", true),
        ] {
            let address = client_address(address).unwrap();
            assert_eq!(Network::parse(network).unwrap().contains(address), inside, "{network} {address}");
        }
    }

    #[test]
    fn a_network_with_two_readings_is_refused() {
        for bad in [
            "",
            "203.0.113.9/24",
            "203.0.113.0/33",
            "203.0.113/24",
            "0203.0.113.1",
            "::ffff:203.0.113.0/120",
            "2001:db8::1/32",
            "example.com",
            " 203.0.113.7",
            "203.0.113.7 ",
        ] {
            assert!(Network::parse(bad).is_err(), "{bad:?}");
        }
    }
}
