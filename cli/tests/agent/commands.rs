//! The commands that ask an agent.

use vouchsafe_testkit::command::{Running, assert_usage, code, stderr, stdout, wait_for};

use crate::world::{Place, TOPICS, pair, until, vouchsafe};

#[test]
fn each_command_asks_the_agent_and_prints_for_people_and_for_programs() {
    let config = format!("{TOPICS}[[handler]]\non = \"query:ping\"\nrun = [\"echo\", \"pong\"]\n");
    let [(place, first), (_b, second)] = pair(&config);
    let good = |args: &[&str]| {
        let output = first.command(args);
        assert_eq!(code(&output), 0, "{args:?}: {}", stderr(&output));
        stdout(&output)
    };
    let (own, other) = (first.key(), second.key());
    let json =
        |text: String| serde_json::from_str::<serde_json::Value>(text.lines().next().unwrap()).unwrap();
    assert!(good(&["info"]).contains(&own));
    assert_eq!(json(good(&["info", "--json"]))["node"], *own);
    assert!(good(&["members"]).contains(&other[..8]));
    assert_eq!(good(&["members", "--json"]).lines().count(), 2);
    assert!(good(&["explain", &other]).contains("the signature and the chain hold"));
    assert_eq!(json(good(&["explain", &other, "--json"]))["holds"], true);
    assert_eq!(good(&["publish", "log", "first words"]).split_whitespace().count(), 2);
    assert!(good(&["history", "log"]).contains("first words"));
    assert_eq!(json(good(&["history", "log", "--json"]))["body"], "first words");
    // The state folder of an agent that runs is not read behind its back.
    let state = place.state();
    assert!(good(&["history", state.to_str().unwrap(), "log"]).contains("first words"));
    good(&["kv", "put", "conf", "a/b", "1"]);
    assert_eq!(good(&["kv", "get", "conf", "a/b"]), "1\n");
    assert_eq!(good(&["kv", state.to_str().unwrap(), "get", "conf", "a/b"]), "1\n");
    assert!(good(&["kv", "scan", "conf"]).ends_with("a/b\t1\n"));
    good(&["kv", "delete", "conf", "a/b"]);
    assert_eq!(code(&first.command(&["kv", "get", "conf", "a/b"])), 1);
    good(&["event", "deploy", "v7"]);
    let ping = || first.command(&["query", "ping", "--limit", "1", "--within", "60s"]);
    until("somebody takes questions", || code(&ping()) == 0);
    assert_eq!(stdout(&ping()), format!("{} pong\\n\n", &other[..8]));
    assert_eq!(code(&first.command(&["query", "nobody-answers", "--within", "300ms"])), 1);
    assert!(good(&["stats"]).contains("frames_in"));
    assert!(json(good(&["stats", "--json"]))["node"]["counters"]["frames_in"].as_u64() > Some(0));
    assert_eq!(good(&["evidence"]), "nobody was found to lie\n");
    assert!(good(&["expel", &"11".repeat(32), "--for", "1h"]).contains("3600 s"));
    assert!(good(&["admit", &"11".repeat(32)]).contains("from now on"));
    assert!(good(&["admit", &"11".repeat(32)]).contains("no list"));
    good(&["join", &second.address()]);
    for (args, word) in [
        (&["publish", "nope", "x"][..], "it has chat, conf, log"),
        (&["event", "a b"], "letters, digits"),
        (&["kv", "get", "log", "a"], "a log and has no keys"),
        (&["publish", "log", "x", "--within", "soon"], "30s"),
        (&["expel", &own, "--for", "never"], "7d"),
        (&["members", "--api", "/no/such/socket"], "no agent answers at /no/such/socket"),
    ] {
        assert_usage(&first.command(args), &[word]);
    }
    assert!(good(&["leave"]).contains("leaves"));
}

#[test]
fn a_monitor_shows_what_happens_and_says_when_the_agent_has_gone() {
    let [(_a, first), (_b, second)] = pair(TOPICS);
    let mut command = vouchsafe();
    command.args(["monitor", "--api"]).arg(&first.socket);
    let monitor = Running::of(&mut command);
    let mut command = vouchsafe();
    command.args(["monitor", "log", "--from", "start", "--json", "--api"]).arg(&first.socket);
    let topic = Running::of(&mut command);
    second.post("/v1/publish?topic=log", b"\x1b[2J");
    let line = wait_for(&topic.out, "body");
    assert!(line.contains("\"cursor\""), "{line}");
    // A monitor prints nothing before something happens; the agent counts its stream once it will be told of what happens.
    until("both streams are open", || first.get("/v1/stats")["agent"]["api_streams"] == 2);
    second.post("/v1/event?name=deploy", b"\x1b[2J");
    let line = wait_for(&monitor.out, "event deploy");
    assert!(line.contains("\\u{1b}[2J"), "{line}");
    assert_eq!(first.stop(), Some(0));
    for mut gone in [monitor, topic] {
        wait_for(&gone.err, "has left");
        assert_eq!(gone.child.wait().unwrap().code(), Some(1));
    }
}

#[test]
fn without_an_agent_the_commands_say_what_to_do() {
    for args in [&["info"][..], &["members"], &["kv", "get", "a", "b"], &["history", "a"], &["leave"]] {
        let place = Place::new("");
        let output = vouchsafe().args(args).env("VOUCHSAFE_API", place.folder.path()).output().unwrap();
        assert_usage(&output, &["no agent answers", "vouchsafe agent"]);
    }
}
