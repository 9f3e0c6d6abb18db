//! The limits of every QUIC connection.
//!
//! quinn's defaults suit a server that trusts its clients: 100 streams of 1.25 MB each, 65 536 waiting handshakes. Here each
//! limit is a number with a unit, where it comes from, and what a hostile peer does without it.

use std::sync::Arc;
use std::time::Duration;

use quinn::{IdleTimeout, TransportConfig, VarInt};

use crate::wire::{Lane, MAX_FRAME_LEN};

/// Bytes of one lane that may wait in quinn, received and not yet read. From the longest frame, twice: one frame is read
/// while the next arrives. Without it a peer fills our memory at the speed of the wire while we read slowly. All lanes of a
/// link together need no window of their own: [`UNI_STREAMS`] such windows are all there is, and a lane that stands still
/// must not take from another.
pub const STREAM_WINDOW: u32 = 256 * 1024;

/// Bytes we keep for one link until the peer acknowledges them. Six lanes' worth, so that five full lanes never use it up
/// and a lane that stands still can't stop another. Without it a peer that reads fast but acknowledges nothing makes us keep
/// everything we ever sent.
pub const SEND_WINDOW: u64 = 1536 * 1024;

/// Streams a peer may have open: its lanes. More would let it keep one window of memory for each.
pub const UNI_STREAMS: u32 = Lane::COUNT as u32;

/// Streams in both directions that a peer may open before its connection is taken: none. quinn's default is 100. Afterwards they are those
/// of applications ([`streams`](super::streams)).
pub(crate) const BIDI_STREAMS: u32 = 0;

/// Silence after which a connection is dead. A guess: long enough for a route to heal, and by then many NATs have forgotten
/// the flow (RFC 9308 section 3.2). Without it a peer that vanished holds a link until something is sent.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// How often we say something on a silent connection. Each packet, either way, begins the wait anew, so an idle link costs what one side
/// says. A link is quiet after 6 s, so two lost packets don't make it so. It also keeps a silent attacker connected, so progress has
/// deadlines of its own: see the frame clock.
pub const KEEP_ALIVE: Duration = Duration::from_millis(2_500);

/// Connection attempts that may wait for the gate. The gate decides in microseconds, so this fills only while the process
/// is starved; quinn drops what comes then. Without it (quinn: 65 536) forged first packets take 80 MB.
pub(crate) const MAX_INCOMING: usize = 256;

/// Bytes kept for one waiting attempt beyond its first packet. A client may send nothing more before we answer, except to
/// repeat itself; quinn's default of 10 MiB is for early data, which we don't have.
pub(crate) const INCOMING_BUFFER: u64 = 8 * 1024;

/// The sum of [`INCOMING_BUFFER`] over all waiting attempts.
pub(crate) const INCOMING_BUFFER_TOTAL: u64 = 512 * 1024;

const _: () = {
    assert!(STREAM_WINDOW as usize >= MAX_FRAME_LEN, "a whole frame must fit");
    assert!(SEND_WINDOW > STREAM_WINDOW as u64 * UNI_STREAMS as u64, "blocked lanes must leave room to send");
    assert!(KEEP_ALIVE.as_secs() * 3 <= IDLE_TIMEOUT.as_secs(), "two keep-alives may be lost");
};

/// The transport configuration of both sides, with every limit of this file.
pub(crate) fn transport_config() -> Arc<TransportConfig> {
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(BIDI_STREAMS))
        .max_concurrent_uni_streams(VarInt::from_u32(UNI_STREAMS))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .send_window(SEND_WINDOW)
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(IDLE_TIMEOUT.as_millis() as u32))))
        .keep_alive_interval(Some(KEEP_ALIVE))
        // No datagrams: without a buffer quinn tells the peer that they are not supported.
        .datagram_receive_buffer_size(None)
        .datagram_send_buffer_size(0);
    Arc::new(config)
}

/// Applies the limits that only a listener has.
pub(crate) fn limit_server(config: &mut quinn::ServerConfig) {
    config
        .transport_config(transport_config())
        .max_incoming(MAX_INCOMING)
        .incoming_buffer_size(INCOMING_BUFFER)
        .incoming_buffer_size_total(INCOMING_BUFFER_TOTAL)
        // A peer is admitted by its network group, so it must not wander into another afterwards. A peer whose NAT
        // changes its port is gone after the idle timeout and dials again.
        .migration(false);
    // No tokens that outlive a connection: an address is proven afresh by every Retry.
    config.validation_token.sent(0);
}
