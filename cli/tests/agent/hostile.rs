//! Clients that do not behave.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use vouchsafe_testkit::command::PATIENCE;

use crate::world::{Place, TOPICS, ask, pair, send, until, with_tcp};

fn request(target: &str, host: &str, headers: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{headers}\r\n").into_bytes()
}

#[test]
fn over_tcp_only_the_token_and_this_host_are_answered() {
    let place = Place::new(TOPICS);
    let (agent, addr, token) = with_tcp(&place, &[]);
    let bearer = format!("authorization: Bearer {token}\r\n");
    let status = |host: &str, headers: &str| send(&addr, &request("/v1/info", host, headers)).unwrap().0;
    assert_eq!(status(&addr, &bearer), 200);
    assert_eq!(status(&addr, ""), 401);
    assert_eq!(status(&addr, &format!("authorization: Bearer {}\r\n", "0".repeat(64))), 401);
    assert_eq!(status("evil.example", &bearer), 421);
    assert_eq!(status(&addr, &format!("{bearer}origin: http://evil.example\r\n")), 403);
    // Not one path is open to those without.
    for target in ["/metrics", "/v1/leave", "/v1/events", "/nothing"] {
        assert_eq!(send(&addr, &request(target, &addr, "")).unwrap().0, 401, "{target}");
    }
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn what_is_too_large_or_no_http_is_refused_and_the_agent_goes_on() {
    let place = Place::new(TOPICS);
    let (agent, addr, token) = with_tcp(&place, &[]);
    let bearer = format!("authorization: Bearer {token}\r\n");
    let huge = format!("{bearer}x-huge: {}\r\n", "a".repeat(1 << 20));
    let answer = send(&addr, &request("/v1/info", &addr, &huge));
    assert!(answer.is_none_or(|(status, _)| status == 431));
    let many: String = (0..10_000).map(|number| format!("x-{number}: a\r\n")).collect();
    let answer = send(&addr, &request("/v1/info", &addr, &(bearer.clone() + &many)));
    assert!(answer.is_none_or(|(status, _)| status == 431));
    for bytes in
        [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], b"\r\n\r\n\r\n", b"GET\r\n\r\n", &[0xff; 4096]]
    {
        assert!(send(&addr, &[bytes, b"\r\n\r\n"].concat()).is_none_or(|(status, _)| status == 400));
    }
    // One that says how large it is, and one that does not.
    let head =
        format!("POST /v1/publish?topic=log HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n{bearer}");
    let (status, said) = send(&addr, format!("{head}content-length: 999999999\r\n\r\n").as_bytes()).unwrap();
    assert!(status == 413 && said.contains("65536"), "{said}");
    let chunk = format!("8000\r\n{}\r\n", "a".repeat(0x8000));
    let body = format!("{head}transfer-encoding: chunked\r\n\r\n{}0\r\n\r\n", chunk.repeat(3));
    let (status, said) = send(&addr, body.as_bytes()).unwrap();
    assert!(status == 413 && said.contains("no topic takes so much"), "{said}");
    for (method, target, wanted) in [
        ("GET", "/v1/publish", 405),
        ("BREW", "/v1/info", 405),
        ("GET", "/v2/info", 404),
        ("GET", "/v1/info?x=1", 400),
        ("GET", "/v1/history?topic=log&topic=log", 400),
        ("GET", "/v1/history?topic=%ff", 400),
        ("GET", "/v1/history?topic=log&limit=0", 400),
        ("GET", "/v1/history?topic=log&from=nowhere", 400),
        ("POST", "/v1/expel?key=11&for=1h", 400),
    ] {
        assert_eq!(agent.ask(method, target, b"").0, wanted, "{method} {target}");
    }
    assert_eq!(agent.get("/v1/info")["network"], "net");
}

#[test]
fn clients_that_stop_halfway_are_hung_up_on_and_hold_up_nobody() {
    let place = Place::new(TOPICS);
    let (agent, addr, token) = with_tcp(&place, &[]);
    let open = |bytes: &[u8]| {
        let mut stream = TcpStream::connect(&addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(bytes).unwrap();
        stream
    };
    let mut halves: Vec<_> = (0..50).map(|_| open(b"GET /v1/info HTTP/1.1\r\nhost:")).collect();
    halves.extend((0..50).map(|_| open(b"")));
    let body = format!(
        "POST /v1/publish?topic=log HTTP/1.1\r\nhost: {addr}\r\nauthorization: Bearer {token}\r\ncontent-length: 9\r\n\r\nhalf"
    );
    let mut waiting = open(body.as_bytes());
    assert_eq!(agent.get("/v1/info")["network"], "net");
    // Whoever has asked is answered; the others find the end of the connection.
    let mut text = [0; 64];
    let read = waiting.read(&mut text).unwrap();
    assert!(text[..read].starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&text[..read]));
    for half in &mut halves {
        let mut rest = Vec::new();
        let _ = half.read_to_end(&mut rest);
    }
    drop(waiting);
    until("their places are free", || agent.get("/v1/stats")["agent"]["api_connections"].as_u64() == Some(1));
}

#[test]
fn connections_and_streams_beyond_their_number_are_told_so() {
    let place = Place::new(TOPICS);
    let agent = place.start(&[]);
    let mut streams = Vec::new();
    // The soft limit of open files of this process may be lower than what the agent takes.
    let mut refused = None;
    for _ in 0..1_030 {
        let Ok(mut stream) = UnixStream::connect(&agent.socket) else { break };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        if &head != b"HTTP/1.1 200" {
            refused = Some(String::from_utf8_lossy(&head).into_owned());
            break;
        }
        streams.push(stream);
    }
    match &refused {
        Some(refused) => assert_eq!((refused.as_str(), streams.len()), ("HTTP/1.1 503", 1_024)),
        None => assert!(streams.len() >= 500, "{}", streams.len()),
    }
    // More connections than there may be: the first that finds no place is told so, without having asked.
    let mut idle = Vec::new();
    let begun = Instant::now();
    let told = 'told: loop {
        let Ok(stream) = UnixStream::connect(&agent.socket) else { break None };
        stream.set_nonblocking(true).unwrap();
        idle.push(stream);
        let mut hung_up = Vec::new();
        for (number, mut stream) in idle.iter().enumerate() {
            let mut head = [0; 12];
            match stream.read(&mut head) {
                Ok(12) => break 'told Some(String::from_utf8_lossy(&head).into_owned()),
                // Who asks nothing for ten seconds has to go.
                Ok(_) => hung_up.push(number),
                Err(_) => {}
            }
        }
        hung_up.into_iter().rev().for_each(|number| _ = idle.swap_remove(number));
        assert!(idle.len() < 1_300 && begun.elapsed() < PATIENCE, "there is no end of places");
    };
    if refused.is_some() {
        assert_eq!(told.as_deref(), Some("HTTP/1.1 503"));
    }
    drop(idle);
    until("there is a place again", || matches!(ask(&agent.socket, "GET", "/v1/info", b""), Ok((200, _))));
    // Others are still answered, and places come back.
    assert_eq!(agent.get("/v1/info")["network"], "net");
    drop(streams);
    until("their places are free", || agent.get("/v1/stats")["agent"]["api_streams"].as_u64() == Some(0));
}

/// What the agent answers on a stream until its end, told with a number when it has ended.
fn answered(stream: Arc<UnixStream>, number: usize, told: mpsc::Sender<(usize, String)>) {
    std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = (&*stream).read_to_end(&mut text);
        let _ = told.send((number, String::from_utf8_lossy(&text).into_owned()));
    });
}

#[test]
fn requests_beyond_their_number_are_answered_at_once() {
    let place = Place::new(TOPICS);
    let agent = place.start(&[]);
    let (told, answers) = mpsc::channel();
    // Nobody hears them, so they wait, and longer than this test takes.
    let asks: Vec<_> = (0..280)
        .map(|number| {
            let mut stream = UnixStream::connect(&agent.socket).unwrap();
            let head = "POST /v1/publish?topic=log&within=300s HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 1\r\n\r\nx";
            stream.write_all(head.as_bytes()).unwrap();
            let stream = Arc::new(stream);
            answered(Arc::clone(&stream), number, told.clone());
            stream
        })
        .collect();
    let mut waiting: BTreeSet<_> = (0..asks.len()).collect();
    while waiting.len() > 256 {
        let (number, text) = answers.recv_timeout(PATIENCE).expect("an answer came in time");
        assert!(text.starts_with("HTTP/1.1 503") && text.contains("256 requests are under way"), "{text}");
        waiting.remove(&number);
    }
    // So is who asks now, and the others still wait.
    let (status, text) = agent.ask("GET", "/v1/info", b"");
    assert!(status == 503 && text.contains("256 requests are under way"), "{text}");
    assert_eq!(answers.try_recv(), Err(mpsc::TryRecvError::Empty));
    // A place comes back with one that goes.
    let gone = waiting.pop_first().unwrap();
    asks[gone].shutdown(Shutdown::Both).unwrap();
    until("there is a place again", || agent.ask("GET", "/v1/info", b"").0 == 200);
    // Those that wait are told why they waited in vain, unless the agent ends before it can say so.
    assert_eq!(agent.stop(), Some(0));
    for _ in 0..=waiting.len() {
        let (number, text) = answers.recv_timeout(PATIENCE).expect("an end came in time");
        assert!(text.is_empty() || number != gone && text.starts_with("HTTP/1.1 50"), "{text}");
    }
}

#[test]
fn a_reader_that_is_too_slow_is_told_what_it_has_missed_and_is_cut() {
    let [(_a, first), (_b, second)] = pair(TOPICS);
    let mut slow = first.events("/v1/events", "");
    let body = vec![b'x'; 16_000];
    let (mut said, mut heard) = (0, 0);
    let missed = 'heard: loop {
        // Twice as many as its place in the feed holds.
        assert!(said < 2 * 1_024, "nobody was cut");
        // (Fewer where this machine is slow.)
        let (begun, before) = (Instant::now(), said);
        while said < before + 100 && begun.elapsed() < Duration::from_secs(10) {
            said += u64::from(ask(&second.socket, "POST", "/v1/event?name=much", &body).unwrap().0 == 200);
        }
        // It takes all that its socket holds, for who takes nothing at all is cut without a word. What waits for it in the feed becomes
        // more all the same.
        for _ in 0..16.min((said - before) / 2) {
            let (kind, _, data) = slow.next();
            match kind.as_str() {
                "missed" => break 'heard data["count"].as_u64().unwrap(),
                "event" => heard += 1,
                _ => {}
            }
        }
    };
    assert!(slow.maybe().is_none());
    assert!(missed > 0 && heard + missed <= said + 10, "{heard} heard, {missed} missed of {said}");
    assert_eq!(first.get("/v1/stats")["agent"]["api_streams_cut"], 1);
}
