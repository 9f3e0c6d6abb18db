//! Strangers' words on our terminal.

/// Bytes as text that can't move the cursor, change colours or hide what follows: control characters, and those that
/// turn the direction of writing, are shown as escapes; what is not UTF-8 becomes the replacement character.
pub(crate) fn printable(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for c in String::from_utf8_lossy(bytes).chars() {
        if c.is_control() || is_invisible(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Zero-width and direction marks: they print as nothing and change how the rest looks.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// At most `chars` characters, with dots where something was left out.
pub(crate) fn shortened(text: &str, chars: usize) -> String {
    if text.chars().count() <= chars {
        return text.to_owned();
    }
    let mut out: String = text.chars().take(chars.saturating_sub(1)).collect();
    out.push('…');
    out
}

/// The UTC time of day of a Unix time in milliseconds, as in `14:03:59 UTC`.
pub(crate) fn time_of_day(unix_ms: u64) -> String {
    let seconds = unix_ms / 1000 % 86_400;
    format!("{:02}:{:02}:{:02} UTC", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_of_day_wraps_at_midnight() {
        assert_eq!(time_of_day(86_399_999), "23:59:59 UTC");
        assert_eq!(time_of_day(86_400_000), "00:00:00 UTC");
    }

    #[test]
    fn a_stranger_cant_draw_on_the_terminal() {
        assert_eq!(printable("a\x1b[2Jb\u{202e}c\n".as_bytes()), "a\\u{1b}[2Jb\\u{202e}c\\n");
        assert_eq!(printable(b"\xff ok \xc3\xa9"), "\u{fffd} ok é");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(shortened("ééééé", 5), "ééééé");
        assert_eq!(shortened("éééééé", 5), "éééé…");
    }
}
