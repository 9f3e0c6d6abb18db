//! The victim: a node in a process of its own, seen from inside and from outside.

use std::io::{self, BufRead as _, BufReader, IoSliceMut, Write as _};
use std::net::SocketAddr;
use std::pin::Pin;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, EndpointConfig, Runtime as _, TokioRuntime, UdpPoller};
use vouchsafe::{GateConfig, Node, PeerAddr, SecretKey, Topic};

use super::Failure;

/// Counts what is sent and received, of whatever kind.
#[derive(Debug)]
struct CountingSocket {
    inner: Arc<dyn AsyncUdpSocket>,
    bytes: Arc<[AtomicU64; 2]>,
}

impl AsyncUdpSocket for CountingSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.inner).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.inner.try_send(transmit)?;
        self.bytes[0].fetch_add(transmit.contents.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let received = std::task::ready!(self.inner.poll_recv(cx, bufs, meta))?;
        let bytes: usize = meta.iter().take(received).map(|meta| meta.len).sum();
        self.bytes[1].fetch_add(bytes as u64, Ordering::Relaxed);
        Poll::Ready(Ok(received))
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

/// What the process of the victim does: says where it is, and after each line that it reads, its [`Books`].
pub(crate) async fn run(limited: bool) -> Result<(), Failure> {
    let bytes: Arc<[AtomicU64; 2]> = Arc::default();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
    let inner = TokioRuntime.wrap_udp_socket(socket)?;
    let socket = Arc::new(CountingSocket { inner, bytes: Arc::clone(&bytes) });
    let (config, runtime) = (EndpointConfig::default(), Arc::new(TokioRuntime));
    let endpoint = quinn::Endpoint::new_with_abstract_socket(config, None, socket, runtime)?;
    let gate = GateConfig::default().with(|gate| gate.limit_local = limited);
    let node = Node::builder(SecretKey::generate()).endpoint(endpoint).gate(gate).spawn().await?;
    let _topic = node.join(Topic::named("lobby")).await?;
    println!("{} {}", node.id(), node.local_addr());
    let mut line = String::new();
    loop {
        let (read, text) = tokio::task::spawn_blocking(move || {
            let read = std::io::stdin().read_line(&mut line);
            (read, line)
        })
        .await?;
        line = text;
        if read? == 0 {
            return Ok(());
        }
        let stats = node.stats().await?;
        let [sent, received] = [0, 1].map(|way| bytes[way].load(Ordering::Relaxed));
        let refusals = stats.refusals;
        let refused = refusals.half_open + refusals.group_half_open + refusals.group_rate + refusals.retries;
        println!("{} {} {sent} {received} {refused}", stats.links.len(), stats.counters.offences);
    }
}

/// What the victim says of itself.
pub(crate) struct Books {
    pub(crate) links: u64,
    pub(crate) offences: u64,
    /// Bytes of UDP payload.
    pub(crate) sent: u64,
    pub(crate) received: u64,
    /// Handshakes that were refused or sent back to prove their address.
    pub(crate) refused: u64,
}

/// The victim's process, seen from outside.
pub(crate) struct Victim {
    child: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
    pub(crate) peer: PeerAddr,
}

impl Victim {
    /// Starts one, which limits the addresses of this machine as those of any other network group if `limited`.
    pub(crate) fn start(limited: bool) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(if limited { "limited-victim" } else { "victim" })
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (asks, answers) =
            (child.stdin.take().ok_or("no stdin")?, child.stdout.take().ok_or("no stdout")?);
        let mut answers = BufReader::new(answers);
        let mut line = String::new();
        answers.read_line(&mut line)?;
        let (key, addr) = line.trim().split_once(' ').ok_or("no address")?;
        Ok(Self { peer: PeerAddr { key: key.parse()?, host: addr.parse()? }, child, asks, answers })
    }

    pub(crate) fn books(&mut self) -> Result<Books, Failure> {
        writeln!(self.asks)?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let numbers: Vec<u64> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        let [links, offences, sent, received, refused] = numbers[..] else {
            return Err("the victim has ended".into());
        };
        Ok(Books { links, offences, sent, received, refused })
    }

    /// CPU time so far; Linux counts it in hundredths of a second.
    pub(crate) fn cpu(&self) -> Result<Duration, Failure> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks =
            |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or_default();
        Ok(Duration::from_millis(10 * (ticks(11) + ticks(12))))
    }

    pub(crate) fn resident_kib(&self) -> Result<u64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.split_whitespace().nth(1).ok_or("no VmRSS")?.parse()?)
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
