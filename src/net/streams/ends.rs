//! What an application holds of a stream.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::places::Place;
use super::refused;
use super::ways::Use;
use crate::key::PublicKey;
use crate::net::carried::{Receiving, Sending};
use crate::net::closed::{LinkClosed, short};
use crate::net::transport::{ReadFailed, WriteFailed};

/// What [`RecvStream::chunk`] gives at the most, bytes.
const CHUNK: usize = 64 * 1024;

/// Why nothing more can be said or read over a stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The peer ended it before its end, with a code of its application: what was said on it is not whole.
    #[error("the peer broke the stream off, with code {code}: what came of it is not whole")]
    Reset {
        /// The code that the peer gave.
        code: u32,
    },
    /// The peer let go of it before its end: what was said on it is not whole.
    #[error("the peer let go of the stream before its end: what came of it is not whole")]
    Dropped,
    /// The peer does not read any more, with a code of its application.
    #[error("the peer reads no more of the stream, with code {code}")]
    Stopped {
        /// The code that the peer gave; 0 if it just let go.
        code: u32,
    },
    /// The connection has ended.
    #[error("the connection has ended: {0}; open the stream again")]
    Lost(String),
    /// The peer said more than was to be read.
    #[error("the peer said more than {limit} bytes: read it piece by piece, or allow more")]
    TooLong {
        /// How much was to be read, bytes.
        limit: usize,
    },
    /// This side has ended or broken off the stream itself.
    #[error("the stream was ended on this side")]
    Ended,
}

impl From<StreamError> for io::Error {
    fn from(error: StreamError) -> Self {
        let kind = match error {
            StreamError::Reset { .. } | StreamError::Dropped => io::ErrorKind::ConnectionReset,
            StreamError::Stopped { .. } => io::ErrorKind::BrokenPipe,
            StreamError::Lost(_) => io::ErrorKind::ConnectionAborted,
            StreamError::TooLong { .. } => io::ErrorKind::InvalidData,
            StreamError::Ended => io::ErrorKind::NotConnected,
        };
        Self::new(kind, error)
    }
}

fn written(error: WriteFailed) -> StreamError {
    match error {
        WriteFailed::Stopped(code) => StreamError::Stopped { code: short(code) },
        WriteFailed::Lost(why) => StreamError::Lost(LinkClosed::of(why).to_string()),
        WriteFailed::Finished => StreamError::Ended,
    }
}

fn read(error: ReadFailed) -> StreamError {
    match error {
        ReadFailed::Reset(code) => match short(code) {
            refused::DROPPED => StreamError::Dropped,
            code => StreamError::Reset { code },
        },
        ReadFailed::Lost(why) => StreamError::Lost(LinkClosed::of(why).to_string()),
        ReadFailed::Stopped => StreamError::Ended,
    }
}

/// What a stream takes up: a place, if a peer opened it, and a connection.
#[derive(Debug)]
pub(super) struct Hold {
    _place: Option<Place>,
    _used: Use,
    _opened: Option<Use>,
}

impl Hold {
    pub(super) fn new(place: Option<Place>, used: Use) -> Arc<Self> {
        Arc::new(Self { _place: place, _used: used, _opened: None })
    }

    /// Of a stream that this node has opened.
    pub(super) fn opened(used: Use, opened: Use) -> Arc<Self> {
        Arc::new(Self { _place: None, _used: used, _opened: Some(opened) })
    }
}

/// The end of a stream that is written: what is said on it arrives whole and in order, or the reader learns that it is not whole.
///
/// Say [`finish`](Self::finish) when all is said. Dropping it before breaks the stream off, and the reader is told
/// [`StreamError::Dropped`]. It is an [`AsyncWrite`] too, whose `shutdown` is `finish`.
#[derive(Debug)]
pub struct SendStream {
    stream: Sending,
    ended: bool,
    _hold: Arc<Hold>,
}

impl SendStream {
    pub(super) fn new(stream: Sending, hold: Arc<Hold>) -> Self {
        Self { stream, ended: false, _hold: hold }
    }

    /// Says all of `bytes`, and waits while the peer reads too slowly. What is dropped before it is done may have said a part of them.
    ///
    /// # Errors
    /// If the peer reads no more, the connection has ended, or the stream was ended.
    pub async fn write_all(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        self.stream.write_all(bytes).await.map_err(written)
    }

    /// As [`write_all`](Self::write_all), without a copy.
    ///
    /// # Errors
    /// As [`write_all`](Self::write_all).
    pub async fn write_chunk(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        let mut chunks = [bytes];
        while !chunks.iter().all(Bytes::is_empty) {
            self.stream.write_chunks(&mut chunks).await.map_err(written)?;
        }
        Ok(())
    }

    /// All is said: the peer reads the end behind it. Does not wait until the peer has it.
    ///
    /// # Errors
    /// If it was ended before.
    pub fn finish(&mut self) -> Result<(), StreamError> {
        self.ended = true;
        if self.stream.finish() { Ok(()) } else { Err(StreamError::Ended) }
    }

    /// Says all of `bytes` and ends: an answer. What is dropped before it is done breaks the stream off.
    ///
    /// # Errors
    /// As [`write_all`](Self::write_all).
    pub async fn finish_with(mut self, bytes: &[u8]) -> Result<(), StreamError> {
        self.write_all(bytes).await?;
        self.finish()
    }

    /// Breaks it off: the peer is told this code, and may not read what is under way.
    pub fn reset(&mut self, code: u32) {
        self.ended = true;
        self.stream.reset(code);
    }

    /// Waits until the peer has all that was said and its end, or reads no more. Cancel safe.
    ///
    /// # Errors
    /// If the peer reads no more, or the connection has ended.
    pub async fn acknowledged(&mut self) -> Result<(), StreamError> {
        match self.stream.stopped().await {
            Ok(None) => Ok(()),
            Ok(Some(code)) => Err(StreamError::Stopped { code }),
            Err(why) => Err(StreamError::Lost(why.to_string())),
        }
    }
}

impl Drop for SendStream {
    fn drop(&mut self) {
        if !self.ended {
            self.reset(refused::DROPPED);
        }
    }
}

impl AsyncWrite for SendStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream.poll_write(cx, bytes).map_err(|error| written(error).into())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // As of a socket: to end twice is no error.
        let _ = self.finish();
        Poll::Ready(Ok(()))
    }
}

/// The end of a stream that is read. What is not read slows the peer. Dropping it tells the peer that nothing more is read. It is an
/// [`AsyncRead`] too.
#[derive(Debug)]
pub struct RecvStream {
    stream: Receiving,
    _hold: Arc<Hold>,
}

impl RecvStream {
    pub(super) fn new(stream: Receiving, hold: Arc<Hold>) -> Self {
        Self { stream, _hold: hold }
    }

    /// What comes next, at most 64 KiB; `None` at the end. Cancel safe.
    ///
    /// # Errors
    /// If the peer broke the stream off, or the connection has ended.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, StreamError> {
        self.stream.read_chunk(CHUNK).await.map_err(read)
    }

    /// All that comes until the end, at most `limit` bytes. Dropping the future loses what was read.
    ///
    /// # Errors
    /// If it is more, the peer broke the stream off, or the connection has ended.
    pub async fn read_to_end(&mut self, limit: usize) -> Result<Vec<u8>, StreamError> {
        let mut all = Vec::new();
        while let Some(bytes) = self.chunk().await? {
            if bytes.len() > limit.saturating_sub(all.len()) {
                return Err(StreamError::TooLong { limit });
            }
            all.extend_from_slice(&bytes);
        }
        Ok(all)
    }

    /// Reads no more, and tells the peer this code.
    pub fn stop(&mut self, code: u32) {
        self.stream.stop(code);
    }

    /// The byte that says that the stream was accepted; `false` if something else came.
    pub(super) async fn is_accepted(&mut self) -> Result<bool, StreamError> {
        let mut byte = [0];
        Ok(self.stream.read_exact(&mut byte).await.map_err(read)? && byte == [super::ACCEPTED])
    }
}

impl AsyncRead for RecvStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream.poll_read(cx, buffer).map_err(|error| read(error).into())
    }
}

/// A stream that a peer opened.
#[derive(Debug)]
#[non_exhaustive]
pub struct IncomingStream {
    /// The node key that the peer has proven to hold. It may do what a node may that is allowed to link; whether it is a member,
    /// [`Node::member`](crate::Node::member) says.
    pub peer: PublicKey,
    /// What this node says.
    pub send: SendStream,
    /// What the peer says.
    pub recv: RecvStream,
}
