//! The interface of an agent: HTTP/1 with JSON over a socket in its state folder, and over loopback TCP where it is asked for.
//!
//! ```text
//!   connection ─▶ place? ─▶ head ─▶ token, host? ─▶ place? ─▶ body ─▶ node ─▶ answer
//!                  503                  401, 421       503      413              every request has one
//! ```

mod admission;
mod ask;
mod guard;
mod history;
mod kv;
mod limits;
mod metrics;
mod publish;
mod query;
mod reply;
mod route;
mod show;
mod socket;
mod streams;

use std::convert::Infallible;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::config::Settings;
use super::core::Agent;
use crate::exit::Failure;
use ask::Ask;
use guard::Guard;
use limits::{CONNECTIONS, HEAD, HEAD_WITHIN, REQUESTS, STREAMS};
use reply::{Refusal, Reply};
use socket::Patient;

/// After a connection could not be taken, since there are no more file descriptors.
const PAUSE: Duration = Duration::from_millis(100);
/// How long requests under way may take at the end.
const ENDING: Duration = Duration::from_secs(3);
/// What a connection is told for which there is no place.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nconnection: close\r\n\
    retry-after: 1\r\ncontent-length: 63\r\n\r\n{\"error\":\"too many connections to the agent: close some first\"}";

/// The interface while it is open.
pub(super) struct Api {
    shared: Arc<Shared>,
    ends: watch::Sender<bool>,
    socket: PathBuf,
}

/// What all connections share.
struct Shared {
    agent: Arc<Agent>,
    connections: Arc<Semaphore>,
    requests: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    counts: Counts,
}

/// Since the start.
#[derive(Default)]
struct Counts {
    requests: AtomicU64,
    /// Requests that were refused or failed.
    refused: AtomicU64,
    /// Connections for which there was no place.
    turned_away: AtomicU64,
    /// Streams that were ended, since their reader was too slow.
    cut: AtomicU64,
}

impl Api {
    /// Opens the sockets.
    pub(super) fn begin(agent: &Arc<Agent>, settings: &Settings) -> Result<Self, Failure> {
        let shared = Arc::new(Shared {
            agent: Arc::clone(agent),
            connections: Arc::new(Semaphore::new(CONNECTIONS)),
            requests: Arc::new(Semaphore::new(REQUESTS)),
            streams: Arc::new(Semaphore::new(STREAMS)),
            counts: Counts::default(),
        });
        let ends = watch::channel(false).0;
        let socket = settings.socket();
        let local = open_socket(&socket)?;
        let tcp = settings.api.tcp.map(|addr| open_tcp(addr, &settings.token_file())).transpose()?;
        tokio::spawn(accept(Arc::clone(&shared), ends.subscribe(), None, async move || {
            local.accept().await.map(|(stream, _)| stream)
        }));
        if let Some((listener, guard)) = tcp {
            tokio::spawn(accept(Arc::clone(&shared), ends.subscribe(), Some(guard), async move || {
                listener.accept().await.map(|(stream, _)| stream)
            }));
        }
        Ok(Self { shared, ends, socket })
    }

    /// Takes no more requests, and waits for those under way.
    pub(super) async fn end(self) {
        // First: who comes now finds nobody, and not somebody who leaves.
        let _ = fs::remove_file(&self.socket);
        self.ends.send_replace(true);
        let all = self.shared.connections.acquire_many(CONNECTIONS as u32);
        if tokio::time::timeout(ENDING, all).await.is_err() {
            tracing::warn!("some requests had no answer when the agent ended");
        }
    }
}

/// Makes the socket, which its user alone may open. One that nobody listens on is left over from a crash.
fn open_socket(path: &Path) -> Result<UnixListener, Failure> {
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(Failure::Usage(format!(
            "{}: an agent answers there already: stop it, or give this one another socket with --api",
            path.display()
        )));
    }
    if fs::symlink_metadata(path).is_ok_and(|found| !is_socket(&found)) {
        return Err(Failure::Usage(format!(
            "{}: this is no socket: give another path with --api",
            path.display()
        )));
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    // With its mode before anybody can find it.
    let open = || {
        let _ = fs::remove_file(&new);
        let listener = UnixListener::bind(&new)?;
        fs::set_permissions(&new, Permissions::from_mode(0o600))?;
        fs::rename(&new, path)?;
        Ok(listener)
    };
    open().map_err(|error: io::Error| {
        let what = format!(
            "the socket {}: {error}: give another path with --api, of at most 100 bytes",
            path.display()
        );
        Failure::by_kind(&error, what)
    })
}

fn is_socket(found: &fs::Metadata) -> bool {
    std::os::unix::fs::FileTypeExt::is_socket(&found.file_type())
}

fn open_tcp(addr: std::net::SocketAddr, token: &Path) -> Result<(TcpListener, Guard), Failure> {
    let open = || {
        let listener = std::net::TcpListener::bind(addr)?;
        listener.set_nonblocking(true)?;
        let local = listener.local_addr()?;
        Ok((TcpListener::from_std(listener)?, local))
    };
    let (listener, local) = open().map_err(|error: io::Error| {
        Failure::by_kind(&error, format!("--api-tcp {addr}: {error}: give another port"))
    })?;
    let guard = Guard::open(local, token).map_err(Failure::Usage)?;
    tracing::info!(%local, "the interface listens on loopback, too");
    Ok((listener, guard))
}

/// Takes connections until the end.
async fn accept<S>(
    shared: Arc<Shared>,
    mut ends: watch::Receiver<bool>,
    guard: Option<Guard>,
    mut next: impl AsyncFnMut() -> io::Result<S>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let guard = Arc::new(guard);
    loop {
        let ended = async { ends.wait_for(|ends| *ends).await.map(drop) };
        let accepted = tokio::select! {
            _ = ended => return,
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
        match Arc::clone(&shared.connections).try_acquire_owned() {
            Ok(place) => {
                let (shared, guard, ends) = (Arc::clone(&shared), Arc::clone(&guard), ends.clone());
                tokio::spawn(serve(shared, guard, stream, ends, place));
            }
            Err(_) => {
                shared.counts.turned_away.fetch_add(1, Ordering::Relaxed);
                turn_away(stream).await;
            }
        }
    }
}

/// Tells a client that there is no place. Its socket has room for so little.
async fn turn_away(mut stream: impl AsyncWrite + Unpin) {
    let tell = async {
        stream.write_all(FULL).await?;
        stream.shutdown().await
    };
    let _ = tokio::time::timeout(PAUSE, tell).await;
}

async fn serve<S>(
    shared: Arc<Shared>,
    guard: Arc<Option<Guard>>,
    stream: S,
    mut ends: watch::Receiver<bool>,
    place: OwnedSemaphorePermit,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request| {
        let (shared, guard) = (Arc::clone(&shared), Arc::clone(&guard));
        async move { Ok::<_, Infallible>(answer(&shared, guard.as_ref().as_ref(), request).await) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_buf_size(HEAD);
    let mut connection =
        std::pin::pin!(builder.serve_connection(TokioIo::new(Patient::new(stream)), service));
    let ended = async move { ends.wait_for(|ends| *ends).await.map(drop) };
    let result = tokio::select! {
        result = connection.as_mut() => result,
        _ = ended => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection to the interface has ended early");
    }
    drop(place);
}

async fn answer(shared: &Arc<Shared>, guard: Option<&Guard>, request: Request<Incoming>) -> Reply {
    shared.counts.requests.fetch_add(1, Ordering::Relaxed);
    match checked(shared, guard, request).await {
        Ok(reply) => reply,
        Err(refusal) => {
            shared.counts.refused.fetch_add(1, Ordering::Relaxed);
            refusal.reply()
        }
    }
}

async fn checked(
    shared: &Arc<Shared>,
    guard: Option<&Guard>,
    request: Request<Incoming>,
) -> Result<Reply, Refusal> {
    if let Some(guard) = guard {
        guard.check_host(request.headers())?;
        // The page holds nothing of the node, and a browser has no token before it has the page.
        if request.uri().path() != "/" {
            guard.check_token(request.headers())?;
        }
    }
    let Ok(_place) = shared.requests.try_acquire() else {
        return Err(Refusal::busy(format!(
            "{REQUESTS} requests are under way, the most there may be: ask again"
        )));
    };
    let mut ask = Ask::new(request)?;
    route::route(shared, &mut ask).await
}

impl Shared {
    /// A place for a stream, which it has until it is dropped.
    fn stream(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let place = Arc::clone(&self.streams).try_acquire_owned();
        place.map_err(|_| {
            Refusal::busy(format!("{STREAMS} streams are open, the most there may be: close some first"))
        })
    }

    /// The topic that the request names.
    fn topic(&self, ask: &mut Ask) -> Result<&super::core::Joined, Refusal> {
        let name = ask.must("topic")?;
        self.agent.topic(&name).ok_or_else(|| {
            let names: Vec<_> = self.agent.topics().keys().map(String::as_str).collect();
            let has = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            Refusal::new(
                StatusCode::BAD_REQUEST,
                format!(
                    "the agent has no topic {name:?}; it has {has}: add it to its configuration as [[topic]]"
                ),
            )
        })
    }
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
