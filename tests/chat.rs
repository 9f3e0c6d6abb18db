//! The example `chat`, in processes of their own: one is killed and comes back, one comes late, and one lies.
#![cfg(feature = "sim")]

mod apps;
#[path = "../examples/chat.rs"]
#[allow(dead_code, reason = "its `main` is of the example")]
mod chat;

use std::time::{Duration, Instant};

use apps::{App, WATCHDOG};
use vouchsafe::adversary::Liar;
use vouchsafe::hostile::{HostilePeer, Target};
use vouchsafe::protocol::MemberSetup;
use vouchsafe::{NetworkId, PeerAddr, SecretKey, Topic};

#[test]
#[ignore = "not a test: what the others start"]
fn child() {
    apps::run(async |args| chat::run(args).await);
}

struct Folders(tempfile::TempDir);

impl Folders {
    fn start(&self, nick: &str, peer: Option<&App>) -> App {
        let folder = self.0.path().join(nick);
        let mut args = vec![folder.to_str().unwrap(), nick];
        args.extend(peer.map(|peer| &*peer.addr));
        App::start(&args)
    }
}

/// Asks until all of these are here.
fn all_here(app: &mut App, nicks: &[&str]) {
    let by = Instant::now() + WATCHDOG;
    for nick in nicks {
        loop {
            app.says("/who");
            app.says(&format!("/msg {nick} hi"));
            let line = app
                .until("an answer", |line| line.contains("read it") || line.contains("members are called"));
            if line.contains("has read it") {
                break;
            }
            assert!(Instant::now() < by, "{nick} is not here: {line}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Waits until it has heard this, now or before.
fn hears(app: &App, nick: &str, words: &str) {
    let is_it = |line: &str| line.contains(&format!(" {nick}: ")) && line.contains(words);
    if !app.said.borrow().iter().any(|line| is_it(line)) {
        app.until(words, is_it);
    }
}

/// Whispers until it was read: an answer may take longer than the example waits for one.
fn whisper(app: &mut App, line: &str, is_receipt: impl Fn(&str) -> bool) {
    again_until(app, line, "has not read it", is_receipt);
}

/// Says it until it is said: that, too, may take longer than the example waits.
fn say(app: &mut App, nick: &str, words: &str) {
    again_until(app, words, "not said: ", |line| {
        line.contains(&format!(" {nick}: ")) && line.contains(words)
    });
}

fn again_until(app: &mut App, line: &str, in_vain: &str, done: impl Fn(&str) -> bool) {
    let by = Instant::now() + WATCHDOG;
    loop {
        app.says(line);
        let answer = app.until(line, |line| done(line) || line.contains(in_vain));
        if done(&answer) {
            return;
        }
        assert!(Instant::now() < by, "{answer}");
    }
}

#[test]
fn chat_goes_on_through_a_kill_and_tells_each_line_once() {
    let folders = Folders(tempfile::tempdir().unwrap());
    let mut ann = folders.start("ann", None);
    let mut bob = folders.start("bob", Some(&ann));
    let mut cid = folders.start("cid", Some(&ann));
    all_here(&mut ann, &["bob", "cid"]);
    all_here(&mut bob, &["ann", "cid"]);
    all_here(&mut cid, &["ann", "bob"]);
    say(&mut ann, "ann", "hello all");
    for app in [&bob, &cid] {
        hears(app, "ann", "hello all");
    }
    // One word is for one reader alone.
    whisper(&mut bob, "/msg cid do you hear me?", |line| line == "cid has read it");
    cid.until("the word", |line| line.ends_with("whispers: do you hear me?"));
    bob.says("/msg nobody hm?");
    bob.until("that nobody is", |line| line.starts_with("0 members"));
    // One is killed. What is said meanwhile it hears when it is back, and what it had heard not again.
    let killed = bob;
    killed.signal("-KILL");
    drop(killed);
    say(&mut ann, "ann", "bob is gone");
    hears(&cid, "ann", "bob is gone");
    let mut bob = folders.start("bob", Some(&cid));
    hears(&bob, "ann", "bob is gone");
    assert!(!bob.said.borrow().iter().any(|line| line.contains("hello all")), "{:#?}", bob.said.borrow());
    // It speaks again when its silence is over, if it has one, and the late joiner hears all of the day.
    let dan = folders.start("dan", Some(&bob));
    for words in ["hello all", "bob is gone"] {
        hears(&dan, "ann", words);
    }
    say(&mut bob, "bob", "I am back");
    for app in [&ann, &cid, &dan] {
        hears(app, "bob", "I am back");
    }
    assert!(!ann.said.borrow().iter().any(|line| line.contains("do you hear me")), "a whisper was overheard");
    for app in [ann, bob, cid, dan] {
        app.ends();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lies_in_the_room_and_takes_a_nick_of_another_gets_no_whisper() {
    let folders = Folders(tempfile::tempdir().unwrap());
    let mut ann = folders.start("ann", None);
    let mut bob = folders.start("bob", Some(&ann));
    all_here(&mut bob, &["ann"]);
    // One says two things to two of them, and calls itself as one of them does.
    let rules = Topic::named("room").retention(Duration::from_secs(86_400));
    let rules = rules.bind(NetworkId::of("chat.example")).unwrap();
    let target = |app: &App| {
        let addr: PeerAddr = app.addr.parse().unwrap();
        Target { key: addr.key, addr: addr.socket().unwrap() }
    };
    let targets = [target(&ann), target(&bob)];
    let key = SecretKey::generate();
    let has_joined = format!("* {} has joined", key.public().short());
    let peer = HostilePeer::new(Liar::Equivocate, key, rules);
    let peer = peer.as_member(MemberSetup::new([], "ann"));
    let lies = tokio::spawn(async move { peer.run(&targets, |_| ()).await });
    bob.until("a second of that name", |line| line == has_joined);
    bob.says("/msg ann for you alone");
    bob.until("that there are two", |line| line.starts_with("2 members are called ann"));
    whisper(&mut bob, &format!("/msg {} for you alone", ann.key()), |line| line == "ann has read it");
    ann.until("the whisper", |line| line.ends_with("whispers: for you alone"));
    say(&mut ann, "ann", "all is well");
    bob.until("a word for all", |line| line == format!("{} ann: all is well", ann.key()));
    lies.abort();
}
