//! Lines of a stream, each of bounded length: a stream without newlines must not fill the memory.

use std::io::{self, BufRead};

/// One line of the input, without its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// The bytes.
    Whole(Vec<u8>),
    /// More bytes than allowed: how many there were. They were read and thrown away, so that the next line is whole.
    TooLong(u64),
}

/// The next line of at most `max` bytes, without `\n` or `\r\n`; `None` at the end. A last line may lack its newline.
///
/// # Errors
/// What reading gives.
pub(crate) fn next_line(input: &mut impl BufRead, max: usize) -> io::Result<Option<Line>> {
    let mut line = Vec::new();
    let mut length = 0u64;
    let mut started = false;
    loop {
        let chunk = match input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            chunk => chunk?,
        };
        if chunk.is_empty() {
            break;
        }
        started = true;
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let part = &chunk[..end.unwrap_or(chunk.len())];
        length += part.len() as u64;
        // One byte more than allowed, since it may be the `\r` of the line's end.
        let room = (max + 1).saturating_sub(line.len()).min(part.len());
        line.extend_from_slice(&part[..room]);
        let used = part.len() + usize::from(end.is_some());
        input.consume(used);
        if end.is_some() {
            break;
        }
    }
    if !started {
        return Ok(None);
    }
    if length == line.len() as u64 && line.last() == Some(&b'\r') {
        line.pop();
        length -= 1;
    }
    Ok(Some(if length > max as u64 { Line::TooLong(length) } else { Line::Whole(line) }))
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
    }
}
