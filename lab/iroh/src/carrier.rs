//! A connection of iroh.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use iroh::TransportAddr;
use iroh::endpoint::{
    ConnectError, Connection, ConnectionError, Endpoint, Path, ReadError, RecvStream, SendStream,
    StoppedError, VarInt, WriteError,
};
use vouchsafe::PublicKey;
use vouchsafe::net::transport::{
    BothWays, Carrier, DialFailed, Ended, Pending, Purpose, ReadFailed, RecvHalf, SendHalf, WriteFailed,
};

/// A connection of iroh, over whichever path it has found.
#[derive(Debug)]
pub struct IrohCarrier {
    connection: Connection,
    purpose: Purpose,
    /// Carries its packets.
    _endpoint: Endpoint,
}

impl IrohCarrier {
    pub fn new(connection: Connection, endpoint: Endpoint, purpose: Purpose) -> Self {
        Self { connection, purpose, _endpoint: endpoint }
    }

    fn of_path<T>(&self, read: impl Fn(&Path<'_>) -> T) -> Option<T> {
        let paths = self.connection.paths();
        let selected = paths.iter().find(|path| path.is_selected());
        selected.or_else(|| paths.iter().next()).map(|path| read(&path))
    }
}

impl Carrier for IrohCarrier {
    fn peer(&self) -> PublicKey {
        PublicKey::from_bytes(*self.connection.remote_id().as_bytes())
    }

    fn purpose(&self) -> Purpose {
        self.purpose
    }

    fn remote(&self) -> Option<SocketAddr> {
        self.of_path(|path| match path.remote_addr() {
            TransportAddr::Ip(addr) => Some(*addr),
            _ => None,
        })
        .flatten()
    }

    fn open_one_way(&self) -> Pending<'_, Result<Box<dyn SendHalf>, Ended>> {
        Box::pin(async {
            let stream = self.connection.open_uni().await.map_err(ended)?;
            Ok(Box::new(Sends(stream)) as Box<dyn SendHalf>)
        })
    }

    fn accept_one_way(&self) -> Pending<'_, Result<Box<dyn RecvHalf>, Ended>> {
        Box::pin(async {
            let stream = self.connection.accept_uni().await.map_err(ended)?;
            Ok(Box::new(Receives(stream)) as Box<dyn RecvHalf>)
        })
    }

    fn open_both_ways(&self) -> Pending<'_, Result<BothWays, Ended>> {
        Box::pin(async { self.connection.open_bi().await.map(boxed).map_err(ended) })
    }

    fn accept_both_ways(&self) -> Pending<'_, Result<BothWays, Ended>> {
        Box::pin(async { self.connection.accept_bi().await.map(boxed).map_err(ended) })
    }

    fn allow(&self, one_way: u32, both_ways: u32) {
        self.connection.set_max_concurrent_uni_streams(one_way.into());
        self.connection.set_max_concurrent_bi_streams(both_ways.into());
    }

    fn close(&self, code: u32, words: &[u8]) {
        self.connection.close(VarInt::from_u32(code), words);
    }

    fn closed(&self) -> Pending<'_, Ended> {
        Box::pin(async { ended(self.connection.closed().await) })
    }

    fn round_trip(&self) -> Duration {
        self.of_path(|path| path.rtt()).unwrap_or_default()
    }

    fn heard(&self) -> u64 {
        self.connection.stats().udp_rx.datagrams
    }
}

fn boxed((send, recv): (SendStream, RecvStream)) -> BothWays {
    (Box::new(Sends(send)), Box::new(Receives(recv)))
}

fn ended(error: ConnectionError) -> Ended {
    match error {
        ConnectionError::ApplicationClosed(close) => {
            Ended::ByPeer { code: close.error_code.into_inner(), words: close.reason }
        }
        ConnectionError::LocallyClosed => Ended::ByUs,
        ConnectionError::TimedOut => Ended::TimedOut,
        other => Ended::Failed(other.to_string()),
    }
}

/// What the end of a handshake means for who dialled.
pub fn dial_failed(error: &ConnectError) -> DialFailed {
    let ended = match error {
        ConnectError::Connection { source, .. } => Some(source),
        _ => None,
    };
    match ended {
        Some(ConnectionError::TimedOut) => DialFailed::TimedOut,
        Some(ConnectionError::ConnectionClosed(_)) => DialFailed::Refused,
        _ => DialFailed::Failed(error.to_string()),
    }
}

/// The end of a stream that writes.
#[derive(Debug)]
struct Sends(SendStream);

impl SendHalf for Sends {
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        mut chunks: &mut [Bytes],
    ) -> Poll<Result<(), WriteFailed>> {
        // It keeps nothing of its own between two polls, so each may begin anew.
        let written = pin!(self.0.write_many_chunks(&mut chunks)).poll(cx);
        written.map_ok(drop).map_err(|error| match error {
            WriteError::Stopped(code) => WriteFailed::Stopped(code.into_inner()),
            WriteError::ConnectionLost(error) => WriteFailed::Lost(ended(error)),
            _ => WriteFailed::Finished,
        })
    }

    fn set_priority(&mut self, priority: i32) {
        // An error means that it has ended.
        let _ = self.0.set_priority(priority);
    }

    fn finish(&mut self) -> bool {
        self.0.finish().is_ok()
    }

    fn reset(&mut self, code: u32) {
        // An error means that it was ended before.
        let _ = self.0.reset(VarInt::from_u32(code));
    }

    fn stopped(&mut self) -> Pending<'_, Result<Option<u64>, Ended>> {
        Box::pin(async {
            match self.0.stopped().await {
                Ok(code) => Ok(code.map(VarInt::into_inner)),
                Err(StoppedError::ConnectionLost(error)) => Err(ended(error)),
                Err(error) => Err(Ended::Failed(error.to_string())),
            }
        })
    }
}

/// The end of a stream that reads.
#[derive(Debug)]
struct Receives(RecvStream);

impl RecvHalf for Receives {
    fn poll_read(&mut self, cx: &mut Context<'_>, chunks: &mut [Bytes]) -> Poll<Result<usize, ReadFailed>> {
        let read = pin!(self.0.read_many_chunks(chunks)).poll(cx);
        read.map_ok(Option::unwrap_or_default).map_err(|error| match error {
            ReadError::Reset(code) => ReadFailed::Reset(code.into_inner()),
            ReadError::ConnectionLost(error) => ReadFailed::Lost(ended(error)),
            _ => ReadFailed::Stopped,
        })
    }

    fn stop(&mut self, code: u32) {
        // An error means that it was ended before.
        let _ = self.0.stop(VarInt::from_u32(code));
    }
}
