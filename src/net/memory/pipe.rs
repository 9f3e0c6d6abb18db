//! One direction of a stream.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use crate::net::transport::{Ended, ReadFailed, STREAM_WINDOW, WriteFailed};

/// Room of the window that a chunk takes at the least, so that small ones take no more memory than large ones. With what the heap
/// needs for it, a chunk of a byte takes about as much.
const LEAST: usize = 64;

/// Room that so many bytes take.
fn cost(len: usize) -> usize {
    if len == 0 { 0 } else { len.max(LEAST) }
}

/// What is in it, as both ends see it. What one end does the other sees when it has arrived.
#[derive(Debug)]
pub(super) struct Pipe {
    /// Room that is taken, as far as the writer knows: under way, or not read.
    held: usize,
    /// The writer has ended it, in order or not.
    ended: bool,
    /// The writer knows that the reader reads no more.
    stopped: Option<u32>,
    /// The writer knows that all has arrived.
    arrived: bool,
    written: Option<Waker>,
    /// Arrived, and not read.
    chunks: VecDeque<Bytes>,
    /// How it has ended, as far as the reader knows.
    finished: bool,
    reset: Option<u32>,
    /// The reader reads no more.
    deaf: bool,
    read: Option<Waker>,
    /// Ends that are still held.
    pub(super) held_by: u8,
}

/// What one end does, to be told to the other.
#[derive(Debug)]
pub(super) enum Flow {
    /// To the reader.
    Bytes(Bytes),
    Finished,
    Reset(u32),
    /// To the writer: so much room is free again.
    Room(usize),
    Stopped(u32),
    /// All has arrived.
    Arrived,
}

impl Pipe {
    pub(super) fn new() -> Self {
        Self {
            held: 0,
            ended: false,
            stopped: None,
            arrived: false,
            written: None,
            chunks: VecDeque::new(),
            finished: false,
            reset: None,
            deaf: false,
            read: None,
            held_by: 2,
        }
    }

    /// Takes of `chunk` what there is room for.
    pub(super) fn write(
        &mut self,
        cx: &Context<'_>,
        lost: Option<Ended>,
        chunk: &mut Bytes,
    ) -> Poll<Result<Bytes, WriteFailed>> {
        let room = (STREAM_WINDOW as usize).saturating_sub(self.held);
        if let Some(why) = lost {
            return Poll::Ready(Err(WriteFailed::Lost(why)));
        } else if let Some(code) = self.stopped {
            return Poll::Ready(Err(WriteFailed::Stopped(code.into())));
        } else if self.ended {
            return Poll::Ready(Err(WriteFailed::Finished));
        } else if room == 0 && !chunk.is_empty() {
            self.written = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let taken = chunk.split_to(room.min(chunk.len()));
        self.held += cost(taken.len());
        Poll::Ready(Ok(taken))
    }

    /// Ends it by its writer; false if it has ended.
    pub(super) fn end(&mut self) -> bool {
        !std::mem::replace(&mut self.ended, true)
    }

    /// Waits until all has arrived, or the reader reads no more.
    pub(super) fn poll_stopped(
        &mut self,
        cx: &Context<'_>,
        lost: Option<Ended>,
    ) -> Poll<Result<Option<u32>, Ended>> {
        match (self.stopped, lost) {
            _ if self.arrived => Poll::Ready(Ok(None)),
            (Some(code), _) => Poll::Ready(Ok(Some(code))),
            (None, Some(why)) => Poll::Ready(Err(why)),
            (None, None) => {
                self.written = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Takes a chunk that has arrived, and the room that is free again; `None` at the end in order.
    pub(super) fn read(
        &mut self,
        cx: &Context<'_>,
        lost: Option<Ended>,
    ) -> Poll<Result<Option<(Bytes, usize)>, ReadFailed>> {
        if self.deaf {
            return Poll::Ready(Err(ReadFailed::Stopped));
        } else if let Some(code) = self.reset {
            return Poll::Ready(Err(ReadFailed::Reset(code.into())));
        }
        if let Some(chunk) = self.chunks.pop_front() {
            let free = cost(chunk.len());
            return Poll::Ready(Ok(Some((chunk, free))));
        }
        match lost {
            _ if self.finished => Poll::Ready(Ok(None)),
            Some(why) => Poll::Ready(Err(ReadFailed::Lost(why))),
            None => {
                self.read = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Reads no more; false if there is nobody to tell.
    pub(super) fn stop(&mut self) -> bool {
        let first = !std::mem::replace(&mut self.deaf, true);
        self.chunks = VecDeque::new();
        first && !self.finished && self.reset.is_none()
    }

    /// What the other end has done arrives; gives whom to wake.
    pub(super) fn arrives(&mut self, flow: Flow) -> Option<Waker> {
        match flow {
            Flow::Bytes(_) if self.deaf => return None,
            Flow::Bytes(bytes) => self.chunks.push_back(bytes),
            Flow::Finished => self.finished = true,
            Flow::Reset(code) => {
                self.reset = Some(code);
                self.chunks = VecDeque::new();
            }
            Flow::Room(room) => {
                self.held = self.held.saturating_sub(room);
                return self.written.take();
            }
            Flow::Stopped(code) => {
                self.stopped = Some(code);
                return self.written.take();
            }
            Flow::Arrived => {
                self.arrived = true;
                return self.written.take();
            }
        }
        self.read.take()
    }

    /// Chunks that wait to be read.
    #[cfg(test)]
    pub(super) fn chunks(&self) -> usize {
        self.chunks.len()
    }

    /// Whoever waits at either end.
    pub(super) fn waiting(&mut self) -> impl Iterator<Item = Waker> {
        self.written.take().into_iter().chain(self.read.take())
    }
}
