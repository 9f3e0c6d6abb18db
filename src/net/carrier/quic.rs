//! A carrier that is a connection of QUIC.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use quinn::{Connection, ReadError, RecvStream, SendStream, VarInt, WriteError};
use tokio::io::ReadBuf;

use super::{BothWays, Carrier, Pending, ReadFailed, RecvHalf, SendHalf, Taken, WriteFailed};
use crate::net::closed::LinkClosed;

/// A connection of QUIC.
#[derive(Debug)]
pub(crate) struct Quic(pub(crate) Connection);

impl Carrier for Quic {
    fn remote(&self) -> SocketAddr {
        self.0.remote_address()
    }

    fn local_ip(&self) -> Option<IpAddr> {
        self.0.local_ip()
    }

    fn open_one_way(&self) -> Pending<'_, Result<Box<dyn SendHalf>, LinkClosed>> {
        Box::pin(async {
            let stream = self.0.open_uni().await.map_err(LinkClosed::of)?;
            Ok(Box::new(stream) as Box<dyn SendHalf>)
        })
    }

    fn accept_one_way(&self) -> Pending<'_, Result<Box<dyn RecvHalf>, LinkClosed>> {
        Box::pin(async {
            let stream = self.0.accept_uni().await.map_err(LinkClosed::of)?;
            Ok(Box::new(stream) as Box<dyn RecvHalf>)
        })
    }

    fn open_both_ways(&self) -> Pending<'_, Result<BothWays, LinkClosed>> {
        Box::pin(async { self.0.open_bi().await.map(boxed).map_err(LinkClosed::of) })
    }

    fn accept_both_ways(&self) -> Pending<'_, Result<BothWays, LinkClosed>> {
        Box::pin(async { self.0.accept_bi().await.map(boxed).map_err(LinkClosed::of) })
    }

    fn allow_one_way(&self, most: u32) {
        self.0.set_max_concurrent_uni_streams(VarInt::from_u32(most));
    }

    fn allow_both_ways(&self, most: u32) {
        self.0.set_max_concurrent_bi_streams(VarInt::from_u32(most));
    }

    fn close(&self, code: u32, words: &[u8]) {
        self.0.close(VarInt::from_u32(code), words);
    }

    fn closed(&self) -> Pending<'_, LinkClosed> {
        Box::pin(async { LinkClosed::of(self.0.closed().await) })
    }

    fn close_reason(&self) -> Option<LinkClosed> {
        self.0.close_reason().map(LinkClosed::of)
    }

    fn round_trip(&self) -> Duration {
        self.0.rtt()
    }

    fn datagrams(&self) -> u64 {
        self.0.stats().udp_rx.datagrams
    }
}

fn boxed((send, recv): (SendStream, RecvStream)) -> BothWays {
    (Box::new(send), Box::new(recv))
}

/// A code of the other end; those that don't fit are `u32::MAX`.
fn code_of(code: VarInt) -> u32 {
    u32::try_from(code.into_inner()).unwrap_or(u32::MAX)
}

fn write_failed(error: WriteError) -> WriteFailed {
    match error {
        WriteError::Stopped(code) => WriteFailed::Stopped(code_of(code)),
        WriteError::ConnectionLost(error) => WriteFailed::Lost(LinkClosed::of(error)),
        WriteError::ClosedStream | WriteError::ZeroRttRejected => WriteFailed::Ended,
    }
}

fn read_failed(error: ReadError) -> ReadFailed {
    match error {
        ReadError::Reset(code) => ReadFailed::Reset(code_of(code)),
        ReadError::ConnectionLost(error) => ReadFailed::Lost(LinkClosed::of(error)),
        ReadError::ClosedStream | ReadError::IllegalOrderedRead | ReadError::ZeroRttRejected => {
            ReadFailed::Ended
        }
    }
}

impl SendHalf for SendStream {
    fn write_chunks<'a>(&'a mut self, chunks: &'a mut [Bytes]) -> Pending<'a, Result<Taken, WriteFailed>> {
        Box::pin(async {
            let written = Self::write_chunks(self, chunks).await.map_err(write_failed)?;
            Ok(Taken { chunks: written.chunks, bytes: written.bytes })
        })
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, WriteFailed>> {
        Self::poll_write(Pin::new(self), cx, bytes).map_err(write_failed)
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

    fn stopped(&mut self) -> Pending<'_, Result<Option<u32>, LinkClosed>> {
        Box::pin(async {
            match Self::stopped(self).await {
                Ok(code) => Ok(code.map(code_of)),
                Err(quinn::StoppedError::ConnectionLost(error)) => Err(LinkClosed::of(error)),
                Err(error) => Err(LinkClosed::Transport(error.to_string())),
            }
        })
    }
}

impl RecvHalf for RecvStream {
    fn read_chunks<'a>(
        &'a mut self,
        chunks: &'a mut [Bytes],
    ) -> Pending<'a, Result<Option<usize>, ReadFailed>> {
        Box::pin(async { Self::read_chunks(self, chunks).await.map_err(read_failed) })
    }

    fn read_chunk(&mut self, most: usize) -> Pending<'_, Result<Option<Bytes>, ReadFailed>> {
        Box::pin(async move {
            let chunk = Self::read_chunk(self, most, true).await.map_err(read_failed)?;
            Ok(chunk.map(|chunk| chunk.bytes))
        })
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<(), ReadFailed>> {
        Self::poll_read_buf(self, cx, buffer).map_err(read_failed)
    }

    fn stop(&mut self, code: u32) {
        // An error means that it was ended before.
        let _ = Self::stop(self, VarInt::from_u32(code));
    }
}
