//! Sockets that can be cut: from the nodes of another side, or from everybody.
//!
//! The nodes use them through QUIC's own interface for sockets, so to them a partition is what it is in the field: packets that
//! never arrive, and no error.

use std::collections::HashMap;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, EndpointConfig, Runtime as _, TokioRuntime, UdpPoller};

/// Who is on which side now, shared by all sockets.
#[derive(Debug, Default)]
pub(super) struct Cut {
    sides: RwLock<HashMap<SocketAddr, bool>>,
    pub(super) dropped: AtomicU64,
}

impl Cut {
    /// Cuts these addresses off from those of the other side. Addresses that are not named, such as liars', talk to all.
    pub(super) fn begin(&self, sides: HashMap<SocketAddr, bool>) {
        *self.sides.write().unwrap_or_else(PoisonError::into_inner) = sides;
    }

    pub(super) fn heal(&self) {
        self.begin(HashMap::new());
    }

    fn parts(&self, one: &SocketAddr, other: &SocketAddr) -> bool {
        let sides = self.sides.read().unwrap_or_else(PoisonError::into_inner);
        matches!((sides.get(one), sides.get(other)), (Some(one), Some(other)) if one != other)
    }
}

#[derive(Debug)]
struct CutSocket {
    inner: Arc<dyn AsyncUdpSocket>,
    addr: SocketAddr,
    cut: Arc<Cut>,
    dead: Arc<AtomicBool>,
}

/// An endpoint on `addr` whose packets obey `cut`, and the switch that silences it for good, as a crash does.
pub(super) fn endpoint(addr: SocketAddr, cut: &Arc<Cut>) -> io::Result<(quinn::Endpoint, Arc<AtomicBool>)> {
    let socket = std::net::UdpSocket::bind(addr)?;
    let addr = socket.local_addr()?;
    let inner = TokioRuntime.wrap_udp_socket(socket)?;
    let dead = Arc::new(AtomicBool::new(false));
    let socket = CutSocket { inner, addr, cut: Arc::clone(cut), dead: Arc::clone(&dead) };
    let endpoint = quinn::Endpoint::new_with_abstract_socket(
        EndpointConfig::default(),
        None,
        Arc::new(socket),
        Arc::new(TokioRuntime),
    )?;
    Ok((endpoint, dead))
}

impl AsyncUdpSocket for CutSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.inner).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        if self.dead.load(Ordering::Relaxed) || self.cut.parts(&self.addr, &transmit.destination) {
            self.cut.dropped.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        self.inner.try_send(transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            let received = std::task::ready!(self.inner.poll_recv(cx, bufs, meta));
            if received.is_err() || !self.dead.load(Ordering::Relaxed) {
                return Poll::Ready(received);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.inner.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.inner.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.inner.may_fragment()
    }
}
