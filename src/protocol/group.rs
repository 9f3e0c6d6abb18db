//! Which neighbourhood of the Internet an address belongs to.
//!
//! Keys are free, addresses are not quite: whoever rents one server has a whole IPv6 /64 or a few addresses of one IPv4
//! /24. Limits that must cost an attacker something therefore count *groups*, never keys or single addresses.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::fmt;

/// The network group of an address: the unit in which connections and handshakes are limited.
///
/// Bitcoin groups by /16 against eclipses (Heilman et al., USENIX Security 2015), go-ethereum's table by /24. Here /24, since
/// small networks of people who know each other often share a /16; /48 is the guess for IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum NetGroup {
    /// The first 24 bits of an IPv4 address.
    V4([u8; 3]),
    /// The first 48 bits of an IPv6 address: what one customer usually gets.
    V6([u8; 6]),
    /// An address that is not routed on the Internet: loopback, private, link-local, unique local, or none. Such a peer
    /// is on our own machine or our own network, where groups say nothing about who pays for an address.
    Local,
}

impl NetGroup {
    /// The group of an address. An IPv6 address that merely wraps an IPv4 one (mapped, 6to4, NAT64) has the group of the
    /// IPv4 address: otherwise each IPv4 address would own a whole 6to4 /48, and all of NAT64 would share one.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self::of_v4(v4),
            IpAddr::V6(v6) => Self::of_v6(v6),
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        if address.is_loopback()
            || address.is_private()
            || address.is_link_local()
            || address.is_unspecified()
        {
            return Self::Local;
        }
        let [a, b, c, _] = address.octets();
        Self::V4([a, b, c])
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        if address.is_loopback()
            || address.is_unspecified()
            || address.is_unicast_link_local()
            || address.is_unique_local()
        {
            return Self::Local;
        }
        let octets = address.octets();
        match octets {
            [0x20, 0x02, a, b, c, d, ..] => Self::of_v4(Ipv4Addr::new(a, b, c, d)),
            [0x00, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d] => {
                Self::of_v4(Ipv4Addr::new(a, b, c, d))
            }
            [a, b, c, d, e, f, ..] => Self::V6([a, b, c, d, e, f]),
        }
    }
}

impl fmt::Display for NetGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4([a, b, c]) => write!(f, "{a}.{b}.{c}.0/24"),
            Self::V6([a, b, c, d, e, g]) => {
                let word = |high: u8, low: u8| u16::from_be_bytes([high, low]);
                let first = Ipv6Addr::new(word(*a, *b), word(*c, *d), word(*e, *g), 0, 0, 0, 0, 0);
                write!(f, "{first}/48")
            }
            Self::Local => f.write_str("local"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(text: &str) -> String {
        NetGroup::of(text.parse().unwrap()).to_string()
    }

    #[test]
    fn neighbours_share_a_group() {
        assert_eq!(group("203.0.113.9"), "203.0.113.0/24");
        assert_eq!(group("203.0.113.200"), group("203.0.113.9"));
        assert_ne!(group("203.0.114.9"), group("203.0.113.9"));
        assert_eq!(group("2001:db8:7:1::5"), "2001:db8:7::/48");
        assert_eq!(group("2001:db8:7:ffff::1"), group("2001:db8:7:1::5"));
        assert_ne!(group("2001:db8:8::1"), group("2001:db8:7::1"));
    }

    #[test]
    fn addresses_that_are_not_routed_are_local() {
        for text in ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.3.4", "0.0.0.0"] {
            assert_eq!(group(text), "local", "{text}");
        }
        for text in ["::1", "::", "fe80::1", "fd00::1", "fc12::1", "::ffff:10.0.0.1", "2002:a00:1::1"] {
            assert_eq!(group(text), "local", "{text}");
        }
        assert_ne!(group("172.32.0.1"), "local");
    }

    #[test]
    fn a_wrapped_ipv4_address_has_the_group_of_the_ipv4_address() {
        for text in ["::ffff:203.0.113.9", "2002:cb00:7109::1", "64:ff9b::cb00:7109"] {
            assert_eq!(group(text), "203.0.113.0/24", "{text}");
        }
    }
}
