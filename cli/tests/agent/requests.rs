//! Requests that can't be done: each is answered with the right status, and with a sentence that says what to do.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use vouchsafe_testkit::command::PATIENCE;

use crate::world::{Agent, Place, TOPICS};

const KEY: &str = "1111111111111111111111111111111111111111111111111111111111111111";

/// The head and the body of the answer to these bytes.
fn answer(agent: &Agent, bytes: &[u8]) -> (String, String) {
    let mut stream = UnixStream::connect(&agent.socket).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // It may hang up before all is written.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) =
        answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{}: {answer:?}", begin(bytes)));
    (head.to_owned(), body.to_owned())
}

fn begin(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(100)]).into_owned()
}

/// The status, the head and the sentence of the refusal of these bytes.
fn refused(agent: &Agent, bytes: &[u8]) -> (u16, String, String) {
    let (head, body) = answer(agent, bytes);
    assert!(head.contains("content-type: application/json"), "{}: {head}", begin(bytes));
    let said: serde_json::Value =
        serde_json::from_str(&body).unwrap_or_else(|_| panic!("{}: {body}", begin(bytes)));
    let what = said["error"].as_str().unwrap_or_else(|| panic!("{}: {body}", begin(bytes)));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head.clone(), what.to_owned())
}

fn request(method: &str, target: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{method} {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

fn assert_refused(agent: &Agent, method: &str, target: &str, body: &str, wanted: (u16, &str)) -> String {
    let (status, head, what) = refused(agent, &request(method, target, body));
    assert!(status == wanted.0 && what.contains(wanted.1), "{method} {target}: {status} {what}");
    head
}

#[test]
fn what_is_asked_wrongly_is_told_how_to_ask() {
    let place = Place::new(TOPICS);
    let agent = place.start(&[]);
    let long = "x".repeat(70_000);
    for (method, target, body, status, words) in [
        ("GET", "/v1/nothing", "", 404, "docs/api.md lists what there is"),
        ("GET", "/v1/info/", "", 404, "docs/api.md"),
        ("GET", "/v1/info?x=1", "", 400, "it has none"),
        (
            "GET",
            "/v1/history?topic=log&form=start",
            "",
            400,
            "no parameter \"form\"; it has author, behind, from, limit, topic",
        ),
        ("GET", "/v1/history?topic=log&topic=log", "", 400, "give it once"),
        ("GET", "/v1/history?topic=%ff", "", 400, "% and two digits"),
        ("GET", "/v1/history", "", 400, "add ?topic="),
        ("GET", "/v1/history?topic=nope", "", 400, "it has chat, conf, log"),
        ("GET", "/v1/history?topic=chat", "", 400, "retention of more than 90 s"),
        ("GET", "/v1/history?topic=log&from=x", "", 400, "from=start"),
        ("GET", "/v1/history?topic=log&from=0000000000000001/1/1", "", 409, "from=start"),
        ("GET", "/v1/history?topic=log&limit=many", "", 400, "a number from 1 to 10000"),
        ("GET", "/v1/history?topic=log&author=12", "", 400, "64 hexadecimal digits"),
        ("GET", "/v1/history?topic=log&behind=1/1", "", 400, "add author="),
        ("GET", &format!("/v1/history?topic=log&author={KEY}&behind=x"), "", 400, "TICK/SLOT"),
        ("GET", "/v1/subscribe?topic=log&from=x", "", 400, "from=start"),
        ("GET", "/v1/subscribe?topic=chat&from=start", "", 400, "from=now"),
        ("GET", "/v1/events?from=x", "", 400, "from=now or from=start"),
        ("POST", "/v1/publish?topic=log", &long, 413, "split it"),
        ("POST", "/v1/publish?topic=log", &long[..20_000], 413, "split it"),
        ("POST", "/v1/publish?topic=log&within=5", "x", 400, "500ms, 30s"),
        ("POST", "/v1/publish?topic=log&within=1h", "x", 400, "1ms to 300s"),
        ("POST", "/v1/publish?topic=log&within=100ms", "x", 503, "bootstrap addresses"),
        ("POST", "/v1/publish?topic=conf&within=100ms", "x", 400, "PUT /v1/kv"),
        ("POST", "/v1/event", "x", 400, "add ?name="),
        ("POST", "/v1/event?name=a%20b", "x", 400, "letters, digits"),
        ("POST", "/v1/query?name=a&within=100ms", "", 503, "bootstrap addresses"),
        ("GET", "/v1/kv?topic=log&key=a", "", 400, "kind = \"state\""),
        ("GET", "/v1/kv?topic=conf&key=a", "", 404, "/v1/kv/scan"),
        ("GET", "/v1/kv?topic=conf&key=a&agreed=2", "", 400, "leave agreed out"),
        ("PUT", "/v1/kv?topic=conf&key=", "x", 400, "1 to 512 bytes"),
        ("GET", &format!("/v1/explain?key={KEY}"), "", 404, "/v1/members"),
        ("POST", &format!("/v1/expel?key={KEY}"), "", 400, "add ?for="),
        ("POST", &format!("/v1/expel?key={KEY}&for=0s"), "", 400, "/v1/admit"),
        ("POST", "/v1/expel?key=12&for=1h", "", 400, "64 hexadecimal digits"),
        ("POST", &format!("/v1/disallow?key={KEY}"), "", 409, "configure such a list"),
        ("POST", "/v1/connect?peer=x", "", 400, "KEY@HOST:PORT"),
    ] {
        assert_refused(&agent, method, target, body, (status, words));
    }
    let head = assert_refused(&agent, "PATCH", "/v1/kv", "", (405, "with GET or PUT or DELETE"));
    assert!(head.contains("\r\nallow: GET, PUT, DELETE\r\n"), "{head}");
    assert_eq!(agent.get("/v1/evidence")["expelled"], serde_json::json!([]));
}

#[test]
fn what_can_not_be_read_is_told_what_a_request_is() {
    let place = Place::new(TOPICS);
    let agent = place.start(&[]);
    let head = "GET /v1/info HTTP/1.1\r\nhost: x\r\nconnection: close\r\n";
    let lines = |count| (2..count).map(|number| format!("x-{number}: a\r\n")).collect::<String>();
    assert!(answer(&agent, format!("{head}{}\r\n", lines(100)).as_bytes()).0.contains(" 200 "));
    let publish = "POST /v1/publish?topic=log HTTP/1.1\r\nhost: x\r\nconnection: close\r\n";
    for (bytes, status, words) in [
        (format!("{head}x: {}\r\n\r\n", "a".repeat(20_000)), 431, "16384 bytes and 100 lines"),
        (format!("{head}{}\r\n", lines(101)), 431, "16384 bytes and 100 lines"),
        (format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(20_000)), 431, "as the body"),
        ("GET /v1/info\r\n\r\n".to_owned(), 400, "METHOD /PATH HTTP/1.1"),
        ("\u{7}\u{0}\r\n\r\n".to_owned(), 400, "METHOD /PATH HTTP/1.1"),
        (format!("{publish}content-length: many\r\n\r\nx"), 400, "content-length"),
        (
            format!("{publish}transfer-encoding: chunked\r\n\r\nzz\r\nx\r\n0\r\n\r\n"),
            400,
            "as much as the head says",
        ),
    ] {
        let (found, _, what) = refused(&agent, bytes.as_bytes());
        assert!(found == status && what.contains(words), "{found} {what}");
    }
    assert_eq!(agent.get("/v1/info")["network"], "net");
}
