//! Client addresses and networks.

use alloc::string::{String, ToString};
use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

use ipnet::{IpNet, Ipv6Net};
use serde::Serialize;
use thiserror::Error;

use crate::text::message::escape_for_message;

/// A network in CIDR notation, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct Network(IpNet); // INVARIANT: no bit set after the prefix, no IPv4-mapped IPv6

/// Why a string is not a network, with the escaped string.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NetworkError {
    /// Neither a network nor an address.
    #[error("`{0}` is not a network such as 203.0.113.0/24 or 2001:db8::/32, nor an address")]
    Form(String),
    /// Bits are set after the prefix, so that the network is ambiguous.
    #[error("`{0}` has bits set after the prefix; the network is {network}", network = .0.trunc())]
    HostBits(IpNet),
    /// IPv4-mapped IPv6. Clients are compared in their IPv4 form, so it would never match.
    #[error("`{0}` is an IPv4-mapped network; write it in IPv4 form")]
    Mapped(Ipv6Net),
}

impl Network {
    /// Whether the network contains `address`; an IPv4-mapped IPv6 address counts as its IPv4 form.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    /// Reads `203.0.113.0/24`, `2001:db8::/32` or a single address.
    ///
    /// # Errors
    /// Every variant of [`NetworkError`].
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let network = match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address),
            Err(_) => text.parse().map_err(|_| NetworkError::Form(escape_for_message(text, 64)))?,
        };
        if network.trunc() != network {
            return Err(NetworkError::HostBits(network));
        }
        match network {
            IpNet::V6(v6) if v6.addr().to_ipv4_mapped().is_some() => Err(NetworkError::Mapped(v6)),
            IpNet::V4(_) | IpNet::V6(_) => Ok(Self(network)),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() { self.0.addr().fmt(f) } else { self.0.fmt(f) }
    }
}

crate::text::from_str::deserialize_from_str!(Network);

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

/// Reads the address of a client as the platform reports it; `None` if it is not an address.
#[must_use]
pub fn client_address(text: &str) -> Option<IpAddr> {
    text.parse().ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::{Network, client_address};
    use core::net::IpAddr;
    use ipnet::IpNet;
    use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
    use std::string::ToString;

    fn network() -> impl Strategy<Value = IpNet> {
        // Few bits, so that networks contain addresses and share their edges.
        let v6 = (0_u128..4, 0_u32..128).prop_map(|(bits, shift)| IpAddr::V6((bits << shift).into()));
        let v4 = (0_u32..4, 0_u32..32).prop_map(|(bits, shift)| IpAddr::V4((bits << shift).into()));
        let address = prop_oneof![any::<IpAddr>(), v6, v4];
        (address, 0_u8..=128)
            .prop_filter_map("a prefix of IPv4", |(address, len)| IpNet::new(address, len).ok())
    }

    proptest! {
        #[test]
        fn network_is_accepted_only_without_host_bits_and_mapped_addresses(network in network()) {
            let is_mapped = matches!(network.addr(), IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
            let is_accepted = network.to_string().parse::<Network>().is_ok();
            prop_assert_eq!(is_accepted, network.trunc() == network && !is_mapped);
        }

        #[test]
        fn network_is_written_as_it_was_read(network in network()) {
            let Ok(network) = network.trunc().to_string().parse::<Network>() else { return Ok(()) };
            prop_assert_eq!(network.to_string().parse::<Network>().unwrap(), network);
        }

        #[test]
        fn malformed_network_is_rejected(text in "[0-9a-f.:/+-]{0,20}") {
            if let Ok(network) = text.parse::<Network>() {
                prop_assert!(network.contains(text.split('/').next().unwrap().parse().unwrap()));
            }
        }
    }

    #[test]
    fn network_contains_its_first_and_last_address_but_not_their_neighbours() {
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
            assert_eq!(network.parse::<Network>().unwrap().contains(address), inside, "{network} {address}");
        }
    }

    #[test]
    fn ambiguous_or_malformed_network_is_rejected() {
        for bad in [
            "",
            "203.0.113.9/24",
            "203.0.113.0/33",
            "203.0.113/24",
            "0203.0.113.1",
            "203.0.113.0/+24",
            "203.0.113.0/-1",
            "203.0.113.0/",
            "203.0.113.0/24/24",
            "2001:db8::/129",
            "fe80::1%eth0",
            "::ffff:203.0.113.0/120",
            "2001:db8::1/32",
            "example.com",
            " 203.0.113.7",
            "203.0.113.7 ",
        ] {
            assert!(bad.parse::<Network>().is_err(), "{bad:?}");
        }
    }
}
