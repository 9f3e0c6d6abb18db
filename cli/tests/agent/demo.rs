//! The live page of the demo.

use serde_json::Value;
use vouchsafe_testkit::command::{Running, wait_for};

use crate::world::{send, until, vouchsafe};

#[test]
fn a_demo_that_is_served_shows_members_rumors_and_a_conviction_and_lets_nothing_be_changed() {
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--nodes", "6", "--liars", "6", "--fanout", "3", "--rumors", "24", "--json"];
    let mut demo = Running::of(
        vouchsafe().args(["demo", "--serve", "--for", "24s", "--out"]).arg(folder.path()).args(flags),
    );
    let line = wait_for(&demo.err, "live page");
    assert!(line.contains("for 24 s"), "{line}");
    let (addr, token) = line.rsplit_once("http://").unwrap().1.split_once("/#token=").unwrap();
    let ask = |method: &str, target: &str, token: Option<&str>| {
        let bearer = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
        let head = format!("{method} {target} HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n{bearer}\r\n");
        send(addr, head.as_bytes()).unwrap()
    };
    let (status, page) = ask("GET", "/", None);
    assert!(status == 200 && page.contains("<title>vouchsafe agent"));
    assert_eq!(ask("GET", "/v1/info", None).0, 401);
    let get = |target: &str| {
        let (status, said) = ask("GET", target, Some(token));
        assert_eq!(status, 200, "{target}: {said}");
        serde_json::from_str::<Value>(&said).unwrap()
    };
    let info = get("/v1/info");
    assert_eq!((&info["network"], &info["state"]), (&"vouchsafe-demo".into(), &Value::Null));
    assert_eq!(get("/v1/topics")["topics"][0]["name"], "rumors");
    until("all are members", || {
        let members = get("/v1/members");
        members["members"].as_array().unwrap().iter().filter(|member| member["state"] == "alive").count() >= 6
    });
    until("a liar is convicted", || !get("/v1/evidence")["convictions"].as_array().unwrap().is_empty());
    until("rumors are held", || get("/v1/stats")["node"]["counters"]["frames_in"].as_u64() > Some(0));
    for (method, target) in
        [("POST", "/v1/leave"), ("POST", "/v1/publish?topic=rumors"), ("PUT", "/v1/kv?topic=rumors&key=a")]
    {
        let (status, said) = ask(method, target, Some(token));
        assert!(status == 403 && said.contains("only shown"), "{target}: {said}");
    }
    // What is watched keeps its promises, too.
    let figures: Value = serde_json::from_str(&demo.out.iter().next().unwrap()).unwrap();
    assert_eq!((&figures["members"], &figures["convicted"]), (&6.into(), &2.into()));
    assert_eq!(demo.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_demo_is_served_on_this_machine_alone_and_for_a_time_that_ends() {
    for (flags, word) in [
        (&["--serve=0.0.0.0:80"][..], "other machines"),
        (&["--serve", "--for", "2h"], "1h"),
        (&["--for", "5s"], "--serve"),
    ] {
        let output = vouchsafe().arg("demo").args(flags).output().unwrap();
        vouchsafe_testkit::command::assert_usage(&output, &[word]);
    }
}
