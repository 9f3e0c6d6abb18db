//! A transport as the rest of the node knows it: what an app has written is believed in nothing that the node can see for itself, and
//! can neither panic into it nor keep a task for ever.
//!
//! | What a transport may do | What is seen of it |
//! |---|---|
//! | panic, in a call, a poll or a drop | the connection has failed |
//! | be ready each time, so that its task never lets others run | each poll costs of the task's budget |
//! | take nothing, give nothing, or say that it did more than it did | the connection has failed; bytes are counted here |
//! | name another key or address later | what it said first holds |
//! | codes and words of any size, a round trip of a century | codes of 32 bits, 256 bytes of words, 30 s |

mod beginning;
mod streams;

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::task::coop::cooperative;

use super::closed::LinkClosed;
use super::transport::{BothWays, Carrier, Ended, IDLE_TIMEOUT, Pending, Purpose};
use crate::key::PublicKey;
use crate::protocol::NetGroup;

#[cfg(any(test, feature = "sim"))]
pub(super) use beginning::dial_error;
pub(super) use beginning::{Dialling, Ground, Shaken};
pub(crate) use streams::{Receiving, Sending};

/// Where those are whose address a transport does not know: an address of the block that routers throw away (RFC 6666). It is nobody's, so
/// all of them are one network group, and no other is in it.
pub(super) const UNKNOWN: SocketAddr =
    SocketAddr::new(IpAddr::V6(std::net::Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0)), 0);

/// What is said of a transport that panics.
const PANICKED: &str = "the transport panicked";

/// Calls what an app has written; `None` if it panics. What it leaves behind is its own.
fn guarded<T>(call: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(call)).ok()
}

/// Waits for what an app has written; `None` if it panics. It lets other tasks run, also where it never waits itself.
async fn waited<'a, T>(begin: impl FnOnce() -> Pending<'a, T>) -> Option<T> {
    cooperative(Guarded(guarded(begin))).await
}

/// A future that does not panic, nor when it is dropped. It is `None` where its beginning did.
struct Guarded<'a, T>(Option<Pending<'a, T>>);

impl<T> Drop for Guarded<'_, T> {
    fn drop(&mut self) {
        dropped(self.0.take());
    }
}

impl<T> Future for Guarded<'_, T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let Some(future) = &mut self.0 else { return Poll::Ready(None) };
        match guarded(|| future.as_mut().poll(cx)) {
            Some(polled) => polled.map(Some),
            None => Poll::Ready(None),
        }
    }
}

/// Drops what an app has written.
fn dropped<T>(value: T) {
    // It has panicked: there is nobody to tell.
    let _ = guarded(|| drop(value));
}

fn panicked() -> Ended {
    Ended::Failed(PANICKED.into())
}

/// A connection, shared by all who use it.
#[derive(Clone, Debug)]
pub(crate) struct Carried(Arc<Held>);

#[derive(Debug)]
struct Held {
    /// Taken when it is dropped.
    carrier: Option<Arc<dyn Carrier>>,
    peer: PublicKey,
    purpose: Purpose,
    remote: SocketAddr,
}

impl Drop for Held {
    fn drop(&mut self) {
        dropped(self.carrier.take());
    }
}

impl Carried {
    /// `None` if it panics when it is asked whose it is.
    pub(crate) fn new(carrier: Arc<dyn Carrier>) -> Option<Self> {
        let said = guarded(|| (carrier.peer(), carrier.purpose(), carrier.remote()));
        let Some((peer, purpose, remote)) = said else {
            dropped(carrier);
            return None;
        };
        let remote = remote.map_or(UNKNOWN, canonical);
        Some(Self(Arc::new(Held { carrier: Some(carrier), peer, purpose, remote })))
    }

    /// What an app has written of it.
    fn call<T>(&self, call: impl FnOnce(&dyn Carrier) -> T) -> Option<T> {
        let carrier = self.0.carrier.as_deref()?;
        guarded(|| call(carrier))
    }

    async fn wait<'a, T>(
        &'a self,
        call: impl FnOnce(&'a dyn Carrier) -> Pending<'a, Result<T, Ended>>,
    ) -> Result<T, Ended> {
        let Some(carrier) = self.0.carrier.as_deref() else { return Err(Ended::ByUs) };
        waited(|| call(carrier)).await.unwrap_or_else(|| Err(panicked()))
    }

    /// The key that the other end has proven to hold.
    pub(crate) fn peer(&self) -> PublicKey {
        self.0.peer
    }

    /// What it is for.
    pub(crate) fn purpose(&self) -> Purpose {
        self.0.purpose
    }

    /// Where the other end is. It never changes.
    pub(crate) fn remote(&self) -> SocketAddr {
        self.0.remote
    }

    /// Its network group.
    pub(crate) fn group(&self) -> NetGroup {
        NetGroup::of(self.0.remote.ip())
    }

    /// Whether they are the same connection.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The address of this machine that it goes out from, if that is known.
    pub(crate) fn local_ip(&self) -> Option<IpAddr> {
        self.call(|carrier| carrier.local_ip()).flatten().map(|ip| ip.to_canonical())
    }

    /// Begins a stream that this end writes.
    pub(crate) async fn open_one_way(&self) -> Result<Sending, Ended> {
        self.wait(|carrier| carrier.open_one_way()).await.map(Sending::new)
    }

    /// The next stream that the other end writes.
    pub(crate) async fn accept_one_way(&self) -> Result<Receiving, Ended> {
        self.wait(|carrier| carrier.accept_one_way()).await.map(Receiving::new)
    }

    /// Begins a stream that both ends write.
    pub(crate) async fn open_both_ways(&self) -> Result<(Sending, Receiving), Ended> {
        self.wait(|carrier| carrier.open_both_ways()).await.map(both)
    }

    /// The next stream of that kind that the other end has begun.
    pub(crate) async fn accept_both_ways(&self) -> Result<(Sending, Receiving), Ended> {
        self.wait(|carrier| carrier.accept_both_ways()).await.map(both)
    }

    /// How many streams the other end may have open.
    pub(crate) fn allow(&self, one_way: u32, both_ways: u32) {
        let _ = self.call(|carrier| carrier.allow(one_way, both_ways));
    }

    /// Ends it at once.
    pub(crate) fn close(&self, code: u32, words: &[u8]) {
        let _ = self.call(|carrier| carrier.close(code, words));
    }

    /// Waits for its end.
    pub(crate) async fn closed(&self) -> LinkClosed {
        LinkClosed::of(match self.wait(|carrier| ended(carrier.closed())).await {
            Ok(why) | Err(why) => why,
        })
    }

    /// Why it has ended, if it has.
    pub(crate) fn close_reason(&self) -> Option<LinkClosed> {
        let closed = self.call(|carrier| {
            let mut closed = carrier.closed();
            closed.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        });
        match closed {
            Some(Poll::Pending) => None,
            Some(Poll::Ready(why)) => Some(LinkClosed::of(why)),
            None => Some(LinkClosed::of(panicked())),
        }
    }

    /// The current estimate of the round trip.
    pub(crate) fn round_trip(&self) -> Duration {
        self.call(|carrier| carrier.round_trip()).unwrap_or_default().min(IDLE_TIMEOUT)
    }

    /// How often something has come so far: by that a silent line is told from a quiet peer.
    pub(crate) fn heard(&self) -> u64 {
        self.call(|carrier| carrier.heard()).unwrap_or_default()
    }

    /// What an app has written, for tests that know what that is.
    #[cfg(test)]
    pub(crate) fn carrier(&self) -> Arc<dyn Carrier> {
        self.0.carrier.clone().expect("it is not dropped")
    }
}

/// The same, in the shape of what may fail.
fn ended<'a>(closed: Pending<'a, Ended>) -> Pending<'a, Result<Ended, Ended>> {
    Box::pin(async { Ok(closed.await) })
}

fn both((send, recv): BothWays) -> (Sending, Receiving) {
    (Sending::new(send), Receiving::new(recv))
}

/// An IPv4 peer of a socket for both families shows up as an IPv6 address; we want the same address either way.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
