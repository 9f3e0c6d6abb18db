//! Values of a configuration, as people write them.

use std::net::SocketAddr;
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use vouchsafe::Host;
use vouchsafe::rumor::{MAX_METADATA, MAX_NAME};

/// A number with its unit.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let unit = text.trim_start_matches(|digit: char| digit.is_ascii_digit());
    let each: Option<u64> = match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    };
    let number = text.strip_suffix(unit).and_then(|digits| digits.parse::<u64>().ok());
    let time = number.zip(each).and_then(|(number, each)| number.checked_mul(each));
    let time = time.ok_or("write a number and its unit, as in 500ms, 30s, 10m, 1h or 7d")?;
    Ok(Duration::from_millis(time))
}

/// The name of a network.
pub(super) fn network(text: &str) -> Result<String, String> {
    match text.len() {
        1..=MAX_NAME => Ok(text.to_owned()),
        bytes => Err(format!("a name has 1 to {MAX_NAME} bytes, this one has {bytes}")),
    }
}

/// An address to listen on. Names are looked up at the start.
pub(super) fn listen(text: &str) -> Result<String, String> {
    let shape = text.rsplit_once(':').filter(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    shape.map(|_| text.to_owned()).ok_or_else(|| {
        "write HOST:PORT, as in 0.0.0.0:4433 or [2001:db8::7]:4433; port 0 takes any free one".to_owned()
    })
}

/// An address for others.
pub(super) fn advertise(text: &str) -> Result<String, String> {
    match text.parse::<Host>().map_err(|error| error.to_string())? {
        Host::Socket(addr) if addr.ip().is_unspecified() => {
            Err("nobody reaches this address: give the one that others see, or leave advertise out"
                .to_owned())
        }
        _ => Ok(text.to_owned()),
    }
}

/// What a node says of itself.
pub(super) fn metadata(text: &str) -> Result<String, String> {
    match text.len() {
        0..=MAX_METADATA => Ok(text.to_owned()),
        bytes => Err(format!(
            "at most {MAX_METADATA} bytes, these are {bytes}: what is larger belongs into a topic"
        )),
    }
}

/// An address that only this machine reaches.
pub(crate) fn loopback(text: &str) -> Result<SocketAddr, String> {
    let addr = text.parse::<SocketAddr>().map_err(|_| "write IP:PORT, as in 127.0.0.1:7947".to_owned())?;
    if !addr.ip().is_loopback() {
        return Err(
            "this address can be reached from other machines: give one of 127.0.0.0/8, or [::1]".to_owned()
        );
    }
    Ok(addr)
}

/// Levels of the log, for all or by module.
pub(super) fn levels(text: &str) -> Result<String, String> {
    let words =
        "write off, error, warn, info, debug or trace, for all or by module, as in \"info,vouchsafe=debug\"";
    for part in text.split(',') {
        let level = part.rsplit_once('=').map_or(part, |(_, level)| level).trim();
        if !["off", "error", "warn", "info", "debug", "trace"].contains(&level.to_ascii_lowercase().as_str())
        {
            return Err(format!("{level:?} is no level: {words}"));
        }
    }
    EnvFilter::builder().parse(text).map(|_| text.to_owned()).map_err(|error| format!("{error}: {words}"))
}

/// How lines are written; whether that is JSON.
pub(super) fn format(text: &str) -> Result<bool, String> {
    match text {
        "text" => Ok(false),
        "json" => Ok(true),
        _ => Err("give text or json".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_and_what_is_none_is_refused() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(7 * 86_400)));
        for bad in ["", "5", "s", "1w", "-1s", "99999999999999999999s", "999999999999999999d"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert!(loopback("127.0.0.1:7947").is_ok() && loopback("[::1]:0").is_ok());
        for bad in ["0.0.0.0:7947", "192.0.2.1:1", "localhost:1", "127.0.0.1"] {
            assert!(loopback(bad).is_err(), "{bad}");
        }
        assert!(levels("info,vouchsafe::node=debug").is_ok());
        for bad in ["", "loud", "vouchsafe=loud", "info,,"] {
            assert!(levels(bad).is_err(), "{bad}");
        }
        assert!(
            advertise("db7:4433").is_ok() && advertise("[::]:1").is_err() && advertise("0.0.0.0:1").is_err()
        );
        assert!(listen("db7:4433").is_ok() && listen("4433").is_err() && listen(":1").is_err());
    }
}
