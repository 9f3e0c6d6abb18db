//! Events and queries as they travel: a name, and what belongs to it, in one body.

use bytes::Bytes;

/// Longest name of an event or query, bytes. (Guess: a name is for people.)
const LONGEST_NAME: usize = 64;

/// Whether a text can be the name of an event or query.
pub(crate) fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    (1..=LONGEST_NAME).contains(&text.len()) && text.bytes().all(allowed)
}

/// A body: the name, the end of a line, and the rest.
pub(crate) fn write(name: &str, payload: &[u8]) -> Bytes {
    [name.as_bytes(), b"\n", payload].concat().into()
}

/// Reads it; `None` if it is none, as anybody may say anything.
pub(crate) fn read(body: &Bytes) -> Option<(String, Bytes)> {
    let end = body.iter().take(LONGEST_NAME + 1).position(|byte| *byte == b'\n')?;
    let name = std::str::from_utf8(&body[..end]).ok().filter(|name| is_name(name))?;
    Some((name.to_owned(), body.slice(end + 1..)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_and_nothing_else_does() {
        let body = write("deploy.v2", b"a\nb");
        assert_eq!(read(&body), Some(("deploy.v2".to_owned(), Bytes::from("a\nb"))));
        assert_eq!(read(&write("x", b"")), Some(("x".to_owned(), Bytes::new())));
        let long = write(&"n".repeat(65), b"");
        for bad in [&b""[..], b"\n", b"name", b"a b\n", b"\xff\n", &long] {
            assert_eq!(read(&Bytes::copy_from_slice(bad)), None);
        }
    }
}
