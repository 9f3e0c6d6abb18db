//! The body of a stream, which makes its parts itself: when the client has taken one it goes on to the next, and it ends with the client. So
//! a client that is told something costs one turn of its connection, and nothing waits for it but the part that it takes next.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame};

/// Where the part is that the client takes next.
#[derive(Clone, Default)]
pub(super) struct Slot(Arc<Mutex<Option<Bytes>>>);

impl Slot {
    /// Puts a part there once the one before it is taken.
    pub(super) async fn put(&self, part: Bytes) {
        let mut part = Some(part);
        // Nobody has to wake it: whoever takes the part asks for the next one.
        poll_fn(|_| {
            let mut slot = self.locked();
            if slot.is_some() {
                return Poll::Pending;
            }
            *slot = part.take();
            Poll::Ready(())
        })
        .await;
    }

    fn locked(&self) -> MutexGuard<'_, Option<Bytes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The body.
pub(super) struct Made {
    slot: Slot,
    /// Who makes its parts, until there are no more.
    maker: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// A body of the parts that `maker` puts into its slot.
pub(super) fn made<F>(maker: impl FnOnce(Slot) -> F) -> Made
where
    F: Future<Output = ()> + Send + 'static,
{
    let slot = Slot::default();
    Made { maker: Some(Box::pin(maker(slot.clone()))), slot }
}

impl Body for Made {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        loop {
            if let Some(part) = self.slot.locked().take() {
                return Poll::Ready(Some(Ok(Frame::data(part))));
            }
            let Some(maker) = &mut self.maker else { return Poll::Ready(None) };
            if maker.as_mut().poll(cx).is_ready() {
                self.maker = None;
            } else if self.slot.locked().is_none() {
                return Poll::Pending;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_body_makes_a_part_when_the_one_before_is_taken_and_ends_with_its_maker() {
        let made_so_far = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&made_so_far);
        let mut body = made(async move |slot: Slot| {
            for part in [&b"one"[..], b"two", b"three"] {
                slot.put(Bytes::from_static(part)).await;
                count.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        });
        for (taken, part) in [&b"one"[..], b"two", b"three"].into_iter().enumerate() {
            assert_eq!(made_so_far.load(Ordering::Relaxed), taken);
            let frame = body.frame().await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), part);
        }
        assert!(body.frame().await.is_none());
    }

    #[tokio::test]
    async fn what_makes_a_body_ends_when_the_client_has_gone() {
        let held = Arc::new(());
        let of_maker = Arc::clone(&held);
        let mut body = made(async move |slot: Slot| {
            let _held = of_maker;
            slot.put(Bytes::from_static(b"one")).await;
            std::future::pending::<()>().await;
        });
        body.frame().await.unwrap().unwrap();
        assert_eq!(Arc::strong_count(&held), 2);
        drop(body);
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
