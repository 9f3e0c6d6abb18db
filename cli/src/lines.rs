//! Lines of a stream, each of bounded length: a stream without newlines must not fill the memory.

use std::io::{self, BufRead, Read as _};

/// One line of the input, without its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// The bytes.
    Whole(Vec<u8>),
    /// More bytes than allowed: how many there were. They were read and thrown away, so that the next line is whole.
    TooLong(u64),
}

/// A line has more bytes than allowed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// The next line of at most `max` bytes, without `\n` or `\r\n`; `None` at the end. A last line may lack its newline. Whoever
/// ends at a line that is too long need not wait for the end of it, which may be far, or nowhere.
///
/// # Errors
/// What reading gives.
pub(crate) fn line(input: &mut impl BufRead, max: usize) -> io::Result<Option<Result<Vec<u8>, TooLong>>> {
    Ok(start(input, max)?.map(|start| start.whole(max).map_err(|_| TooLong)))
}

/// As [`line`], but reads on to the end of a line that is too long.
///
/// # Errors
/// What reading gives.
pub(crate) fn next_line(input: &mut impl BufRead, max: usize) -> io::Result<Option<Line>> {
    let Some(start) = start(input, max)? else { return Ok(None) };
    let ended = start.ended;
    Ok(Some(match start.whole(max) {
        Ok(line) => Line::Whole(line),
        Err(read) => Line::TooLong(read as u64 + if ended { 0 } else { skip(input)? }),
    }))
}

/// A line, or as much of it as tells that it is too long.
struct Start {
    bytes: Vec<u8>,
    ended: bool,
}

impl Start {
    /// The line without its end; or, if it is too long, how many of its bytes were read.
    fn whole(mut self, max: usize) -> Result<Vec<u8>, usize> {
        if self.ended && self.bytes.last() == Some(&b'\r') {
            self.bytes.pop();
        }
        if self.bytes.len() > max { Err(self.bytes.len()) } else { Ok(self.bytes) }
    }
}

/// Reads a line, and at most two bytes more than allowed: one may be the `\r` of its end, and then the next is its `\n`.
fn start(input: &mut impl BufRead, max: usize) -> io::Result<Option<Start>> {
    let mut bytes = Vec::new();
    input.by_ref().take(max as u64 + 2).read_until(b'\n', &mut bytes)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let newline = bytes.last() == Some(&b'\n');
    if newline {
        bytes.pop();
    }
    // At the end of the input there are fewer bytes than were asked for.
    let ended = newline || bytes.len() < max + 2;
    Ok(Some(Start { bytes, ended }))
}

/// Reads to the end of a line, whose beginning was read; how many bytes there were.
fn skip(input: &mut impl BufRead) -> io::Result<u64> {
    let mut skipped = 0;
    loop {
        let chunk = match input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            chunk => chunk?,
        };
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let length = end.unwrap_or(chunk.len());
        let last = end.is_some() || chunk.is_empty();
        skipped += length as u64;
        input.consume(length + usize::from(end.is_some()));
        if last {
            return Ok(skipped);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str, max: usize) -> Vec<Line> {
        // A small buffer, so that lines cross its edges.
        let mut input = io::BufReader::with_capacity(3, text.as_bytes());
        std::iter::from_fn(|| next_line(&mut input, max).unwrap()).collect()
    }

    #[test]
    fn a_long_line_is_skipped_and_the_next_is_whole() {
        let whole = |text: &str| Line::Whole(text.into());
        assert_eq!(
            all("abcd\nabcde\r\n\nabcdef\nxy", 5),
            [whole("abcd"), whole("abcde"), whole(""), Line::TooLong(6), whole("xy")]
        );
        assert_eq!(all("", 5), []);
        assert_eq!(all("\n", 5), [whole("")]);
        for (length, long) in [(6, "abcdef\nxy"), (7, "abcdefg\nxy"), (8, "abcdefgh\nxy")] {
            assert_eq!(all(long, 5), [Line::TooLong(length), whole("xy")]);
        }
        assert_eq!(all("abcdefgh", 5), [Line::TooLong(8)]);
        assert_eq!(all("abcde\r", 5), [whole("abcde")]);
    }

    #[test]
    fn a_hangup_during_a_long_line_ends_at_once() {
        let mut endless = io::BufReader::new(io::repeat(b'x'));
        assert_eq!(line(&mut endless, 1 << 20).unwrap(), Some(Err(TooLong)));
        assert_eq!(line(&mut &b"abcde\r\nf"[..], 5).unwrap(), Some(Ok(b"abcde".to_vec())));
    }
}
