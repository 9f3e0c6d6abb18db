//! Bytes, as people say them.

/// Reads a number with its unit; 0 needs none.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let unit = text.trim_start_matches(|digit: char| digit.is_ascii_digit());
    let each: Option<u64> = match unit {
        "" if text == "0" => Some(1),
        "B" => Some(1),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        "TiB" => Some(1 << 40),
        _ => None,
    };
    let number = text.strip_suffix(unit).and_then(|digits| digits.parse::<u64>().ok());
    let bytes = number.zip(each).and_then(|(number, each)| number.checked_mul(each));
    bytes.ok_or_else(|| "write a number and its unit, as in 512MiB or 1GiB, or 0".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_unit_and_nothing_else_is() {
        assert_eq!(
            ["0", "7B", "2KiB", "512MiB", "1GiB", "3TiB"].map(parse),
            [0, 7, 2 << 10, 512 << 20, 1 << 30, 3 << 40].map(Ok)
        );
        for bad in
            ["", "1", "GiB", "1 GiB", "-1GiB", "1GB", "1g", "00", "99999999999999999999B", "99999999TiB"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
