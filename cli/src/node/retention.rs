//! How long a topic is kept, as people say it.

use std::time::Duration;

use vouchsafe::Topic;

/// For how long a topic is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retention {
    For(Duration),
    Forever,
}

impl Retention {
    /// The topic with this rule.
    pub(crate) fn of(self, topic: Topic) -> Topic {
        match self {
            Self::For(time) => topic.retention(time),
            Self::Forever => topic.retention_forever(),
        }
    }
}

/// Reads a number with its unit, or "forever".
pub(crate) fn parse(text: &str) -> Result<Retention, String> {
    if text == "forever" {
        return Ok(Retention::Forever);
    }
    let unit = text.trim_start_matches(|digit: char| digit.is_ascii_digit());
    let seconds: Option<u64> = match unit {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3_600),
        "d" => Some(86_400),
        _ => None,
    };
    let number = text.strip_suffix(unit).and_then(|digits| digits.parse::<u64>().ok());
    let time = number.zip(seconds).and_then(|(number, seconds)| number.checked_mul(seconds));
    let time = time.ok_or("write a number and its unit, as in 90s, 10m, 1h or 7d, or \"forever\"")?;
    Ok(Retention::For(Duration::from_secs(time)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_unit_and_nothing_else_is() {
        let seconds = |text| match parse(text) {
            Ok(Retention::For(time)) => Some(time.as_secs()),
            _ => None,
        };
        assert_eq!(
            ["90s", "10m", "1h", "7d"].map(seconds),
            [Some(90), Some(600), Some(3_600), Some(604_800)]
        );
        assert_eq!(parse("forever"), Ok(Retention::Forever));
        for bad in ["", "h", "1", "1 h", "-1h", "1w", "99999999999999999999s", "9999999999999999999d"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
