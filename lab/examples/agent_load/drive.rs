//! The process that asks.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Outcome;

/// Subscribers, and how many of them read nothing.
const SUBSCRIBERS: usize = 1_000;
const SLOW: usize = 50;
/// Connections that ask, and requests a second in all.
const CLIENTS: u64 = 40;
const PER_SECOND: u64 = 1_000;
/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two clients of each bad kind.
const BAD_EVERY: Duration = Duration::from_millis(50);
/// Connections that are opened beyond what the agent takes, now and then.
const CROWD: usize = 250;
const CROWD_EVERY: Duration = Duration::from_secs(2);

/// What is asked, in turn.
const TARGETS: [&str; 6] =
    ["/v1/info", "/v1/members", "/v1/stats", "/metrics", "/v1/topics", "/v1/members?no-such=parameter"];

/// What became of all that was asked.
#[derive(Default)]
pub(super) struct Figures(BTreeMap<String, u64>);

impl Figures {
    pub(super) fn add(&mut self, line: &Value) {
        for (name, count) in line.as_object().into_iter().flatten() {
            *self.0.entry(name.clone()).or_default() += count.as_u64().unwrap_or_default();
        }
    }

    fn of(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// Whether all were answered, and all who read have heard all.
    pub(super) fn is_good(&self) -> bool {
        self.of("answered") > 0 && self.of("heard") > 0 && self.of("unanswered") == 0 && self.of("lost") == 0
    }
}

impl Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<_> = self.0.iter().map(|(name, count)| format!("{count} {name}")).collect();
        write!(f, "requests       {}", all.join(", "))
    }
}

/// Counts of one process.
#[derive(Default)]
struct Counts {
    answered: AtomicU64,
    /// With a status that says why not.
    refused: AtomicU64,
    /// For want of a place.
    turned_away: AtomicU64,
    unanswered: AtomicU64,
    heard: AtomicU64,
    /// Rumors between two others that a subscriber did not hear.
    lost: AtomicU64,
    /// The time is over.
    over: AtomicBool,
}

impl Counts {
    fn note(&self, status: Option<u16>) {
        let count = match status {
            Some(200) => &self.answered,
            Some(503) => &self.turned_away,
            Some(_) => &self.refused,
            None => &self.unanswered,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

/// Asks once; the body of the answer.
pub(super) fn get(socket: &Path, target: &str) -> Outcome<String> {
    let mut stream = std::os::unix::net::UnixStream::connect(socket)?;
    write!(stream, "GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text.split_once("\r\n\r\n").ok_or("no answer")?.1.to_owned())
}

/// Opens all clients, says so, and asks for so long.
pub(super) async fn run(socket: &Path, addr: &str, seconds: &str) -> Outcome<()> {
    let lasts = Duration::from_secs(seconds.parse()?);
    let counts = Arc::new(Counts::default());
    let mut readers = JoinSet::new();
    let mut slow = Vec::new();
    for number in 0..SUBSCRIBERS {
        let lines = subscribe(socket).await?;
        match number < SLOW {
            true => slow.push(lines),
            false => drop(readers.spawn(listen(lines, Arc::clone(&counts)))),
        }
    }
    println!("begun");
    let mut asking = JoinSet::new();
    for _ in 0..CLIENTS {
        asking.spawn(ask(socket.to_owned(), Arc::clone(&counts)));
    }
    asking.spawn(halves(socket.to_owned(), Arc::clone(&counts)));
    asking.spawn(garbage(addr.to_owned(), Arc::clone(&counts)));
    asking.spawn(crowds(addr.to_owned(), Arc::clone(&counts)));
    tokio::time::sleep(lasts).await;
    counts.over.store(true, Ordering::Relaxed);
    while asking.join_next().await.transpose()?.is_some() {}
    readers.abort_all();
    drop(slow);
    let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
    println!(
        "{}",
        json!({
            "answered": get(&counts.answered), "refused": get(&counts.refused), "turned away": get(&counts.turned_away),
            "unanswered": get(&counts.unanswered), "heard": get(&counts.heard), "lost": get(&counts.lost),
        })
    );
    Ok(())
}

type Lines = BufReader<UnixStream>;

async fn subscribe(socket: &Path) -> Outcome<Lines> {
    let mut stream = UnixStream::connect(socket).await?;
    let target = format!("/v1/subscribe?topic={}", super::TOPIC);
    stream.write_all(format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await?;
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    lines.read_line(&mut line).await?;
    match line.starts_with("HTTP/1.1 200") {
        true => Ok(lines),
        false => Err(format!("a subscriber was refused: {line}").into()),
    }
}

/// Hears rumors, which are numbers that follow each other.
async fn listen(mut lines: Lines, counts: Arc<Counts>) {
    let mut last = None;
    let mut line = String::new();
    while matches!(lines.read_line(&mut line).await, Ok(1..)) {
        if line.starts_with("event: missed") {
            counts.lost.fetch_add(1, Ordering::Relaxed);
        }
        let said = line.strip_prefix("data: ").and_then(|data| serde_json::from_str::<Value>(data).ok());
        if let Some(number) = said.and_then(|said| said["body"].as_str()?.parse::<u64>().ok()) {
            counts.heard.fetch_add(1, Ordering::Relaxed);
            let missing = last.map_or(0, |last: u64| number.saturating_sub(last + 1));
            counts.lost.fetch_add(missing, Ordering::Relaxed);
            last = Some(number);
        }
        line.clear();
    }
}

/// Asks at its pace, over one connection for as long as that lasts.
async fn ask(socket: PathBuf, counts: Arc<Counts>) {
    let mut pace = tokio::time::interval(Duration::from_micros(1_000_000 * CLIENTS / PER_SECOND));
    let mut connection = None;
    for target in TARGETS.iter().cycle() {
        pace.tick().await;
        if counts.is_over() {
            return;
        }
        let status = timeout(PATIENCE, one(&socket, &mut connection, target)).await.ok().flatten();
        // Who finds no place comes again, as what it asked was not done.
        if status != Some(200) {
            connection = None;
        }
        counts.note(status);
    }
}

/// Asks once; the status of the answer, which is read to its end.
async fn one(socket: &Path, connection: &mut Option<Lines>, target: &str) -> Option<u16> {
    let lines = match connection {
        Some(lines) => lines,
        None => connection.insert(BufReader::new(UnixStream::connect(socket).await.ok()?)),
    };
    // It may be told that there is no place before it has asked.
    let _ = lines.write_all(format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await;
    let (mut status, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        lines.read_line(&mut line).await.ok()?;
        if let Some(rest) = line.strip_prefix("HTTP/1.1 ") {
            status = rest.get(..3)?.parse().ok();
        } else if let Some(rest) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = rest.trim().parse().ok()?;
        } else if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    lines.read_exact(&mut body).await.ok()?;
    status
}

/// Clients that stop in the middle, each for a while.
async fn halves(socket: PathBuf, counts: Arc<Counts>) {
    let mut halves = std::collections::VecDeque::new();
    while !counts.is_over() {
        if let Ok(mut half) = UnixStream::connect(&socket).await {
            let _ = half.write_all(b"GET /v1/info HTTP/1.1\r\nhost:").await;
            halves.push_back(half);
        }
        if halves.len() > 100 {
            halves.pop_front();
        }
        tokio::time::sleep(BAD_EVERY).await;
    }
}

/// Bytes that are no request, and requests that are too large.
async fn garbage(addr: String, counts: Arc<Counts>) {
    let huge = format!("GET /v1/info HTTP/1.1\r\nhost: {addr}\r\nx: {}\r\n\r\n", "a".repeat(300_000));
    let kinds = [huge.into_bytes(), b"\x16\x03\x01\x00\r\n\r\n".repeat(500)];
    for bytes in kinds.iter().cycle() {
        if counts.is_over() {
            return;
        }
        counts.note(timeout(PATIENCE, all(&addr, bytes)).await.ok().flatten());
        tokio::time::sleep(BAD_EVERY).await;
    }
}

/// Sends all of it, and reads the answer meanwhile.
async fn all(addr: &str, bytes: &[u8]) -> Option<u16> {
    let mut stream = TcpStream::connect(addr).await.ok()?;
    let (mut read, mut write) = stream.split();
    let mut text = Vec::new();
    let _ = tokio::join!(write.write_all(bytes), read.read_to_end(&mut text));
    String::from_utf8_lossy(&text).split(' ').nth(1)?.parse().ok()
}

/// More clients than there are places: who finds none is told so.
async fn crowds(addr: String, counts: Arc<Counts>) {
    while !counts.is_over() {
        let mut crowd = JoinSet::new();
        for _ in 0..CROWD {
            let addr = addr.clone();
            crowd.spawn(async move {
                let request = format!("GET /v1/info HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n\r\n");
                timeout(PATIENCE, all(&addr, request.as_bytes())).await.ok().flatten()
            });
        }
        crowd.join_all().await.into_iter().for_each(|status| counts.note(status));
        tokio::time::sleep(CROWD_EVERY).await;
    }
}
