//! Clients that read slowly, or what is long: none is hung up on, none misses anything, and what waits for them is bounded.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use vouchsafe_testkit::command::PATIENCE;

use crate::load::resident;
use crate::world::{Agent, pair, until};

const LONG: &str = "[[topic]]\nname = \"log\"\nretention = \"1h\"\nmax_body = 65536\n";
/// More than a socket, a feed and a page hold.
const LONG_RUMORS: usize = 180;
/// More than a socket holds: when a client has taken so many, the agent can write to it again.
const SOCKET: usize = 4;

fn long(number: usize) -> String {
    format!("{number} {}", "x".repeat(60_000))
}

/// A client takes something as often, and as much: the agent cuts whom it could not write to for 30 s.
const TAKES_EVERY: Duration = Duration::from_secs(10);
const TAKES: usize = 256 * 1024;

/// A client that takes little, until this is dropped.
struct Slow(#[expect(dead_code, reason = "its thread ends when this is gone")] mpsc::Sender<()>);

/// Lets a client be slow, of which another thread counts what it has taken.
fn slow(mut stream: UnixStream, taken: &Arc<AtomicUsize>) -> Slow {
    let ((until, is_over), taken) = (mpsc::channel(), Arc::clone(taken));
    stream.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let mut room = vec![0; TAKES];
        while is_over.recv_timeout(TAKES_EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
            let mut left = &mut room[..];
            while let Ok(count) = stream.read(left)
                && count > 0
            {
                taken.fetch_add(count, Ordering::Relaxed);
                left = &mut left[count..];
            }
        }
    });
    Slow(until)
}

#[test]
fn a_slow_reader_of_a_kept_topic_is_not_cut_and_misses_nothing() {
    let [(_a, first), (_b, second)] = pair(LONG);
    let mut slow = second.events("/v1/subscribe?topic=log", "");
    let mut heard = 0;
    let mut hear = |count: usize| {
        for _ in 0..count {
            let (kind, id, data) = slow.next();
            assert!(kind == "rumor" && id.is_some(), "{data}");
            assert_eq!(data["body"], long(heard));
            heard += 1;
        }
    };
    let (mut left, mut heard_at) = (LONG_RUMORS, Instant::now());
    for number in 1..=LONG_RUMORS {
        first.post("/v1/publish?topic=log", long(number - 1).as_bytes());
        // Who takes nothing at all is cut.
        if number % 40 == 0 || heard_at.elapsed() > TAKES_EVERY {
            hear(SOCKET);
            (left, heard_at) = (left - SOCKET, Instant::now());
        }
    }
    hear(left);
    assert_eq!(second.get("/v1/stats")["agent"]["api_streams_cut"], 0);
    drop(slow);
    large_answers_are_bounded(&second);
}

/// Streams that read by themselves at once.
const ALONE: u64 = 64;

#[test]
fn readers_of_the_past_take_turns_and_one_that_stands_still_holds_up_nobody() {
    let [(_a, first), (_b, second)] = pair(LONG);
    // More than waits for a client.
    let all = 40;
    for number in 0..all {
        first.post("/v1/publish?topic=log", long(number).as_bytes());
    }
    let from_start = || second.events("/v1/subscribe?topic=log&from=start", "");
    let figure = |name: &str| second.get("/v1/stats")["agent"][name].as_u64().unwrap();
    // Nobody gives way before all turns are had.
    let (mut still, mut most, taken) = (Vec::new(), 0, Arc::default());
    // Between two looks one may have given way, for which nobody waits any more: then others come.
    while still.len() < ALONE as usize + 16 || most < ALONE {
        assert!(still.len() < 500, "{most} read alone");
        still.push(slow(from_start().into_inner(), &taken));
        most = most.max(figure("api_streams_alone"));
        assert!(most <= ALONE, "so many read alone, and no more");
    }
    let mut reads = from_start();
    for number in 0..all {
        assert_eq!(reads.wait_for("rumor")["body"], long(number));
        assert!(figure("api_streams_alone") <= ALONE);
    }
    assert_eq!(figure("api_streams"), still.len() as u64 + 1, "nobody was hung up on for it");
}

/// How an answer begins: its status.
fn status(stream: &mut UnixStream) -> String {
    let mut head = [0; 12];
    stream.read_exact(&mut head).unwrap();
    String::from_utf8_lossy(&head[9..]).into_owned()
}

/// Pages of 4 MiB, which nobody reads, and then many at once.
fn large_answers_are_bounded(agent: &Agent) {
    let before = resident(agent, "VmRSS");
    let ask = || {
        let mut stream = UnixStream::connect(&agent.socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let target = "/v1/history?topic=log&limit=10000";
        write!(stream, "GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        stream
    };
    let taken = Arc::default();
    let asked: Vec<_> = (0..24).map(|_| ask()).collect();
    let begins = |mut stream: UnixStream| {
        let taken = Arc::clone(&taken);
        std::thread::spawn(move || (status(&mut stream), slow(stream, &taken)))
    };
    let asked: Vec<_> = asked.into_iter().map(begins).collect();
    let asked: Vec<_> = asked.into_iter().map(|begun| begun.join().unwrap()).collect();
    let statuses: Vec<_> = asked.iter().map(|(status, _)| status.as_str()).collect();
    let given = statuses.iter().filter(|status| **status == "200").count();
    // 64 MiB of 4 MiB each, and some for their names; and as many more as were taken meanwhile.
    let most = 16 + taken.load(Ordering::Relaxed).div_ceil(4 << 20);
    assert!(
        (14..=most).contains(&given) && statuses.iter().all(|one| *one == "200" || *one == "503"),
        "{statuses:?}, of at most {most}"
    );
    // What is small finds its way, and what is large does again when the others have gone.
    assert_eq!(agent.get("/v1/info")["network"], "net");
    drop(asked);
    until("there is room again", || status(&mut ask()) == "200");
    let mut many: Vec<_> = (0..100).map(|_| ask()).collect();
    for stream in &mut many {
        let _ = stream.read_to_end(&mut Vec::new());
    }
    // Eight that are made, twice as text and as what it is made of, beside those that wait.
    let grown = resident(agent, "VmHWM").saturating_sub(before);
    assert!(grown < (64 + 8 * 2 * 6 + 48) << 20, "{} MiB", grown >> 20);
}
