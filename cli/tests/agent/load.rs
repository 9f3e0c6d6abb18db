//! As many clients as there may be, and more: all are answered, those that read miss nothing, and those that do not cost no more than is
//! written in docs/security.md. It counts, and times nothing.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;
use vouchsafe_testkit::command::PATIENCE;

use crate::world::{Agent, Place, TOPICS, until, with_tcp};

/// Subscribers, some of which read nothing until all is said.
const SUBSCRIBERS: usize = 1_000;
const SLOW: usize = 20;
/// What is said in each topic.
const RUMORS: usize = 60;
/// Connections that the agent takes.
const PLACES: usize = 1_200;
/// It hangs up on who has not asked for so long.
const HEAD_WITHIN: Duration = Duration::from_secs(10);

/// A thousand clients need as many files; the agent inherits it.
fn enough_files() -> bool {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(4_096, |most| most.min(4_096));
    let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit });
    wanted >= 3_000
}

type Lines = BufReader<UnixStream>;

/// A stream that is open when this answers.
async fn stream(socket: PathBuf, target: &'static str) -> Lines {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    stream.write_all(format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
    let mut lines = BufReader::new(stream);
    let status = line(&mut lines).await.unwrap();
    assert!(status.starts_with("HTTP/1.1 200"), "{status}");
    while line(&mut lines).await.unwrap() != "" {}
    lines
}

async fn line(lines: &mut Lines) -> Option<String> {
    let mut line = String::new();
    let read = tokio::time::timeout(PATIENCE, lines.read_line(&mut line)).await.expect("a line came in time");
    (read.unwrap_or(0) > 0).then(|| line.trim_end().to_owned())
}

/// Reads until it has heard the last word; how often it has heard each.
async fn heard(mut lines: Lines, last: &'static str) -> BTreeMap<String, usize> {
    let mut heard = BTreeMap::new();
    while let Some(line) = line(&mut lines).await {
        assert!(!line.starts_with("event: missed"), "{heard:?}");
        let Some(data) = line.strip_prefix("data: ") else { continue };
        let data: serde_json::Value = serde_json::from_str(data).unwrap();
        let Some(word) = data["body"].as_str().or(data["payload"].as_str()) else { continue };
        *heard.entry(word.to_owned()).or_default() += 1;
        if word == last {
            break;
        }
    }
    heard
}

/// What is said, from the first to the last.
fn words() -> impl Iterator<Item = String> {
    (0..RUMORS).map(|number| format!("word {number}")).chain(["last".to_owned()])
}

fn assert_all_once(heard: &BTreeMap<String, usize>) {
    assert!(heard.values().all(|times| *times == 1) && heard.len() == RUMORS + 1, "{heard:?}");
    words().for_each(|word| assert!(heard.contains_key(&word), "{word} was lost"));
}

/// Bytes that are resident in a process: now (`VmRSS`), or the most that ever were (`VmHWM`).
pub(crate) fn resident(agent: &Agent, which: &str) -> usize {
    let pid = agent.running.child.id();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(which)?.strip_prefix(':')).unwrap();
    line.trim().split(' ').next().unwrap().parse::<usize>().unwrap() * 1024
}

/// Sends some, and the rest piece by piece when there is an answer to that, and to what another client asks in between: the status, and
/// whether all could be sent.
async fn status(addr: &str, bytes: Vec<u8>, between: &str) -> (u16, bool) {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    // More than the head or the body of a request may have.
    let (some, rest) = bytes.split_at(bytes.len().min(80_000));
    let mut sent = stream.write_all(some).await;
    let answered =
        tokio::time::timeout(PATIENCE, stream.peek(&mut [0])).await.expect("an answer came in time");
    if !between.is_empty() {
        let mut other = TcpStream::connect(addr).await.unwrap();
        other.write_all(between.as_bytes()).await.unwrap();
        let end = tokio::time::timeout(PATIENCE, other.read_to_end(&mut Vec::new())).await;
        end.expect("another was answered in time").unwrap();
    }
    for piece in rest.chunks(16_000) {
        sent = sent.and(stream.write_all(piece).await);
    }
    let mut text = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut text)).await.expect("an end in time");
    let text = String::from_utf8_lossy(&text);
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    let said = || format!("no answer to {:?}: {answered:?}, {read:?}", String::from_utf8_lossy(&bytes[..40]));
    (status.unwrap_or_else(|| panic!("{}", said())), sent.is_ok() && read.is_ok())
}

/// Requests that nobody can mean, each with the statuses that tell so.
fn bad(addr: &str, token: &str) -> Vec<(Vec<u8>, &'static [u16])> {
    let head = |line: &str| format!("{line} HTTP/1.1\r\nhost: {addr}\r\nauthorization: Bearer {token}\r\n");
    let many: String = (0..20_000).map(|number| format!("x-{number}: a\r\n")).collect();
    let publish = head("POST /v1/publish?topic=log");
    let chunk = format!("8000\r\n{}\r\n", "a".repeat(0x8000));
    let texts: [(String, &'static [u16]); 7] = [
        (format!("{}x: {}\r\n\r\n", head("GET /v1/info"), "a".repeat(300_000)), &[431]),
        (format!("{}{many}\r\n", head("GET /v1/info")), &[431]),
        (format!("GET /{} HTTP/1.1\r\nhost: {addr}\r\n\r\n", "a".repeat(100_000)), &[414, 431]),
        (format!("{publish}content-length: 500000\r\n\r\n{}", "a".repeat(500_000)), &[413]),
        (format!("{publish}transfer-encoding: chunked\r\n\r\n{}0\r\n\r\n", chunk.repeat(15)), &[413]),
        ("\u{7}\u{0}\r\n\r\n".repeat(2_000), &[400]),
        (format!("{}\r\n", head("BREW /v1/info")), &[405]),
    ];
    let close = |text: String| text.replacen("\r\nhost", "\r\nconnection: close\r\nhost", 1).into_bytes();
    texts.into_iter().map(|(text, statuses)| (close(text), statuses)).collect()
}

/// Each bad request several times at once: each is told what is wrong with it. And each can send the rest of it before the end.
async fn all_are_refused(addr: &str, token: &str) {
    let refused = async |addr: String, bytes: Vec<u8>, statuses: &[u16], between: &str| {
        let (status, is_sent) = status(&addr, bytes, between).await;
        assert!(statuses.contains(&status), "{status}, not one of {statuses:?}");
        is_sent
    };
    let mut asks = JoinSet::new();
    for (bytes, statuses) in (0..4).flat_map(|_| bad(addr, token)) {
        asks.spawn(refused(addr.to_owned(), bytes, statuses, ""));
    }
    asks.join_all().await;
    // One thread serves all clients: when it has answered another it has hung up on this one, if it does so at once.
    let another = format!("GET /v1/info HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n\r\n");
    for (bytes, statuses) in bad(addr, token) {
        let begun = Instant::now();
        // Who takes longer than the agent waits on a busy machine is cut off, and asks again.
        while !refused(addr.to_owned(), bytes.clone(), statuses, &another).await {
            let what = String::from_utf8_lossy(&bytes[..40]);
            assert!(begun.elapsed() < PATIENCE, "no time to send {what:?}");
        }
    }
}

/// Takes all places with halves of requests, and asks then. All are answered; how many were told that there is no place.
async fn fill(addr: &str, taken: usize) -> (Vec<TcpStream>, usize) {
    let mut halves = Vec::new();
    for _ in taken..PLACES {
        let mut half = TcpStream::connect(addr).await.unwrap();
        half.write_all(b"GET /v1/info HTTP/1.1\r\nhost:").await.unwrap();
        halves.push(half);
    }
    let mut asks = JoinSet::new();
    for _ in 0..100 {
        let (addr, ask) = (addr.to_owned(), "GET /v1/info HTTP/1.1\r\nhost: x\r\n\r\n".repeat(200));
        asks.spawn(async move { status(&addr, ask.into_bytes(), "").await.0 });
    }
    let answers = asks.join_all().await;
    let full = answers.iter().filter(|status| **status == 503).count();
    // A half is hung up on after a while: who comes then finds its place, and names another host.
    assert!(answers.iter().all(|status| matches!(status, 503 | 421)), "{answers:?}");
    (halves, full)
}

/// Files that are open in an agent.
fn open_files(agent: &Agent) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", agent.running.child.id())).unwrap().count()
}

/// Clients that find no place, ask nothing and do not go: all are told, and the agent, which has so many files open when all its places are
/// taken, has a few of them at a time. How many were told.
async fn turned_away_a_few_at_a_time(agent: &Agent, addr: &str, full: usize) -> usize {
    let (mut most, mut told, mut held) = (0, 0, Vec::new());
    let mut idle = JoinSet::new();
    for _ in 0..340 {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        idle.spawn(async move {
            let mut text = [0; 12];
            let told =
                tokio::time::timeout(PATIENCE, stream.read_exact(&mut text)).await.expect("it is told");
            // Without a word it had a place that came free, and asked nothing.
            assert!(told.is_err() || &text == b"HTTP/1.1 503");
            (stream, told.is_ok())
        });
        most = most.max(open_files(agent));
    }
    while let Some(done) = idle.join_next().await {
        let (stream, is_told) = done.unwrap();
        told += usize::from(is_told);
        held.push(stream);
        // To count takes the processor from the agent.
        if held.len() % 10 == 0 {
            most = most.max(open_files(agent));
        }
    }
    // Those that are told, and some of its own that it opens meanwhile.
    assert!(most < full + 64 + 16, "{told} were told, {most} files are open, and {full} of all places");
    told
}

/// Takes all places, and comes all the same. On a machine that takes so long for it that halves are hung up on meanwhile, once more.
async fn beyond_all_places(agent: &Agent, addr: &str, files: usize) -> (Vec<TcpStream>, usize) {
    let mut slow = 0;
    loop {
        let begun = Instant::now();
        let (halves, full) = fill(addr, SUBSCRIBERS).await;
        let told = turned_away_a_few_at_a_time(agent, addr, files).await;
        if full > 0 && told > 64 {
            return (halves, full);
        }
        assert!(begun.elapsed() > HEAD_WITHIN && slow < 5, "{full} found no place, and {told} were told");
        slow += 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_subscribers_miss_nothing_whatever_others_do() {
    if !enough_files() {
        eprintln!("this process may not open 3 000 files: a thousand subscribers were NOT tried");
        return;
    }
    let places = [Place::new(TOPICS), Place::new(TOPICS)];
    let first = places[0].start(&[]);
    let (agent, addr, token) = with_tcp(&places[1], &["--peer", &first.address()]);
    for agent in [&first, &agent] {
        until("both are members", || agent.get("/v1/info")["members_here"].as_u64() == Some(2));
    }
    let before = resident(&agent, "VmRSS");
    let targets = ["/v1/subscribe?topic=log", "/v1/subscribe?topic=chat", "/v1/events"];
    let mut readers = JoinSet::new();
    let mut slow = Vec::new();
    for number in 0..SUBSCRIBERS {
        let lines = stream(agent.socket.clone(), targets[number % 3]).await;
        match number % 3 == 0 && slow.len() < SLOW {
            true => slow.push(lines),
            false => drop(readers.spawn(heard(lines, "last"))),
        }
    }
    all_are_refused(&addr, &token).await;
    let connections = || agent.get("/v1/stats")["agent"]["api_connections"].as_u64().unwrap() as usize;
    until("bad clients are gone", || connections() == SUBSCRIBERS + 1);
    let files = open_files(&agent) + PLACES - SUBSCRIBERS;
    let (halves, full) = beyond_all_places(&agent, &addr, files).await;
    // What is said is heard by all the same. Each request waits until the author has a position left.
    for word in words() {
        for target in ["/v1/publish?topic=log", "/v1/publish?topic=chat", "/v1/event?name=go"] {
            first.post(target, word.as_bytes());
        }
    }
    let mut heard_by = 0;
    while let Some(heard) = readers.join_next().await {
        assert_all_once(&heard.unwrap());
        heard_by += 1;
    }
    assert_eq!(heard_by, SUBSCRIBERS - SLOW);
    for lines in slow {
        assert_all_once(&heard(lines, "last").await);
    }
    // A head and parts for each connection, and a feed for each of the three streams; and what a test build wastes.
    let most = PLACES * (16 + 64) * 1024 + 3 * (8 << 20) + (16 << 20);
    let grown = resident(&agent, "VmRSS").saturating_sub(before);
    assert!(grown < most, "{} MiB, and {} MiB may be", grown >> 20, most >> 20);
    drop(halves);
    until("their places are free", || connections() == 1);
    let figures = agent.get("/v1/stats")["agent"].clone();
    assert!(figures["api_turned_away"].as_u64() >= Some(full as u64) && figures["api_streams_cut"] == 0);
    assert_eq!(agent.stop(), Some(0));
}

/// Anybody on this machine may connect to the address, and hold all that may come by it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_by_an_address_leaves_places_for_the_socket() {
    if !enough_files() {
        eprintln!("this process may not open 3 000 files: full places were NOT tried");
        return;
    }
    let place = Place::new(TOPICS);
    let (agent, addr, _) = with_tcp(&place, &[]);
    let mut held = VecDeque::new();
    for _ in 0..PLACES {
        held.push_back(TcpStream::connect(&addr).await.unwrap());
    }
    let begun = Instant::now();
    loop {
        let figures = agent.get("/v1/stats")["agent"].clone();
        let figure = |name: &str| figures[name].as_u64().unwrap();
        if figure("api_turned_away") > 0 && figure("api_connections") > 800 {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "they are told of no end, or hold no places: {figures}");
        // On a slow machine the first of them are hung up on before the last have come.
        for _ in 0..20 {
            held.pop_front();
            held.push_back(TcpStream::connect(&addr).await.unwrap());
        }
    }
}
