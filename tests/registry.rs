//! The example `registry`, in eight processes: one bootstrap address, one that is killed and comes back, one that stands still, one that
//! leaves.

mod apps;
#[path = "../examples/registry.rs"]
#[allow(dead_code, reason = "its `main` is of the example")]
mod registry;

use std::time::{Duration, Instant};

use apps::{App, WATCHDOG};

/// How long one process stands still, seconds: longer than a lease. A long run says 90.
const STILL: &str = "VOUCHSAFE_REGISTRY_STILL";

#[test]
#[ignore = "not a test: what the others start"]
fn child() {
    apps::run(async |args| registry::run(args).await);
}

/// Waits for a line of a member with these words.
fn tells(app: &App, of: &str, words: &str) -> String {
    app.until(words, |line| line.starts_with(of) && line.contains(words))
}

/// Asks until so many run a service.
fn finds(app: &mut App, service: &str, count: usize) {
    let by = Instant::now() + WATCHDOG;
    loop {
        app.says(&format!("find {service}"));
        let line = app.until("an answer", |line| line.starts_with(&format!("{service}: ")));
        if line.split(' ').nth(1) == Some(&count.to_string()) {
            return;
        }
        assert!(Instant::now() < by, "{}: {line}, where {count} run it", app.key());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn eight_processes_know_who_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let state = |number: usize| folder.path().join(number.to_string()).to_str().unwrap().to_owned();
    let states: Vec<_> = (0..8).map(state).collect();
    let first = App::start(&["web", "-", &states[0]]);
    let peer = first.addr.clone();
    let mut all = vec![first];
    all.extend((1..8).map(|number| {
        let tags = if number % 2 == 0 { "web" } else { "db,cache" };
        App::start(&[tags, &peer, &states[number]])
    }));
    for process in &mut all {
        finds(process, "web", 4);
        finds(process, "cache", 4);
    }
    // It says something else of itself.
    all[2].says("tags web,db");
    all.iter_mut().for_each(|process| finds(process, "db", 5));

    // One is killed, which the others know by its lease; the first of all, so nobody needs the bootstrap any more.
    let gone = all.remove(0);
    let key = gone.key().to_owned();
    gone.signal("-KILL");
    drop(gone);
    all.iter().for_each(|process| _ = tells(process, &key, "has failed"));
    all.iter_mut().for_each(|process| finds(process, "web", 3));
    let again = App::start(&["web,new", &all[0].addr, &states[0]]);
    assert_eq!(again.key(), key);
    all.iter().for_each(|process| _ = tells(process, &key, "is back [web,new]"));
    all.insert(0, again);

    // One stands still. The others show it as failed; it shows nobody so when it goes on.
    let still: u64 = std::env::var(STILL).map_or(25, |text| text.parse().unwrap());
    let key = all[5].key().to_owned();
    let before = all[5].said.borrow().len();
    all[5].signal("-STOP");
    // What is waited for is that time passes while it stands still, and as much as the others take to see it.
    std::thread::sleep(Duration::from_secs(still));
    let others = || (0..8).filter(|number| *number != 5);
    others().for_each(|number| _ = tells(&all[number], &key, "has failed"));
    all[5].signal("-CONT");
    others().for_each(|number| _ = tells(&all[number], &key, "is back"));
    finds(&mut all[5], "cache", 4);
    let said = all[5].said.borrow()[before..].to_vec();
    let condemned: Vec<_> = said.iter().filter(|line| line.contains("has failed")).collect();
    assert!(condemned.is_empty(), "{condemned:?}");

    // One leaves, and says so.
    let leaves = all.remove(3);
    let key = leaves.key().to_owned();
    leaves.ends();
    all.iter().for_each(|process| _ = tells(process, &key, "has left"));
    all.iter_mut().for_each(|process| finds(process, "cache", 3));
}
