//! Programs that are run for what happens.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vouchsafe_testkit::command::{PATIENCE, wait_for};

use crate::world::{Agent, Place, ask, pair, until};

/// A handler that adds what it is told to a file.
fn notes(on: &str, file: &Path) -> String {
    format!("[[handler]]\non = \"{on}\"\nrun = [\"/bin/sh\", \"-c\", \"cat >> {}\"]\n", file.display())
}

/// What a file says, once it has so many lines.
fn told(file: &Path, lines: usize) -> Vec<Value> {
    let mut text = String::new();
    until("a handler has written", || {
        text = std::fs::read_to_string(file).unwrap_or_default();
        text.lines().count() >= lines && text.ends_with('\n')
    });
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn figure(agent: &Agent, name: &str) -> u64 {
    agent.get("/v1/stats")["agent"][name].as_u64().unwrap()
}

#[test]
fn handlers_are_told_of_members_events_and_rumors_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let [members, events, rumors] = ["members", "events", "rumors"].map(|name| folder.path().join(name));
    let config = format!(
        "[[topic]]\nname = \"chat\"\n{}{}{}",
        notes("member-left", &members),
        notes("event:deploy", &events),
        notes("rumor:chat", &rumors)
    );
    let place = Place::new(&config);
    let first = place.start(&[]);
    let other = Place::new("[[topic]]\nname = \"chat\"\n");
    let second = other.start(&["--peer", &first.address()]);
    second.post("/v1/event?name=other", b"not for it");
    second.post("/v1/event?name=deploy", b"v7");
    let event = &told(&events, 1)[0];
    assert_eq!(
        (&event["kind"], &event["name"], &event["payload"]),
        (&json!("event"), &json!("deploy"), &json!("v7"))
    );
    second.post("/v1/publish?topic=chat", b"hello");
    assert_eq!(told(&rumors, 1)[0]["body"], "hello");
    let key = second.key();
    assert_eq!(second.stop(), Some(0));
    assert_eq!(told(&members, 1)[0]["key"], *key);
}

#[test]
fn a_query_is_answered_by_what_a_handler_prints() {
    let config = "[[handler]]\non = \"query:load\"\nrun = [\"/bin/sh\", \"-c\", \"echo is $(grep -c payload)\"]\n\
        [[handler]]\non = \"query:broken\"\nrun = [\"/bin/sh\", \"-c\", \"echo half; exit 1\"]\n";
    let [(_a, first), (_b, second)] = pair(config);
    let mut answers = String::new();
    until("somebody takes questions", || {
        let (status, said) = first.ask("POST", "/v1/query?name=load&within=20s&limit=1", b"now");
        answers = said;
        assert!(matches!(status, 200 | 503), "{answers}");
        status == 200
    });
    // Sizes of chunks stand between the lines.
    let lines = answers.lines().filter(|line| line.starts_with('{'));
    let lines: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    let answer = lines.iter().find(|line| line["answer"].is_string()).unwrap_or_else(|| panic!("{answers}"));
    assert_eq!((&answer["answer"], &answer["from"]), (&json!("is 1\n"), &json!(second.key())));
    assert_eq!(lines.last().unwrap()["end"], "enough");
    // A program that has failed has no answer.
    let (_, answers) = first.ask("POST", "/v1/query?name=broken&within=1s", b"");
    assert!(answers.contains("\"answers\":0") && !answers.contains("half"), "{answers}");
}

#[test]
fn one_that_hangs_is_killed_and_told_and_holds_up_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events");
    let config = format!(
        "[[handler]]\non = \"event:go\"\nrun = [\"/bin/sh\", \"-c\", \"sleep 1000\"]\ntimeout = \"300ms\"\n{}",
        notes("event:go", &file)
    );
    let [(_a, first), (_b, second)] = pair(&config);
    let begun = Instant::now();
    second.post("/v1/event?name=go", b"");
    told(&file, 1);
    let line = wait_for(&first.running.err, "was killed");
    assert!(line.contains("/bin/sh"), "{line}");
    assert!(begun.elapsed() < PATIENCE);
    assert_eq!(figure(&first, "handler_killed"), 1);
    assert_eq!(first.stop(), Some(0));
}

#[test]
fn what_finds_no_place_in_a_queue_is_counted_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let on = folder.path().join("on");
    let config = format!(
        "[[handler]]\non = \"event:go\"\nrun = [\"/bin/sh\", \"-c\", \"echo > {}; exec sleep 1000\"]\ntimeout = \"10m\"\n",
        on.display()
    );
    let [(_a, first), (_b, second)] = pair(&config);
    // One that runs, 64 that wait, and five more. An author may say 64 a second.
    let mut events = first.events("/v1/events", "");
    second.post("/v1/event?name=go", b"");
    until("one runs", || on.exists());
    for _ in 1..70 {
        second.post("/v1/event?name=go", b"");
    }
    for _ in 0..70 {
        events.wait_for("event");
    }
    wait_for(&first.running.err, "so far behind");
    assert_eq!(figure(&first, "handler_overflow"), 5);
    // It ends at once, whatever hangs.
    let begun = Instant::now();
    assert_eq!(first.stop(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_question_whose_time_is_over_before_its_turn_is_counted_and_runs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("runs");
    let config = format!(
        "[[handler]]\non = \"query:load\"\nrun = [\"/bin/sh\", \"-c\", \"echo run >> {}; exec sleep 1000\"]\ntimeout = \"10m\"\n",
        file.display()
    );
    let [(_a, first), (_b, second)] = pair(&config);
    let socket = first.socket.clone();
    let ask = || ask(&socket, "POST", "/v1/query?name=load&within=2s", b"").unwrap().0;
    until("somebody takes questions", || ask() == 200);
    // One runs for all of its time, and that of the others is over with it.
    std::thread::scope(|scope| (0..3).for_each(|_| drop(scope.spawn(ask))));
    until("they are counted", || figure(&second, "handler_late") > 0);
    // What has begun has run, once all are over.
    until("no more run than have begun", || {
        let begun = std::fs::read_to_string(&file).unwrap().lines().count() as u64;
        begun <= figure(&second, "handler_runs")
    });
}
