//! The ends of a stream, as the rest of the node knows them.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::ReadBuf;
use tokio::task::coop::cooperative;

use super::{PANICKED, dropped, guarded, panicked, waited};
use crate::net::closed::{LinkClosed, short};
use crate::net::transport::{Ended, ReadFailed, RecvHalf, SendHalf, WriteFailed};

/// Bytes that are copied in one step of a write of bytes.
const COPIED: usize = 64 * 1024;

/// What was written: whole chunks, and bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    pub(crate) chunks: usize,
    pub(crate) bytes: usize,
}

/// The end of a stream that writes. Dropping it ends the stream in order.
#[derive(Debug)]
pub(crate) struct Sending(Option<Box<dyn SendHalf>>);

impl Drop for Sending {
    fn drop(&mut self) {
        dropped(self.0.take());
    }
}

impl Sending {
    pub(super) fn new(half: Box<dyn SendHalf>) -> Self {
        Self(Some(half))
    }

    fn poll_take(&mut self, cx: &mut Context<'_>, chunks: &mut [Bytes]) -> Poll<Result<Taken, WriteFailed>> {
        let failed = |why: &str| Poll::Ready(Err(WriteFailed::Lost(Ended::Failed(why.into()))));
        let Some(half) = &mut self.0 else { return failed(PANICKED) };
        let before: usize = chunks.iter().map(Bytes::len).sum();
        match guarded(|| half.poll_write(cx, chunks)) {
            Some(Poll::Ready(Ok(()))) => {}
            Some(Poll::Ready(Err(why))) => return Poll::Ready(Err(why)),
            Some(Poll::Pending) => return Poll::Pending,
            None => return failed(PANICKED),
        }
        let bytes = before.saturating_sub(chunks.iter().map(Bytes::len).sum());
        if bytes == 0 && before > 0 {
            return failed("the transport took nothing and said that it did");
        }
        Poll::Ready(Ok(Taken { chunks: chunks.iter().take_while(|chunk| chunk.is_empty()).count(), bytes }))
    }

    /// Writes as much of `chunks` as there is room for, at least something, and takes it out of them.
    pub(crate) async fn write_chunks(&mut self, chunks: &mut [Bytes]) -> Result<Taken, WriteFailed> {
        cooperative(poll_fn(|cx| self.poll_take(cx, chunks))).await
    }

    /// Writes all of `bytes`.
    pub(crate) async fn write_all(&mut self, bytes: &[u8]) -> Result<(), WriteFailed> {
        for piece in bytes.chunks(COPIED) {
            let mut piece = [Bytes::copy_from_slice(piece)];
            while piece.iter().any(|piece| !piece.is_empty()) {
                self.write_chunks(&mut piece).await?;
            }
        }
        Ok(())
    }

    /// Writes some of `bytes`.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, WriteFailed>> {
        let piece = bytes.get(..COPIED).unwrap_or(bytes);
        self.poll_take(cx, &mut [Bytes::copy_from_slice(piece)]).map_ok(|taken| taken.bytes)
    }

    fn call<T>(&mut self, call: impl FnOnce(&mut dyn SendHalf) -> T) -> Option<T> {
        let half = self.0.as_deref_mut()?;
        guarded(|| call(half))
    }

    /// Who goes first of what waits: the higher number.
    pub(crate) fn set_priority(&mut self, priority: i32) {
        let _ = self.call(|half| half.set_priority(priority));
    }

    /// Ends it in order; false if it has ended.
    pub(crate) fn finish(&mut self) -> bool {
        self.call(|half| half.finish()).unwrap_or(false)
    }

    /// Breaks it off, with a code for the other end.
    pub(crate) fn reset(&mut self, code: u32) {
        let _ = self.call(|half| half.reset(code));
    }

    /// Waits until all of a finished stream has arrived, or the other end reads no more, with a code that says why.
    pub(crate) async fn stopped(&mut self) -> Result<Option<u32>, LinkClosed> {
        let Some(half) = &mut self.0 else { return Err(LinkClosed::ByUs) };
        let stopped = waited(|| half.stopped()).await.unwrap_or_else(|| Err(panicked()));
        stopped.map(|code| code.map(short)).map_err(LinkClosed::of)
    }
}

/// The end of a stream that reads. Dropping it tells the other end to write no more.
#[derive(Debug)]
pub(crate) struct Receiving {
    half: Option<Box<dyn RecvHalf>>,
    /// What has come and was not asked for yet.
    rest: Bytes,
}

impl Drop for Receiving {
    fn drop(&mut self) {
        dropped(self.half.take());
    }
}

impl Receiving {
    pub(super) fn new(half: Box<dyn RecvHalf>) -> Self {
        Self { half: Some(half), rest: Bytes::new() }
    }

    fn poll_chunks(&mut self, cx: &mut Context<'_>, chunks: &mut [Bytes]) -> Poll<Result<usize, ReadFailed>> {
        let failed = |why: &str| Poll::Ready(Err(ReadFailed::Lost(Ended::Failed(why.into()))));
        let Some(half) = &mut self.half else { return failed(PANICKED) };
        let count = match guarded(|| half.poll_read(cx, chunks)) {
            Some(Poll::Ready(Ok(count))) => count,
            Some(Poll::Ready(Err(why))) => return Poll::Ready(Err(why)),
            Some(Poll::Pending) => return Poll::Pending,
            None => return failed(PANICKED),
        };
        match chunks.get(..count) {
            Some(read) if count == 0 || read.iter().any(|chunk| !chunk.is_empty()) => Poll::Ready(Ok(count)),
            _ => failed("the transport gave nothing and said that it did"),
        }
    }

    /// Makes sure that there is a rest; false at the end in order.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, ReadFailed>> {
        if self.rest.is_empty() {
            let mut chunk = [Bytes::new()];
            let count = ready!(self.poll_chunks(cx, &mut chunk))?;
            let [chunk] = chunk;
            self.rest = chunk;
            return Poll::Ready(Ok(count > 0));
        }
        Poll::Ready(Ok(true))
    }

    /// Waits for something, and puts it in order into as many of `chunks` as it fills; gives how many, 0 at the end in order.
    pub(crate) async fn read_chunks(&mut self, chunks: &mut [Bytes]) -> Result<usize, ReadFailed> {
        if let Some(first) = chunks.first_mut().filter(|_| !self.rest.is_empty()) {
            *first = std::mem::take(&mut self.rest);
            return Ok(1);
        }
        cooperative(poll_fn(|cx| self.poll_chunks(cx, chunks))).await
    }

    /// The same of one chunk, of `most` bytes at the most; `None` at the end in order.
    pub(crate) async fn read_chunk(&mut self, most: usize) -> Result<Option<Bytes>, ReadFailed> {
        let is_there = cooperative(poll_fn(|cx| self.poll_rest(cx))).await?;
        Ok(is_there.then(|| self.rest.split_to(most.min(self.rest.len()))))
    }

    /// The same into a buffer, to which nothing is added at the end.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<(), ReadFailed>> {
        self.poll_rest(cx).map_ok(|_| {
            let read = self.rest.split_to(buffer.remaining().min(self.rest.len()));
            buffer.put_slice(&read);
        })
    }

    /// Fills `bytes`; false if the stream ends before.
    pub(crate) async fn read_exact(&mut self, bytes: &mut [u8]) -> Result<bool, ReadFailed> {
        let mut buffer = ReadBuf::new(bytes);
        while buffer.remaining() > 0 {
            let Some(chunk) = self.read_chunk(buffer.remaining()).await? else { return Ok(false) };
            buffer.put_slice(&chunk);
        }
        Ok(true)
    }

    /// Reads no more, with a code for the other end.
    pub(crate) fn stop(&mut self, code: u32) {
        self.rest = Bytes::new();
        if let Some(half) = &mut self.half {
            let _ = guarded(|| half.stop(code));
        }
    }
}
