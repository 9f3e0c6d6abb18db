//! A client's socket that does not wait for ever for a client that takes nothing, and that does not hang up on one that still sends before
//! it can have read its answer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::limits::{LINGER, LINGER_BYTES, STALLED};
use super::unread;

/// Writes fail when none has got on for [`STALLED`].
pub(super) struct Patient<S> {
    socket: S,
    /// When patience ends, while a write waits.
    until: Pin<Box<Sleep>>,
    waits: bool,
    /// Nothing more is written. What is still read is thrown away: so many bytes so far.
    lingers: Option<usize>,
    /// What is written in place of what was given, and how much of it was.
    instead: Option<(Vec<u8>, usize)>,
}

impl<S> Patient<S> {
    pub(super) fn new(socket: S) -> Self {
        Self { socket, until: Box::pin(sleep(STALLED)), waits: false, lingers: None, instead: None }
    }

    /// Begins, goes on or ends to wait.
    fn judge<T>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.waits = false;
            return result;
        }
        if !std::mem::replace(&mut self.waits, true) {
            self.until.as_mut().reset(Instant::now() + STALLED);
        }
        match self.until.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> Patient<S> {
    /// Reads until the client has closed its end, or for as long, or as much, as it is worth.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut bytes = [0; 4096];
        loop {
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(&mut self.socket).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    let thrown_away = self.lingers.get_or_insert(0);
                    *thrown_away += buffer.filled().len();
                    if *thrown_away > LINGER_BYTES {
                        return Poll::Ready(());
                    }
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return self.until.as_mut().poll(cx),
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> Patient<S> {
    /// Writes an answer with words in place of one without.
    fn poll_instead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some((answer, written)) = &mut self.instead {
            let rest = answer.get(*written..).unwrap_or_default();
            if rest.is_empty() {
                self.instead = None;
                break;
            }
            match ready!(Pin::new(&mut self.socket).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                more => *written += more,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.instead.is_none() {
            self.instead = unread::answer(bytes).map(|answer| (answer, 0));
        }
        let result = match self.instead {
            Some(_) => self.poll_instead(cx).map_ok(|()| bytes.len()),
            None => Pin::new(&mut self.socket).poll_write(cx, bytes),
        };
        self.judge(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // An answer without a body is one part.
        if let [part] = parts {
            return self.poll_write(cx, part);
        }
        let result = Pin::new(&mut self.socket).poll_write_vectored(cx, parts);
        self.judge(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.socket).poll_flush(cx);
        self.judge(cx, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingers.is_none() {
            let result = Pin::new(&mut self.socket).poll_shutdown(cx);
            ready!(self.judge(cx, result))?;
            self.until.as_mut().reset(Instant::now() + LINGER);
            self.lingers = Some(0);
        }
        // To close a socket with something unread in it takes the answer away from a client that has not read it.
        self.poll_rest(cx).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_a_client_still_sends_is_read_for_a_while_and_then_no_more() {
        let hangs_up = async |sends: usize| {
            let (ours, mut theirs) = tokio::io::duplex(1 << 16);
            let mut patient = Patient::new(ours);
            let begun = Instant::now();
            let sent = async {
                theirs.write_all(&vec![b'x'; sends]).await?;
                theirs.shutdown().await
            };
            let closed = async {
                patient.shutdown().await.unwrap();
                drop(patient);
            };
            let (sent, ()) = tokio::join!(sent, closed);
            (sent.is_ok(), begun.elapsed())
        };
        assert_eq!(hangs_up(LINGER_BYTES / 2).await, (true, std::time::Duration::ZERO));
        assert_eq!(hangs_up(LINGER_BYTES * 2).await, (false, std::time::Duration::ZERO));
        // One that sends nothing more and does not go, either.
        let (ours, _theirs) = tokio::io::duplex(8);
        let begun = Instant::now();
        Patient::new(ours).shutdown().await.unwrap();
        assert_eq!(begun.elapsed(), LINGER);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_cut_and_a_slow_one_is_not() {
        let (ours, mut theirs) = tokio::io::duplex(8);
        let mut patient = Patient::new(ours);
        patient.write_all(b"12345678").await.unwrap();
        let slow = async {
            for _ in 0..4 {
                tokio::time::sleep(STALLED * 2 / 3).await;
                let mut some = [0; 8];
                tokio::io::AsyncReadExt::read_exact(&mut theirs, &mut some).await.unwrap();
            }
        };
        let (written, ()) = tokio::join!(patient.write_all(&[b'x'; 32]), slow);
        written.unwrap();
        let begun = Instant::now();
        assert_eq!(patient.write_all(b"9").await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed().as_secs(), STALLED.as_secs());
    }
}
