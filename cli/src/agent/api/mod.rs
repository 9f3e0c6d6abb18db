//! The interface of an agent: HTTP/1 with JSON over a socket in its state folder, and over loopback TCP where it is asked for.
//!
//! ```text
//!   connection ─▶ place? ─▶ head ─▶ token, host? ─▶ place? ─▶ body ─▶ node ─▶ answer
//!                  503                  401, 421       503      413              every request has one
//! ```

mod admission;
mod ask;
mod body;
mod door;
mod guard;
mod history;
mod kv;
mod limits;
mod listen;
mod metrics;
mod parts;
mod past;
mod publish;
mod query;
mod reply;
mod route;
mod show;
mod socket;
mod streams;
mod thread;
mod unread;

use std::convert::Infallible;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, watch};

use super::config::Settings;
use super::core::Agent;
use crate::exit::Failure;
use ask::Ask;
use door::accept;
use guard::Guard;
pub(super) use guard::fault as token_fault;
use limits::{
    ALONE, ANSWERS, BY_ADDRESS, CONNECTIONS, HEAD, HEAD_WITHIN, PAGES, REQUESTS, SMALL, STREAMS, TURN,
    TURNED_AWAY,
};
use reply::{Refusal, Reply};
use socket::Patient;
use thread::Thread;

/// How long requests under way may take when the node has ended.
const ENDING: Duration = Duration::from_secs(3);

/// The interface while it is open.
pub(super) struct Api {
    shared: Arc<Shared>,
    thread: Thread,
    ends: watch::Sender<bool>,
    /// The socket, if it has one.
    socket: Option<PathBuf>,
}

/// What all connections share.
struct Shared {
    agent: Arc<Agent>,
    /// Nothing may be changed here.
    only_shows: bool,
    /// Connections that there may be.
    places: usize,
    connections: Arc<Semaphore>,
    /// How many of them may come by an address.
    by_address: Arc<Semaphore>,
    /// Clients that are being told that there is no place.
    turned_away: Arc<Semaphore>,
    requests: Semaphore,
    streams: Arc<Semaphore>,
    /// Streams that read a topic by themselves.
    alone: Semaphore,
    /// Pages that are being made.
    pages: Semaphore,
    /// Bytes of large answers.
    answers: Arc<Semaphore>,
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
        let thread = start()?;
        let _of_clients = thread.handle().enter();
        let socket = settings.socket();
        let local = listen::socket(&socket)?;
        let tcp = match settings.api.tcp {
            Some(addr) => {
                let (listener, local) = listen::tcp(addr, "[api] tcp, or --api-tcp:")?;
                let guard = Guard::open(local, &settings.token_file()).map_err(Failure::Usage)?;
                tracing::info!(%local, "the interface listens on loopback, too");
                Some((listener, guard))
            }
            None => None,
        };
        let api = Self::new(agent, thread, false, Some(socket), listen::places());
        tokio::spawn(accept(Arc::clone(&api.shared), api.ends.subscribe(), None, async move || {
            local.accept().await.map(|(stream, _)| stream)
        }));
        if let Some((listener, guard)) = tcp {
            api.accept(listener, guard);
        }
        Ok(api)
    }

    /// Opens one for the live page alone: nothing can be changed over it. Gives where it is, and the token that it wants.
    pub(super) fn show(agent: &Arc<Agent>, at: SocketAddr) -> Result<(Self, SocketAddr, String), Failure> {
        let thread = start()?;
        let _of_clients = thread.handle().enter();
        let (listener, local) = listen::tcp(at, "--serve")?;
        let token = guard::new_token();
        let api = Self::new(agent, thread, true, None, limits::SHOWN_TO);
        api.accept(listener, Guard::of(local, &token));
        Ok((api, local, token))
    }

    fn new(
        agent: &Arc<Agent>,
        thread: Thread,
        only_shows: bool,
        socket: Option<PathBuf>,
        places: usize,
    ) -> Self {
        let shared = Arc::new(Shared {
            agent: Arc::clone(agent),
            only_shows,
            places,
            connections: Arc::new(Semaphore::new(places)),
            by_address: Arc::new(Semaphore::new(if only_shows {
                places
            } else {
                // (Of the very few that a low limit of open files leaves, one.)
                (places * BY_ADDRESS / CONNECTIONS).max(1)
            })),
            turned_away: Arc::new(Semaphore::new(TURNED_AWAY)),
            requests: Semaphore::new(REQUESTS),
            streams: Arc::new(Semaphore::new(STREAMS)),
            alone: Semaphore::new(ALONE),
            pages: Semaphore::new(PAGES),
            answers: Arc::new(Semaphore::new(ANSWERS)),
            counts: Counts::default(),
        });
        Self { shared, thread, ends: watch::channel(false).0, socket }
    }

    fn accept(&self, listener: TcpListener, guard: Guard) {
        let (shared, ends) = (Arc::clone(&self.shared), self.ends.subscribe());
        tokio::spawn(accept(shared, ends, Some(guard), async move || {
            listener.accept().await.map(|(stream, _)| stream)
        }));
    }

    /// Takes no more requests.
    pub(super) fn close(&self) {
        if self.ends.send_replace(true) {
            return;
        }
        // At once: who comes now finds nobody, and not somebody who leaves.
        if let Some(socket) = &self.socket {
            let _ = fs::remove_file(socket);
        }
    }

    /// Takes no more requests, and waits for those under way.
    pub(super) async fn end(self) {
        self.close();
        let all = self.shared.connections.acquire_many(self.shared.places as u32);
        if tokio::time::timeout(ENDING, all).await.is_err() {
            tracing::warn!("some requests had no answer when the agent ended");
        }
        self.thread.end().await;
    }
}

fn start() -> Result<Thread, Failure> {
    Thread::start()
        .map_err(|error| Failure::Failed(format!("the thread of the interface can't start: {error}")))
}

async fn serve<S>(
    shared: Arc<Shared>,
    guard: Arc<Option<Guard>>,
    stream: S,
    mut ends: watch::Receiver<bool>,
    place: (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>),
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
    let reply = match checked(shared, guard, request).await {
        Ok(reply) => shared.held(reply).await,
        Err(refusal) => Err(refusal),
    };
    match reply {
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
    if shared.only_shows && request.method() != Method::GET {
        let what = "this is only shown: nothing can be changed here";
        return Err(Refusal::new(StatusCode::FORBIDDEN, what.to_owned()));
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

    /// A turn for reading a topic alone, which is had until it is dropped.
    async fn alone(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.alone.acquire().await.ok()
    }

    /// Ends when who reads alone has had its turn, and others may wait for theirs.
    async fn turn_is_over(&self) {
        loop {
            tokio::time::sleep(TURN).await;
            if self.alone.available_permits() == 0 {
                return;
            }
        }
    }

    /// A turn for making a page, which is had until it is dropped.
    async fn page(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.pages.acquire().await.ok()
    }

    /// An answer with room for it, if it is large, until the client has taken it.
    async fn held(&self, reply: Reply) -> Result<Reply, Refusal> {
        let Some(bytes) = reply.body().size_hint().exact().filter(|bytes| *bytes > SMALL as u64) else {
            return Ok(reply);
        };
        let bytes = u32::try_from(bytes.min(ANSWERS as u64)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.answers).try_acquire_many_owned(bytes).map_err(|_| {
            Refusal::busy(format!("{ANSWERS} bytes of answers wait for clients to take them: ask again"))
        })?;
        let (head, body) = reply.into_parts();
        // It is whole already.
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        Ok(Reply::from_parts(head, Full::new(Bytes::from_owner(Held { body, _room: room })).boxed_unsync()))
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

/// An answer and its room.
struct Held {
    body: Bytes,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}
