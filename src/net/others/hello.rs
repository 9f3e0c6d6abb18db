//! Which protocols a ClientHello offers, read before there is a TLS session to ask (RFC 8446 section 4.1.2, RFC 7301).
//!
//! What is read here decides only which TLS configuration judges the bytes. It reads them whole again, so whatever a hostile ClientHello
//! makes of this reader, nobody gets in by it.

/// Bytes of a ClientHello. Those of browsers have some 2 KiB, with a post-quantum key share. Without it a dialler makes us keep 16 MiB for
/// each handshake, whose length it says itself.
pub(crate) const MAX_HELLO: usize = 16 * 1024;

/// The type of a handshake message that is a ClientHello.
const CLIENT_HELLO: u8 = 1;
/// Type and length of a handshake message.
const HEADER_LEN: usize = 4;
/// Version and random value, at the head of a ClientHello.
const FIXED_LEN: usize = 2 + 32;
/// The extension with the protocols that a client offers (ALPN).
const ALPN: [u8; 2] = [0, 16];

/// Why bytes are no ClientHello that is read. Nothing to do: it is a dialler's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadHello {
    /// It says that it is longer than 16 KiB.
    #[error("a ClientHello of more than 16 KiB: refuse the dialler")]
    TooLong,
    /// It is another message, or its lengths contradict each other.
    #[error("no ClientHello, or a malformed one: refuse the dialler")]
    Malformed,
}

/// The protocols that a ClientHello offers, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfferedProtocols<'a>(&'a [u8]);

impl<'a> Iterator for OfferedProtocols<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let mut parts = Parts(self.0);
        // The list was found whole before.
        let name = parts.prefixed::<1>()?;
        self.0 = parts.0;
        Some(name)
    }
}

/// What the first bytes of a handshake offer; `None` if the ClientHello is not whole yet. What follows it is not read.
///
/// # Errors
/// As soon as the bytes can't become a ClientHello of at most 16 KiB.
pub fn offered_protocols(bytes: &[u8]) -> Result<Option<OfferedProtocols<'_>>, BadHello> {
    if bytes.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
        return Err(BadHello::Malformed);
    }
    let mut message = Parts(bytes);
    if message.take(1).is_none() {
        return Ok(None);
    }
    let Some(len) = message.number::<3>() else { return Ok(None) };
    if len > MAX_HELLO - HEADER_LEN {
        return Err(BadHello::TooLong);
    }
    let Some(body) = message.take(len) else { return Ok(None) };
    of_body(body).map(Some).ok_or(BadHello::Malformed)
}

fn of_body(body: &[u8]) -> Option<OfferedProtocols<'_>> {
    let mut body = Parts(body);
    body.take(FIXED_LEN)?;
    let (_session, _suites, _compression) =
        (body.prefixed::<1>()?, body.prefixed::<2>()?, body.prefixed::<1>()?);
    let mut found = None;
    if !body.0.is_empty() {
        let mut extensions = Parts(body.prefixed::<2>()?);
        while !extensions.0.is_empty() {
            let (kind, data) = (extensions.take(2)?, extensions.prefixed::<2>()?);
            // Two of one kind could be read either way.
            if kind == ALPN && found.replace(names(data)?).is_some() {
                return None;
            }
        }
    }
    body.0.is_empty().then_some(found.unwrap_or(OfferedProtocols(&[])))
}

/// The names of an ALPN extension: at least one, and none of them empty.
fn names(data: &[u8]) -> Option<OfferedProtocols<'_>> {
    let mut data = Parts(data);
    let list = data.prefixed::<2>()?;
    let mut rest = Parts(list);
    while !rest.0.is_empty() {
        rest.prefixed::<1>().filter(|name| !name.is_empty())?;
    }
    (data.0.is_empty() && !list.is_empty()).then_some(OfferedProtocols(list))
}

/// What is left of some bytes.
struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    /// A number of `N` bytes, at most three.
    fn number<const N: usize>(&mut self) -> Option<usize> {
        const { assert!(N <= 3, "it fits a usize everywhere") };
        Some(self.take(N)?.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    /// What follows its own length of `N` bytes.
    fn prefixed<const N: usize>(&mut self) -> Option<&'a [u8]> {
        let len = self.number::<N>()?;
        self.take(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes after their length of `N` bytes.
    fn prefixed<const N: usize>(bytes: &[u8]) -> Vec<u8> {
        [&bytes.len().to_be_bytes()[8 - N..], bytes].concat()
    }

    fn alpn(names: &[&[u8]]) -> Vec<u8> {
        let list: Vec<u8> = names.iter().flat_map(|name| prefixed::<1>(name)).collect();
        [ALPN.to_vec(), prefixed::<2>(&prefixed::<2>(&list))].concat()
    }

    fn message(extensions: &[u8]) -> Vec<u8> {
        let head =
            [&[3, 3][..], &[7; 32], &prefixed::<1>(&[]), &prefixed::<2>(&[0x13, 1]), &prefixed::<1>(&[0])];
        let body = [head.concat(), extensions.to_vec()].concat();
        [vec![CLIENT_HELLO], prefixed::<3>(&body)].concat()
    }

    fn hello(extensions: &[Vec<u8>]) -> Vec<u8> {
        message(&prefixed::<2>(&extensions.concat()))
    }

    fn read(bytes: &[u8]) -> Result<Vec<&[u8]>, BadHello> {
        offered_protocols(bytes).map(|offered| offered.expect("a whole one").collect())
    }

    #[test]
    fn names_are_read_in_their_order_among_other_extensions() {
        let other = [vec![0, 43], prefixed::<2>(&[2, 3, 4])].concat();
        let bytes = hello(&[other.clone(), alpn(&[b"h3", b"vouchsafe/2"]), other]);
        assert_eq!(read(&bytes), Ok(vec![&b"h3"[..], b"vouchsafe/2"]));
        let more = [bytes.clone(), vec![9; 100]].concat();
        assert_eq!(read(&more), read(&bytes), "what follows is not read");
        assert_eq!(read(&hello(&[])), Ok(vec![]), "none is offered");
        assert_eq!(read(&message(&[])), Ok(vec![]), "there are no extensions");
    }

    #[test]
    fn hello_that_is_cut_anywhere_is_not_whole_yet() {
        let bytes = hello(&[alpn(&[b"h3"])]);
        for len in 0..bytes.len() {
            assert_eq!(offered_protocols(&bytes[..len]), Ok(None), "{len} bytes");
        }
    }

    #[test]
    fn lengths_that_contradict_each_other_are_malformed() {
        let good = alpn(&[b"h3"]);
        let bad = |extensions: &[Vec<u8>]| assert_eq!(read(&hello(extensions)), Err(BadHello::Malformed));
        bad(&[good.clone(), good.clone()]);
        bad(&[alpn(&[])]);
        bad(&[alpn(&[b"h3", b""])]);
        bad(&[[ALPN.to_vec(), prefixed::<2>(&[])].concat()]);
        bad(&[[ALPN.to_vec(), prefixed::<2>(&[0, 3, 2, b'h', b'3', 0])].concat()]);
        bad(&[good[..good.len() - 1].to_vec()]);
        assert_eq!(read(&message(&[0, 0, 0])), Err(BadHello::Malformed), "more than its extensions");
        assert_eq!(read(&message(&[0])), Err(BadHello::Malformed));
        assert_eq!(read(&[CLIENT_HELLO, 0, 0, 3, 3, 3, 7]), Err(BadHello::Malformed), "too short");
        assert_eq!(read(&[2]), Err(BadHello::Malformed), "another message, seen by its first byte");
    }

    #[test]
    fn hello_that_says_it_is_longer_than_the_bound_is_refused_at_once() {
        let len = (MAX_HELLO - HEADER_LEN).to_be_bytes();
        assert_eq!(offered_protocols(&[CLIENT_HELLO, len[5], len[6], len[7]]), Ok(None));
        assert_eq!(offered_protocols(&[CLIENT_HELLO, len[5], len[6], len[7] + 1]), Err(BadHello::TooLong));
        assert_eq!(offered_protocols(&[CLIENT_HELLO, 255, 255, 255]), Err(BadHello::TooLong));
    }
}
