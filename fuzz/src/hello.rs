//! A ClientHello, cut anywhere: what it offers is what rustls reads in it, and more bytes change nothing.

use rustls::server::Acceptor;
use vouchsafe::net::offered_protocols;

/// Bytes of one run, a little more than a ClientHello may have.
const MOST: usize = 20_000;
/// Cuts of one run.
const CUTS: usize = 64;
/// Bytes of a record of TLS, at most.
const RECORD: usize = 16_384;

/// The reader of the offered protocols, beside rustls.
pub fn client_hello(data: &[u8]) {
    let data = &data[..data.len().min(MOST)];
    let whole = offered_protocols(data);
    for cut in 0..CUTS {
        // The head, where the lengths are, and some of the rest.
        let cut = if cut < CUTS / 2 { cut } else { data.len() * (cut - CUTS / 2) / (CUTS / 2) };
        let before = offered_protocols(&data[..cut.min(data.len())]);
        assert!(before == Ok(None) || before == whole, "{before:?} of {cut} bytes, then {whole:?}");
    }
    if let Some(names) = read_by_rustls(data).filter(|_| data.len() <= RECORD) {
        let ours = whole.expect("rustls reads it").expect("rustls found it whole");
        assert_eq!(ours.map(<[u8]>::to_vec).collect::<Vec<_>>(), names);
    }
}

/// What rustls makes of it; `None` if it refuses, or waits for more.
fn read_by_rustls(data: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut records = Vec::new();
    for part in data.chunks(RECORD) {
        records.extend_from_slice(&[22, 3, 1]);
        records.extend_from_slice(&(part.len() as u16).to_be_bytes());
        records.extend_from_slice(part);
    }
    let (mut acceptor, mut left) = (Acceptor::default(), records.as_slice());
    loop {
        if let Some(accepted) = acceptor.accept().ok()? {
            let hello = accepted.client_hello();
            return Some(hello.alpn().into_iter().flatten().map(<[u8]>::to_vec).collect());
        }
        if left.is_empty() || acceptor.read_tls(&mut left).ok()? == 0 {
            return None;
        }
    }
}

/// Bytes after their length of `N` bytes.
fn prefixed<const N: usize>(bytes: &[u8]) -> Vec<u8> {
    [&bytes.len().to_be_bytes()[8 - N..], bytes].concat()
}

fn extension(kind: u8, data: &[u8]) -> Vec<u8> {
    [vec![0, kind], prefixed::<2>(data)].concat()
}

/// A ClientHello that rustls takes, with these protocols.
pub(crate) fn hello(protocols: &[&[u8]]) -> Vec<u8> {
    let names: Vec<u8> = protocols.iter().flat_map(|name| prefixed::<1>(name)).collect();
    let share = [vec![0, 29], prefixed::<2>(&[9; 32])].concat();
    let mut extensions = vec![
        extension(43, &[2, 3, 4]),
        extension(10, &prefixed::<2>(&[0, 29])),
        extension(13, &prefixed::<2>(&[8, 7, 4, 3])),
        extension(51, &prefixed::<2>(&share)),
    ];
    if !protocols.is_empty() {
        extensions.push(extension(16, &prefixed::<2>(&names)));
    }
    let body = [
        vec![3, 3],
        vec![7; 32],
        prefixed::<1>(&[]),
        prefixed::<2>(&[0x13, 1]),
        prefixed::<1>(&[0]),
        prefixed::<2>(&extensions.concat()),
    ];
    [vec![1], prefixed::<3>(&body.concat())].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rustls_takes_what_the_corpus_begins_with() {
        let long = [b'x'; 255];
        for protocols in [&[][..], &[b"h3".as_slice()], &[b"vouchsafe/2", b"h3"], &[&long[..]; 60][..]] {
            let bytes = hello(protocols);
            let names = read_by_rustls(&bytes).expect("a ClientHello");
            assert_eq!(names, protocols.iter().map(|name| name.to_vec()).collect::<Vec<_>>());
            client_hello(&bytes);
        }
    }
}
