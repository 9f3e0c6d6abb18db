//! Parts of a stream that a task makes beside it. The task waits for a client that takes them slowly: so many bytes wait for it, and no more.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::limits::{PART_BYTES, PARTS};

/// The end where parts are made.
pub(super) struct Parts {
    parts: mpsc::Sender<(Bytes, OwnedSemaphorePermit)>,
    room: Arc<Semaphore>,
}

/// The client has gone.
pub(super) struct Gone;

/// Both ends.
pub(super) fn parts() -> (Parts, Taken) {
    let (parts, taken) = mpsc::channel(PARTS);
    (Parts { parts, room: Arc::new(Semaphore::new(PART_BYTES)) }, Taken(taken))
}

impl Parts {
    /// Sends one, and waits until there is room for it. One that is larger than all room has all of it.
    pub(super) async fn send(&self, part: Bytes) -> Result<(), Gone> {
        let bytes = u32::try_from(part.len().min(PART_BYTES)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(bytes).await.map_err(|_| Gone)?;
        self.parts.send((part, room)).await.map_err(|_| Gone)
    }

    /// Ends when the client has gone.
    pub(super) async fn closed(&self) {
        self.parts.closed().await;
    }
}

/// The end where they are taken.
pub(super) struct Taken(mpsc::Receiver<(Bytes, OwnedSemaphorePermit)>);

impl Taken {
    /// The next part. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        self.0.recv().await.map(|(part, _room)| part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn so_many_bytes_wait_for_a_client_and_no_more() {
        let (parts, mut taken) = parts();
        let waits = async |bytes: usize| {
            let part = Bytes::from(vec![b'x'; bytes]);
            tokio::time::timeout(super::super::limits::STALLED, parts.send(part)).await.is_err()
        };
        assert!(!waits(PART_BYTES / 2).await);
        assert!(!waits(PART_BYTES / 2).await);
        assert!(waits(1).await);
        assert!(taken.next().await.is_some());
        assert!(!waits(1).await);
        assert!(waits(PART_BYTES * 2).await);
        for _ in 0..2 {
            assert!(taken.next().await.is_some());
        }
        for _ in 0..PARTS {
            assert!(!waits(1).await);
        }
        assert!(waits(1).await);
        for _ in 0..PARTS {
            assert!(taken.next().await.is_some());
        }
        // Larger than all room, and alone.
        assert!(!waits(PART_BYTES * 2).await);
        drop(taken);
        assert!(parts.send(Bytes::from_static(b"x")).await.is_err());
    }
}
