//! The address to listen on, which may be a name.

use std::net::SocketAddr;

use crate::exit::Failure;

/// The first address of `HOST:PORT`.
pub(crate) async fn lookup(text: &str) -> Result<SocketAddr, Failure> {
    let why = match tokio::net::lookup_host(text).await {
        Ok(mut addrs) => match addrs.next() {
            Some(addr) => return Ok(addr),
            None => "the name has no address".to_owned(),
        },
        Err(error) => error.to_string(),
    };
    Err(Failure::Usage(format!(
        "--listen {text:?}: {why}; write HOST:PORT, as in 192.0.2.7:4433 or [2001:db8::7]:4433"
    )))
}
