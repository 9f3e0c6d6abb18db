//! Who comes in, and who is told that there is no place.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;

use super::guard::Guard;
use super::limits::LINGER;
use super::socket::Patient;
use super::{Shared, serve};

/// After a connection could not be taken, since there are no more file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// What a connection is told for which there is no place.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nconnection: close\r\n\
    retry-after: 1\r\ncontent-length: 63\r\n\r\n{\"error\":\"too many connections to the agent: close some first\"}";

/// Takes connections until the end.
pub(super) async fn accept<S>(
    shared: Arc<Shared>,
    mut ends: watch::Receiver<bool>,
    guard: Option<Guard>,
    mut next: impl AsyncFnMut() -> io::Result<S>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let guard = Arc::new(guard);
    loop {
        let accepted = tokio::select! {
            () = ended(&mut ends) => return,
            accepted = next() => accepted,
        };
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection can't be taken: raise the limit of open files");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        // Whoever is on this machine may come by an address, and the socket is its user's.
        let by_address =
            guard.is_some().then(|| Arc::clone(&shared.by_address).try_acquire_owned()).transpose();
        let place = by_address.and_then(|by_address| {
            Arc::clone(&shared.connections).try_acquire_owned().map(|place| (place, by_address))
        });
        match place.ok() {
            Some(place) => {
                let (shared, guard, ends) = (Arc::clone(&shared), Arc::clone(&guard), ends.clone());
                tokio::spawn(serve(shared, guard, stream, ends, place));
            }
            None => {
                shared.counts.turned_away.fetch_add(1, Ordering::Relaxed);
                // Who comes meanwhile waits before the door.
                let turn = tokio::select! {
                    () = ended(&mut ends) => return,
                    turn = Arc::clone(&shared.turned_away).acquire_owned() => turn,
                };
                tokio::spawn(async move {
                    turn_away(stream).await;
                    drop(turn);
                });
            }
        }
    }
}

async fn ended(ends: &mut watch::Receiver<bool>) {
    // Without a sender it has ended, too.
    let _ = ends.wait_for(|ends| *ends).await;
}

/// Tells a client that there is no place. Its socket has room for so little.
async fn turn_away(stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut stream = Patient::new(stream);
    let tell = async {
        stream.write_all(FULL).await?;
        stream.shutdown().await
    };
    let _ = tokio::time::timeout(LINGER, tell).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_finds_no_place_is_told_so_in_whole() {
        let text = std::str::from_utf8(FULL).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{}", body.len());
        assert!(serde_json::from_str::<serde_json::Value>(body).unwrap()["error"].is_string());
    }
}
