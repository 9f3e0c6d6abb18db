//! What stands at the beginning of a stream.

use super::name::ProtocolName;
use crate::net::carried::Receiving;
use crate::rumor::NetworkId;

/// Bytes before the name.
const FIXED: usize = 33;

/// What is said before all else.
pub(crate) fn encode(network: &NetworkId, name: &ProtocolName) -> Vec<u8> {
    let text = name.as_str().as_bytes();
    let mut header = Vec::with_capacity(FIXED + text.len());
    header.extend_from_slice(network.as_bytes());
    header.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    header.extend_from_slice(text);
    header
}

/// Reads it; `None` if the stream ends before, or it is out of order. Reads no byte more.
pub(super) async fn read(stream: &mut Receiving) -> Option<(NetworkId, ProtocolName)> {
    let mut fixed = [0; FIXED];
    stream.read_exact(&mut fixed).await.ok().filter(|whole| *whole)?;
    let [network @ .., len] = fixed;
    // At most 255 bytes, whatever is said.
    let mut name = vec![0; usize::from(len)];
    stream.read_exact(&mut name).await.ok().filter(|whole| *whole)?;
    let name = ProtocolName::any(std::str::from_utf8(&name).ok()?).ok()?;
    Some((NetworkId::from_bytes(network), name))
}
