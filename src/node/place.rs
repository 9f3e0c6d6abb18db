//! Where a node is: which networks it reaches, and where others can dial it.

use std::net::{IpAddr, SocketAddr};

/// Where a node is: which networks it reaches, and whether others know where to dial it.
#[derive(Debug)]
pub(super) struct Place {
    loopback: bool,
    private: bool,
    is_known: bool,
}

impl Place {
    /// Of a node with these addresses of its own.
    pub(super) fn new(own: impl IntoIterator<Item = IpAddr>) -> Self {
        let mut place = Self { loopback: false, private: false, is_known: false };
        for ip in own {
            place.reaches(ip);
            place.is_known = true;
        }
        place
    }

    fn reaches(&mut self, ip: IpAddr) {
        match class_of(ip) {
            Class::Loopback => self.loopback = true,
            Class::Private => self.private = true,
            Class::Public | Class::Never => {}
        }
    }

    /// A peer that was dialled there has answered. Gives this node's own address, if that is known from now on: the one that it went out
    /// from, where both are of one class, so that no translation lies between.
    pub(super) fn answers(&mut self, remote: IpAddr, local: Option<IpAddr>) -> Option<IpAddr> {
        self.reaches(remote);
        let ip = local.filter(|ip| class_of(*ip) == class_of(remote) && !self.is_known)?;
        self.is_known = true;
        Some(ip)
    }

    /// Whether an address that a member names is dialled: or a liar could send this node into networks that it alone reaches.
    pub(super) fn dials(&self, address: &SocketAddr) -> bool {
        address.port() != 0
            && match class_of(address.ip()) {
                Class::Never => false,
                Class::Loopback => self.loopback,
                Class::Private => self.private,
                Class::Public => true,
            }
    }
}

/// How far an address reaches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Class {
    /// This machine.
    Loopback,
    /// A network that is not the Internet.
    Private,
    /// The Internet.
    Public,
    /// Nobody is dialled there.
    Never,
}

fn class_of(ip: IpAddr) -> Class {
    let (never, private) = match ip {
        IpAddr::V4(ip) => (
            ip.is_broadcast() || ip.is_multicast() || ip.is_link_local() || ip.is_unspecified(),
            ip.is_private(),
        ),
        IpAddr::V6(ip) => {
            (ip.is_multicast() || ip.is_unicast_link_local() || ip.is_unspecified(), ip.is_unique_local())
        }
    };
    match (ip.is_loopback(), never, private) {
        (true, ..) => Class::Loopback,
        (_, true, _) => Class::Never,
        (_, _, true) => Class::Private,
        _ => Class::Public,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(own: &[&str]) -> Place {
        Place::new(own.iter().map(|ip| ip.parse().unwrap()))
    }

    #[test]
    fn nobody_is_sent_into_a_network_that_it_alone_reaches() {
        let dialled = |address: &str, own: &str| place(&[own]).dials(&address.parse().unwrap());
        let (public, private, loopback) = ("192.0.2.1", "10.0.0.1", "127.0.0.1");
        for own in [public, private, loopback] {
            assert!(dialled("198.51.100.7:4433", own) && dialled("[2001:db8::7]:1", own));
            for never in [
                "0.0.0.0:1",
                "255.255.255.255:1",
                "224.0.0.1:1",
                "169.254.1.1:1",
                "[fe80::1]:1",
                "198.51.100.7:0",
            ] {
                assert!(!dialled(never, own), "{never} from {own}");
            }
        }
        assert!(
            dialled("127.0.0.1:1", loopback)
                && !dialled("127.0.0.1:1", public)
                && !dialled("[::1]:1", private)
        );
        assert!(
            dialled("10.1.2.3:1", private)
                && !dialled("192.168.0.1:1", public)
                && !dialled("[fd00::1]:1", loopback)
        );
    }

    #[test]
    fn a_node_learns_where_it_is_from_whom_it_was_told_to_dial() {
        let (lan, me, far) =
            ("10.0.0.9".parse().unwrap(), "10.0.0.1".parse().unwrap(), "192.0.2.1".parse().unwrap());
        let mut place = place(&[]);
        let neighbour = "10.0.0.7:1".parse().unwrap();
        assert!(!place.dials(&neighbour), "it knows nothing of itself");
        assert_eq!(place.answers(far, Some(me)), None, "its address is translated on the way");
        assert_eq!(place.answers(far, None), None);
        assert!(!place.dials(&neighbour));
        assert_eq!(place.answers(lan, Some(me)), Some(me));
        assert!(place.dials(&neighbour));
        assert_eq!(place.answers(lan, Some(me)), None, "once");
        assert_eq!(
            super::tests::place(&["192.0.2.9"]).answers(lan, Some(me)),
            None,
            "it was told where it is"
        );
    }
}
