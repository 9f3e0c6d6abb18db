//! Starting, reloading and ending.

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixDatagram;
use std::sync::mpsc;

use vouchsafe_testkit::command::{PATIENCE, Running, assert_usage, code, stderr, wait_for};

use crate::world::{Place, TOPICS, ask, pair, until, vouchsafe};

#[test]
fn an_agent_starts_answers_and_leaves_in_good_order() {
    let [(place, first), (_other, second)] = pair(TOPICS);
    let info = first.get("/v1/info");
    assert_eq!((&info["network"], &info["profile"]), (&"net".into(), &"local".into()));
    assert_eq!(info["topics"], serde_json::json!(["chat", "conf", "log"]));
    assert_eq!(std::fs::metadata(place.socket()).unwrap().mode() & 0o777, 0o600);
    let key = first.key();
    let mut events = second.events("/v1/events", "");
    assert_eq!(first.stop(), Some(0));
    assert!(!place.socket().exists());
    let left = events.wait_for("member-left");
    assert_eq!((&left["key"], &left["member"]["state"]), (&key.into(), &"left".into()));
    assert_eq!(second.stop(), Some(0));
}

/// Large ones would be resident in whole wherever a byte of them is touched.
#[cfg(target_os = "linux")]
#[test]
fn the_memory_of_an_agent_comes_in_small_pages() {
    let place = Place::new(TOPICS);
    let agent = place.start(&[]);
    let status = std::fs::read_to_string(format!("/proc/{}/status", agent.running.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("THP_enabled:"));
    // A kernel before 5.0 does not tell.
    assert!(line.is_none_or(|large| large.trim() == "0"), "{status}");
}

#[test]
fn a_second_agent_with_the_same_folder_is_refused_and_the_first_goes_on() {
    let place = Place::new(TOPICS);
    let first = place.start(&[]);
    let second = place.command(&[]).output().unwrap();
    assert_eq!(code(&second), 2, "{}", stderr(&second));
    assert!(stderr(&second).contains("in use by another node"), "{}", stderr(&second));
    let other = Place::new("");
    let socket = place.socket();
    let third = other.command(&["--api", socket.to_str().unwrap()]).output().unwrap();
    assert_usage(&third, &["answers there already"]);
    assert_eq!(first.get("/v1/info")["network"], "net");
    assert_eq!(first.stop(), Some(0));
}

#[test]
fn a_socket_that_a_crash_has_left_is_no_obstacle() {
    let place = Place::new(TOPICS);
    let mut first = place.start(&[]);
    first.running.child.kill().unwrap();
    first.running.child.wait().unwrap();
    assert!(place.socket().exists());
    let second = place.start(&[]);
    assert_eq!(second.get("/v1/topics")["topics"].as_array().unwrap().len(), 3);
}

#[test]
fn a_reload_changes_what_can_change_and_says_what_can_not() {
    let stranger = "11".repeat(32);
    let place = Place::new("allow_list = \"allow\"\nmetadata = \"before\"\n");
    let allow = place.folder.path().join("allow");
    std::fs::write(&allow, format!("{}\n", "22".repeat(32))).unwrap();
    let agent = place.start(&[]);
    std::fs::write(&allow, format!("{stranger} # new\n")).unwrap();
    place.write(
        "allow_list = \"allow\"\nmetadata = \"after\"\n[[topic]]\nname = \"more\"\n[log]\nlevel = \"debug\"\n\
         [[handler]]\non = \"event:x\"\nrun = [\"true\"]\n",
    );
    agent.running.signal("-HUP");
    let line = wait_for(&agent.running.err, "restart it");
    assert!(line.contains("topic"), "{line}");
    wait_for(&agent.running.err, "was read again");
    assert_eq!(agent.get("/v1/allowed")["allowed"], serde_json::json!([stranger]));
    until("it says something else of itself", || {
        agent.get("/v1/members")["members"][0]["metadata"] == "after"
    });
    // With a fault in it nothing changes.
    place.write("allow_list = \"allow\"\nmetadata = 7\nlisten = \"nowhere\"\n");
    agent.running.signal("-HUP");
    wait_for(&agent.running.err, "metadata is a text");
    wait_for(&agent.running.err, "nothing was changed");
    assert_eq!(agent.get("/v1/members")["members"][0]["metadata"], "after");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_service_manager_is_told_that_it_is_ready_and_lives_and_ends() {
    let place = Place::new("");
    let path = place.folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    // A manager reads all the time: few datagrams wait for one that does not.
    let (say, said) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = [0; 512];
        while let Ok(len) = manager.recv(&mut bytes)
            && say.send(String::from_utf8_lossy(&bytes[..len]).into_owned()).is_ok()
        {}
    });
    let mut command = place.command(&[]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
    let mut running = Running::of(&mut command);
    let heard = |word: &str| {
        let is_told = |said: String| said.lines().any(|line| line == word);
        while !is_told(said.recv_timeout(PATIENCE).expect("it is told in time")) {}
    };
    heard("READY=1");
    assert!(ask(&place.socket(), "GET", "/v1/info", b"").is_ok());
    heard("WATCHDOG=1");
    heard("WATCHDOG=1");
    running.signal("-TERM");
    heard("STOPPING=1");
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_log_is_json_when_asked_for_and_has_no_key_and_no_body_at_info() {
    let place = Place::new(TOPICS);
    let other = Place::new(TOPICS);
    let second = other.start(&[]);
    let mut command = place.command(&["--log-format", "json", "--peer", &second.address()]);
    let running = Running::of(&mut command);
    let mut lines = Vec::new();
    // In whichever order.
    let mut wanted = vec!["the agent runs", "a member has joined"];
    while !wanted.is_empty() {
        let line =
            running.err.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no {wanted:?} in {lines:?}"));
        wanted.retain(|word| !line.contains(word));
        lines.push(line);
    }
    let (status, said) = ask(&place.socket(), "POST", "/v1/publish?topic=log", b"a secret word").unwrap();
    assert_eq!(status, 200, "{said}");
    let (status, _) = ask(&place.socket(), "POST", "/v1/leave", b"").unwrap();
    assert_eq!(status, 200);
    lines.push(wait_for(&running.err, "the agent leaves"));
    lines.extend(running.err.iter());
    let keys = [second.key()];
    for line in &lines {
        let parsed: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        assert!(parsed["level"].is_string() && parsed["message"].is_string(), "{line}");
        assert!(!line.contains("secret"), "{line}");
        assert!(!keys.iter().any(|key| line.contains(&key[..8])), "{line}");
    }
}

#[test]
fn completions_and_manual_pages_are_made_of_the_commands_own_flags() {
    for shell in ["bash", "zsh", "fish"] {
        let text = vouchsafe().args(["completions", shell]).output().unwrap();
        let text = String::from_utf8(text.stdout).unwrap();
        assert!(text.contains("check-config") && text.contains("monitor"), "{shell}");
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("man");
    assert!(vouchsafe().arg("manpage").arg("--out").arg(&out).status().unwrap().success());
    let page = std::fs::read_to_string(out.join("vouchsafe-agent.1")).unwrap();
    assert!(page.contains("SIGHUP") && page.contains("check\\-config"), "{page}");
}
