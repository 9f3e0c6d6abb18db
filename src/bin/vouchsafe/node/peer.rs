//! Peers by name: `KEY@HOST:PORT`, where the host may need DNS.

use std::net::SocketAddr;
use std::str::FromStr;

use vouchsafe::{PeerAddr, PublicKey};

use crate::exit::Failure;

/// A peer as the user wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PeerName {
    key: PublicKey,
    host: String,
}

impl PeerName {
    /// Looks the host up.
    pub(super) async fn resolve(&self) -> Result<PeerAddr, Failure> {
        let addr = lookup("--peer", &self.host).await?;
        Ok(PeerAddr { key: self.key, addr })
    }
}

impl FromStr for PeerName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, host) = text
            .split_once('@')
            .ok_or("it has no @: write KEY@HOST:PORT, as the other node prints it when it starts")?;
        let key = key.parse().map_err(|error| format!("before the @: {error}"))?;
        let port = host.rsplit_once(':').map(|(_, port)| port);
        match port.map(str::parse::<u16>) {
            Some(Ok(port)) if port > 0 => Ok(Self { key, host: host.to_owned() }),
            Some(_) => Err(format!("the port in {host:?} is not 1 to 65535: write HOST:PORT")),
            None => Err(format!("{host:?} has no port: write HOST:PORT")),
        }
    }
}

/// The first address of `HOST:PORT`, which `flag` gave.
pub(super) async fn lookup(flag: &str, text: &str) -> Result<SocketAddr, Failure> {
    let why = match tokio::net::lookup_host(text).await {
        Ok(mut addrs) => match addrs.next() {
            Some(addr) => return Ok(addr),
            None => "the name has no address".to_owned(),
        },
        Err(error) => error.to_string(),
    };
    Err(Failure::Usage(format!(
        "{flag} {text:?}: {why}; write HOST:PORT, as in 192.0.2.7:4433 or [2001:db8::7]:4433"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_peers_name_the_fault() {
        let key = "d7".repeat(32);
        assert!(format!("{key}@example.org:4433").parse::<PeerName>().is_ok());
        assert!(format!("{key}@[::1]:4433").parse::<PeerName>().is_ok());
        let fault = |text: String| text.parse::<PeerName>().unwrap_err();
        assert!(fault("example.org:4433".into()).contains("no @"));
        assert!(fault("abc@example.org:4433".into()).contains("64 hexadecimal digits"));
        assert!(fault(format!("{key}@example.org")).contains("no port"));
        assert!(fault(format!("{key}@example.org:99999")).contains("1 to 65535"));
        assert!(fault(format!("{key}@example.org:0")).contains("1 to 65535"));
    }
}
