//! Client addresses, and the networks they may come from.

use alloc::string::{String, ToString};
use core::fmt;
use core::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;

/// A network in CIDR form, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct Network(IpNet); // INVARIANT: no host bits, no IPv4-mapped IPv6

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
        let net =
            text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| {
                let found: String = text.chars().take(64).collect();
                NetworkFault(alloc::format!(
                    "`{}` is not a network such as 203.0.113.0/24 or 2001:db8::/32, nor an address",
                    found.escape_default()
                ))
            })?;
        if net != net.trunc() {
            return Err(NetworkFault(alloc::format!(
                "`{text}` has bits set after the prefix; the network is {}",
                net.trunc()
            )));
        }
        match net {
            IpNet::V6(v6) if v6.addr().to_ipv4_mapped().is_some() => {
                Err(NetworkFault(alloc::format!("`{text}` is an IPv4-mapped network; write it in IPv4 form")))
            }
            IpNet::V4(_) | IpNet::V6(_) => Ok(Self(net)),
        }
    }

    /// Whether a client at `address` is inside; an IPv4-mapped IPv6 address counts as its IPv4 form.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() {
            write!(f, "{}", self.0.addr())
        } else {
            write!(f, "{}", self.0)
        }
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

/// Reads the address of a client as the platform states it; anything else is no address.
#[must_use]
pub fn client_address(text: &str) -> Option<IpAddr> {
    text.parse().ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::{Network, client_address};

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
