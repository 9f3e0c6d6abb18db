//! A connection of QUIC.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use quinn::{Connection, ConnectionError, ReadError, RecvStream, SendStream, VarInt, WriteError};

use crate::key::PublicKey;
use crate::net::closed::peer_words;
use crate::net::transport::{
    BothWays, Carrier, Ended, Pending, Purpose, ReadFailed, RecvHalf, SendHalf, WriteFailed,
};

/// A connection of QUIC.
#[derive(Debug)]
pub(crate) struct Quic {
    connection: Connection,
    peer: PublicKey,
    purpose: Purpose,
}

impl Quic {
    /// With the one whose key is proven.
    pub(super) const fn new(connection: Connection, peer: PublicKey, purpose: Purpose) -> Self {
        Self { connection, peer, purpose }
    }

    /// What quinn has of it.
    #[cfg(test)]
    pub(crate) const fn quinn(&self) -> &Connection {
        &self.connection
    }
}

impl Carrier for Quic {
    fn peer(&self) -> PublicKey {
        self.peer
    }

    fn purpose(&self) -> Purpose {
        self.purpose
    }

    fn remote(&self) -> Option<SocketAddr> {
        Some(self.connection.remote_address())
    }

    fn local_ip(&self) -> Option<IpAddr> {
        self.connection.local_ip()
    }

    fn open_one_way(&self) -> Pending<'_, Result<Box<dyn SendHalf>, Ended>> {
        Box::pin(async {
            let stream = self.connection.open_uni().await.map_err(ended)?;
            Ok(Box::new(stream) as Box<dyn SendHalf>)
        })
    }

    fn accept_one_way(&self) -> Pending<'_, Result<Box<dyn RecvHalf>, Ended>> {
        Box::pin(async {
            let stream = self.connection.accept_uni().await.map_err(ended)?;
            Ok(Box::new(stream) as Box<dyn RecvHalf>)
        })
    }

    fn open_both_ways(&self) -> Pending<'_, Result<BothWays, Ended>> {
        Box::pin(async { self.connection.open_bi().await.map(boxed).map_err(ended) })
    }

    fn accept_both_ways(&self) -> Pending<'_, Result<BothWays, Ended>> {
        Box::pin(async { self.connection.accept_bi().await.map(boxed).map_err(ended) })
    }

    fn allow(&self, one_way: u32, both_ways: u32) {
        self.connection.set_max_concurrent_uni_streams(VarInt::from_u32(one_way));
        self.connection.set_max_concurrent_bi_streams(VarInt::from_u32(both_ways));
    }

    fn close(&self, code: u32, words: &[u8]) {
        self.connection.close(VarInt::from_u32(code), words);
    }

    fn closed(&self) -> Pending<'_, Ended> {
        Box::pin(async { ended(self.connection.closed().await) })
    }

    fn round_trip(&self) -> Duration {
        self.connection.rtt()
    }

    fn heard(&self) -> u64 {
        self.connection.stats().udp_rx.datagrams
    }
}

fn boxed((send, recv): (SendStream, RecvStream)) -> BothWays {
    (Box::new(send), Box::new(recv))
}

fn ended(error: ConnectionError) -> Ended {
    match error {
        ConnectionError::ApplicationClosed(close) => {
            Ended::ByPeer { code: close.error_code.into_inner(), words: close.reason }
        }
        ConnectionError::LocallyClosed => Ended::ByUs,
        ConnectionError::TimedOut => Ended::TimedOut,
        other => Ended::Failed(in_words(&other)),
    }
}

/// What QUIC says of the end of a connection, for an error or a log. The peer's own words are cut, quoted and escaped.
pub(super) fn in_words(error: &ConnectionError) -> String {
    match error {
        ConnectionError::ConnectionClosed(close) => {
            format!("the peer's QUIC gave up: {} {:?}", close.error_code, peer_words(&close.reason))
        }
        ConnectionError::ApplicationClosed(close) => {
            format!("the peer closed it: {} {:?}", close.error_code, peer_words(&close.reason))
        }
        other => other.to_string(),
    }
}

fn write_failed(error: WriteError) -> WriteFailed {
    match error {
        WriteError::Stopped(code) => WriteFailed::Stopped(code.into_inner()),
        WriteError::ConnectionLost(error) => WriteFailed::Lost(ended(error)),
        WriteError::ClosedStream | WriteError::ZeroRttRejected => WriteFailed::Finished,
    }
}

fn read_failed(error: ReadError) -> ReadFailed {
    match error {
        ReadError::Reset(code) => ReadFailed::Reset(code.into_inner()),
        ReadError::ConnectionLost(error) => ReadFailed::Lost(ended(error)),
        ReadError::ClosedStream | ReadError::IllegalOrderedRead | ReadError::ZeroRttRejected => {
            ReadFailed::Stopped
        }
    }
}

impl SendHalf for SendStream {
    fn poll_write(&mut self, cx: &mut Context<'_>, chunks: &mut [Bytes]) -> Poll<Result<(), WriteFailed>> {
        // It keeps nothing of its own between two polls, so each may begin anew.
        let written = pin!(self.write_chunks(chunks)).poll(cx);
        written.map_ok(drop).map_err(write_failed)
    }

    fn set_priority(&mut self, priority: i32) {
        // An error means that it has ended.
        let _ = Self::set_priority(self, priority);
    }

    fn finish(&mut self) -> bool {
        Self::finish(self).is_ok()
    }

    fn reset(&mut self, code: u32) {
        // An error means that it was ended before.
        let _ = Self::reset(self, VarInt::from_u32(code));
    }

    fn stopped(&mut self) -> Pending<'_, Result<Option<u64>, Ended>> {
        Box::pin(async {
            match Self::stopped(self).await {
                Ok(code) => Ok(code.map(VarInt::into_inner)),
                Err(quinn::StoppedError::ConnectionLost(error)) => Err(ended(error)),
                Err(error) => Err(Ended::Failed(error.to_string())),
            }
        })
    }
}

impl RecvHalf for RecvStream {
    fn poll_read(&mut self, cx: &mut Context<'_>, chunks: &mut [Bytes]) -> Poll<Result<usize, ReadFailed>> {
        // As for writing.
        let read = pin!(self.read_chunks(chunks)).poll(cx);
        read.map_ok(Option::unwrap_or_default).map_err(read_failed)
    }

    fn stop(&mut self, code: u32) {
        // An error means that it was ended before.
        let _ = Self::stop(self, VarInt::from_u32(code));
    }
}
