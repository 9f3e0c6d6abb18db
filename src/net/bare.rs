//! A peer that says anything: valid TLS, raw bytes. For tests and demos of hostile peers.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::Bytes;
use quinn::{ConnectionError, RecvStream, SendStream, VarInt};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::carried::dial_error;
use super::config::HANDSHAKE_DEADLINE;
use super::endpoint::BindError;
use super::identity::{Identity, peer_key};
use super::quic::dial;
use super::transport::{DialFailed, Purpose};
use crate::key::{PublicKey, SecretKey};
use crate::protocol::DialError;
use crate::wire::{FrameBuffer, Lane};

/// Frames that wait for [`BarePeer::recv_frame`]; above that the peer stops reading by itself.
const INBOX: usize = 64;

/// Why a bare peer could not do as it was told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BareError {
    /// The socket could not be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The dial failed.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The connection has ended, or a stream on it.
    #[error("the connection has ended: {0}; read `closed()` for the reason")]
    Ended(String),
    /// The lane is not open.
    #[error("lane {0:?} is not open: call `open_lane` first")]
    NotOpen(Lane),
}

/// One connection with nothing of the protocol above it: lanes are opened, and bytes sent, only when told.
#[derive(Debug)]
pub struct BarePeer {
    /// Keeps the socket alive for as long as the peer.
    endpoint: quinn::Endpoint,
    connection: quinn::Connection,
    peer: PublicKey,
    lanes: [Option<SendStream>; Lane::COUNT],
    replaced: Vec<SendStream>,
    frames: mpsc::Receiver<(Lane, Bytes)>,
    /// Which lanes it reads, by index.
    reading: watch::Sender<[bool; Lane::COUNT]>,
}

/// Waits for connections and makes each a [`BarePeer`].
#[derive(Debug)]
pub struct BareListener {
    endpoint: quinn::Endpoint,
}

impl BareListener {
    /// The address it listens on.
    ///
    /// # Errors
    /// If the operating system doesn't say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// The next peer whose handshake succeeds; `None` when the endpoint is gone. One at a time.
    pub async fn accept(&self) -> Option<BarePeer> {
        loop {
            let incoming = self.endpoint.accept().await?;
            if let Ok(Ok(connection)) = timeout(HANDSHAKE_DEADLINE, incoming).await
                && let Some(peer) = peer_key(&connection)
            {
                return Some(BarePeer::new(self.endpoint.clone(), connection, peer));
            }
        }
    }
}

impl BarePeer {
    /// Dials `addr` from a socket of its own, with a proper handshake.
    ///
    /// # Errors
    /// If no socket can be had or the dial fails.
    pub async fn connect(key: &SecretKey, peer: PublicKey, addr: SocketAddr) -> Result<Self, BareError> {
        let any = if addr.is_ipv4() {
            SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))
        } else {
            SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))
        };
        Self::connect_from(Self::socket(any)?, key, peer, addr).await
    }

    /// A socket for [`connect_from`](Self::connect_from).
    ///
    /// # Errors
    /// If it can't be bound.
    pub fn socket(addr: SocketAddr) -> Result<quinn::Endpoint, BareError> {
        Ok(quinn::Endpoint::client(addr).map_err(|source| BindError::Socket { listen: addr, source })?)
    }

    /// As [`connect`](Self::connect), from a socket that other peers may share.
    ///
    /// # Errors
    /// If the dial fails.
    pub async fn connect_from(
        endpoint: quinn::Endpoint,
        key: &SecretKey,
        peer: PublicKey,
        addr: SocketAddr,
    ) -> Result<Self, BareError> {
        let identity = Identity::new(key);
        let dialled = timeout(HANDSHAKE_DEADLINE, dial(&endpoint, &identity, peer, addr, Purpose::Gossip));
        let dialled = dialled.await.unwrap_or(Err(DialFailed::TimedOut));
        let connection = dialled.map_err(|failed| dial_error(failed, peer, addr))?;
        Ok(Self::new(endpoint, connection, peer))
    }

    /// Listens on `addr` with no gate at all.
    ///
    /// # Errors
    /// If the address can't be bound.
    pub fn listen(key: &SecretKey, addr: SocketAddr) -> Result<BareListener, BareError> {
        let config = Identity::new(key).server_config(None).map_err(BindError::from)?;
        let endpoint = quinn::Endpoint::server(config, addr)
            .map_err(|source| BindError::Socket { listen: addr, source })?;
        Ok(BareListener { endpoint })
    }

    fn new(endpoint: quinn::Endpoint, connection: quinn::Connection, peer: PublicKey) -> Self {
        let (frames_in, frames) = mpsc::channel(INBOX);
        let (reading, reading_in) = watch::channel([true; Lane::COUNT]);
        tokio::spawn(read_all(connection.clone(), frames_in, reading_in));
        Self { endpoint, connection, peer, lanes: Default::default(), replaced: Vec::new(), frames, reading }
    }

    /// The key of the other end.
    pub fn peer(&self) -> PublicKey {
        self.peer
    }

    /// Opens a stream and sends the number of a lane on it. A second call opens a second stream of the same lane, which
    /// breaks the protocol, and replaces the first one without ending it.
    ///
    /// # Errors
    /// If the connection has ended.
    pub async fn open_lane(&mut self, lane: Lane) -> Result<(), BareError> {
        let stream = self.open_stream(lane).await?;
        if let Some(slot) = self.lanes.get_mut(lane.index())
            && let Some(old) = slot.replace(stream)
        {
            // Dropping a stream would finish it, which is another fault than the one wanted.
            self.replaced.push(old);
        }
        Ok(())
    }

    /// A stream that has begun with the number of a lane, for a driver that writes on it and reads the peer at the same time.
    pub(crate) async fn open_stream(&self, lane: Lane) -> Result<SendStream, BareError> {
        let mut stream = self.connection.open_uni().await.map_err(ended)?;
        stream.write_all(&[lane as u8]).await.map_err(ended)?;
        Ok(stream)
    }

    /// Sends one frame: its length and `payload`, of any length at all.
    ///
    /// # Errors
    /// If the lane is not open or the connection has ended.
    pub async fn send_frame(&mut self, lane: Lane, payload: &[u8]) -> Result<(), BareError> {
        let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        self.send_raw(lane, &len.to_le_bytes()).await?;
        self.send_raw(lane, payload).await
    }

    /// Sends bytes on a lane as they are.
    ///
    /// # Errors
    /// If the lane is not open or the connection has ended.
    pub async fn send_raw(&mut self, lane: Lane, bytes: &[u8]) -> Result<(), BareError> {
        let stream =
            self.lanes.get_mut(lane.index()).and_then(Option::as_mut).ok_or(BareError::NotOpen(lane))?;
        stream.write_all(bytes).await.map_err(ended)
    }

    /// Ends a lane in order (`finish`).
    ///
    /// # Errors
    /// If the lane is not open.
    pub fn finish_lane(&mut self, lane: Lane) -> Result<(), BareError> {
        let stream = self.lanes.get_mut(lane.index()).and_then(Option::take);
        stream.ok_or(BareError::NotOpen(lane))?.finish().map_err(ended)
    }

    /// Ends a lane in disorder (`reset`): what was sent and not yet received is lost.
    ///
    /// # Errors
    /// If the lane is not open.
    pub fn reset_lane(&mut self, lane: Lane, code: u32) -> Result<(), BareError> {
        let stream = self.lanes.get_mut(lane.index()).and_then(Option::take);
        stream.ok_or(BareError::NotOpen(lane))?.reset(VarInt::from_u32(code)).map_err(ended)
    }

    /// The next frame on any lane; `None` when the connection has ended and everything was returned.
    pub async fn recv_frame(&mut self) -> Option<(Lane, Bytes)> {
        self.frames.recv().await
    }

    /// Never reads a byte again: the other end's writing will stop.
    pub fn stop_reading(&self) {
        self.reading.send_replace([false; Lane::COUNT]);
    }

    /// As [`stop_reading`](Self::stop_reading), for one lane: the others go on as if nothing were wrong.
    pub fn stop_reading_lane(&self, lane: Lane) {
        self.reading.send_modify(|reading| {
            if let Some(reading) = reading.get_mut(lane.index()) {
                *reading = false;
            }
        });
    }

    /// Moves the connection to another socket, as a client does that wanders into another network; its new port.
    ///
    /// # Errors
    /// If no socket can be had.
    pub fn rebind(&self) -> io::Result<SocketAddr> {
        self.endpoint.rebind(std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?)?;
        self.endpoint.local_addr()
    }

    /// Waits for the end of the connection: the code and reason if the other end closed it. Otherwise code 0 and QUIC's words.
    pub async fn closed(&self) -> (u64, String) {
        match self.connection.closed().await {
            ConnectionError::ApplicationClosed(close) => {
                (close.error_code.into_inner(), String::from_utf8_lossy(&close.reason).into_owned())
            }
            other => (0, other.to_string()),
        }
    }

    /// Closes the connection at once.
    pub fn close(&self, code: u32, reason: &[u8]) {
        self.connection.close(VarInt::from_u32(code), reason);
    }

    /// The connection itself, for anything else.
    pub fn quinn(&self) -> &quinn::Connection {
        &self.connection
    }
}

/// Who lets go of a peer lets go of the connection: the tasks that read it would keep it, and its socket, for ever.
impl Drop for BarePeer {
    fn drop(&mut self) {
        self.close(0, b"");
    }
}

fn ended(error: impl ToString) -> BareError {
    BareError::Ended(error.to_string())
}

async fn read_all(
    connection: quinn::Connection,
    frames: mpsc::Sender<(Lane, Bytes)>,
    reading: watch::Receiver<[bool; Lane::COUNT]>,
) {
    let mut lanes = JoinSet::new();
    while let Ok(stream) = connection.accept_uni().await {
        lanes.spawn(read_lane(stream, frames.clone(), reading.clone()));
    }
    while lanes.join_next().await.is_some() {}
}

/// Reads one stream until anything at all is wrong with it.
async fn read_lane(
    mut stream: RecvStream,
    frames: mpsc::Sender<(Lane, Bytes)>,
    mut reading: watch::Receiver<[bool; Lane::COUNT]>,
) -> Option<()> {
    let mut number = [0u8; 1];
    reading.wait_for(|reading| reading.contains(&true)).await.ok()?;
    stream.read_exact(&mut number).await.ok()?;
    let [number] = number;
    let lane = Lane::from_byte(number)?;
    let reads = |reading: &[bool; Lane::COUNT]| reading.get(lane.index()).copied().unwrap_or(false);
    let mut buffer = FrameBuffer::default();
    loop {
        // Told to stop, it must not read one more chunk, so the flag is watched while it waits as well.
        reading.wait_for(reads).await.ok()?;
        let chunk = tokio::select! {
            biased;
            stopped = reading.wait_for(|reading| !reads(reading)) => {
                // The peer itself is gone.
                stopped.ok()?;
                continue;
            }
            chunk = stream.read_chunk(64 * 1024, true) => chunk.ok()??,
        };
        buffer.extend(&[chunk.bytes]);
        loop {
            let (batch, _) = buffer.take(usize::MAX).ok()?;
            if batch.is_empty() {
                break;
            }
            for frame in batch {
                frames.send((lane, frame)).await.ok()?;
            }
        }
    }
}
