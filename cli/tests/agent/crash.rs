//! An agent that is killed while it is driven.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use vouchsafe_testkit::command::PATIENCE;

use crate::world::{Place, TOPICS, ask};

/// How often it is killed; VOUCHSAFE_KILLS says otherwise, 100 for the goal (docs/testing.md).
fn kills() -> u32 {
    std::env::var("VOUCHSAFE_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(3)
}

/// What was confirmed.
#[derive(Default)]
struct Confirmed {
    rumors: BTreeSet<String>,
    keys: BTreeSet<String>,
    expelled: BTreeSet<String>,
}

#[test]
fn nothing_that_was_confirmed_is_lost_however_often_it_is_killed() {
    let other = Place::new(TOPICS);
    let peer = other.start(&[]);
    let place = Place::new(TOPICS);
    let confirmed = Arc::new(Mutex::new(Confirmed::default()));
    let flags = ["--peer".to_owned(), peer.address()];
    let flags = [flags[0].as_str(), flags[1].as_str()];
    for round in 0..kills() {
        let mut agent = place.start(&flags);
        let ends = Arc::new(AtomicBool::new(false));
        let (tell, told) = mpsc::channel();
        let drivers: Vec<_> = (0..3)
            .map(|driver| {
                let (confirmed, ends, tell, socket) =
                    (Arc::clone(&confirmed), Arc::clone(&ends), tell.clone(), agent.socket.clone());
                std::thread::spawn(move || drive(&socket, round * 3 + driver, &confirmed, &ends, &tell))
            })
            .collect();
        // At another moment each time: at once when one of them is told of so many, in the midst of what the others have asked for.
        for _ in 0..10 + round * 7 % 20 {
            told.recv_timeout(PATIENCE).expect("something is confirmed");
        }
        agent.running.child.kill().unwrap();
        agent.running.child.wait().unwrap();
        ends.store(true, Ordering::Relaxed);
        drivers.into_iter().for_each(|driver| driver.join().unwrap());
    }
    let agent = place.start(&flags);
    let confirmed = confirmed.lock().unwrap();
    let mut kept = BTreeSet::new();
    let mut from = "start".to_owned();
    loop {
        let page = agent.get(&format!("/v1/history?topic=log&from={from}"));
        kept.extend(
            page["rumors"].as_array().unwrap().iter().map(|rumor| rumor["id"].as_str().unwrap().to_owned()),
        );
        if page["more"] == false {
            break;
        }
        page["cursor"].as_str().unwrap().clone_into(&mut from);
    }
    let lost: Vec<_> = confirmed.rumors.difference(&kept).collect();
    assert!(lost.is_empty(), "{} of {} rumors: {lost:?}", lost.len(), confirmed.rumors.len());
    for key in &confirmed.keys {
        assert_eq!(agent.get(&format!("/v1/kv?topic=conf&key={key}"))["value"], **key);
    }
    let evidence = agent.get("/v1/evidence");
    let expelled: BTreeSet<_> = evidence["expelled"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["key"].as_str().unwrap().to_owned())
        .collect();
    assert!(confirmed.expelled.is_subset(&expelled));
    assert!(confirmed.rumors.len() > 3 && confirmed.keys.len() > 3 && confirmed.expelled.len() > 3);
    // Its author was convicted by nobody.
    assert_eq!(peer.get("/v1/evidence")["convictions"], serde_json::json!([]));
    assert_eq!(agent.stop(), Some(0));
}

/// Asks for one thing after the other, and notes what was confirmed.
fn drive(
    socket: &std::path::Path,
    driver: u32,
    confirmed: &Mutex<Confirmed>,
    ends: &AtomicBool,
    tell: &mpsc::Sender<()>,
) {
    // Nobody listens any more once the agent is to be killed.
    let note = |into: fn(&mut Confirmed) -> &mut BTreeSet<String>, what: String| {
        into(&mut confirmed.lock().unwrap()).insert(what);
        let _ = tell.send(());
    };
    for number in 0.. {
        if ends.load(Ordering::Relaxed) {
            return;
        }
        let name = format!("{driver}-{number}");
        if let Ok((200, said)) = ask(socket, "POST", "/v1/publish?topic=log", name.as_bytes()) {
            let said: serde_json::Value = serde_json::from_str(&said).unwrap();
            note(|confirmed| &mut confirmed.rumors, said["id"].as_str().unwrap().to_owned());
        }
        if let Ok((200, _)) = ask(socket, "PUT", &format!("/v1/kv?topic=conf&key={name}"), name.as_bytes()) {
            note(|confirmed| &mut confirmed.keys, name);
        }
        let key = format!("{:064x}", u64::from(driver) << 32 | number);
        if let Ok((200, _)) = ask(socket, "POST", &format!("/v1/expel?key={key}&for=10h"), b"") {
            note(|confirmed| &mut confirmed.expelled, key);
        }
    }
}
