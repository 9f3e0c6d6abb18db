//! The example `config`, in five processes: one is off for a while, or one author says two things.
//!
//! The tests start this binary again, as `child`, which is the example.
#![cfg(feature = "sim")]

mod apps;
#[path = "../examples/config.rs"]
#[allow(dead_code, reason = "its `main` is of the example")]
mod config;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use apps::App;
use vouchsafe::adversary::{Adversary, Liar, Me};
use vouchsafe::hostile::{HostilePeer, Target};
use vouchsafe::protocol::{LinkId, Mono};
use vouchsafe::rumor::{Cell, seal};
use vouchsafe::{NetworkId, Node, PeerAddr, Position, PublicKey, SecretKey};

#[test]
#[ignore = "not a test: what the others start"]
fn child() {
    apps::run(async |args| config::run(args).await);
}

/// Five folders, each with a key of which nothing was said yet.
struct Scene {
    folder: tempfile::TempDir,
    keys: Vec<SecretKey>,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys: Vec<_> = (0..5).map(|_| SecretKey::generate()).collect();
        let scene = Self { folder, keys };
        for (number, key) in scene.keys.iter().enumerate() {
            // A node that has said nothing, or each would be silent for half a minute.
            let node = Node::builder(key.clone()).state(scene.own(number)).without_members();
            let start = async { node.listen("127.0.0.1:0").spawn().await.unwrap().shutdown().await };
            // A test may have a runtime of its own, in which no other can run.
            std::thread::scope(|scope| {
                scope.spawn(|| tokio::runtime::Runtime::new().unwrap().block_on(start));
            });
        }
        scene
    }

    fn own(&self, number: usize) -> PathBuf {
        self.folder.path().join(number.to_string())
    }

    fn writers(&self) -> Vec<PublicKey> {
        self.keys.iter().map(SecretKey::public).collect()
    }

    /// Starts a process that links to those that run.
    fn start(&self, number: usize, others: &[App]) -> App {
        let writers: Vec<_> = self.writers().iter().map(PublicKey::to_string).collect();
        let (own, writers) = (self.own(number), writers.join(","));
        let mut args = vec![own.to_str().unwrap(), &writers];
        args.extend(others.iter().map(|other| other.addr.as_str()));
        App::start(&args)
    }

    /// Starts so many, each linked to all before it.
    fn start_all(&self, count: usize) -> Vec<App> {
        let mut all = Vec::new();
        for number in 0..count {
            all.push(self.start(number, &all));
        }
        all
    }
}

fn tell(all: &mut [App], who: &[usize], line: &str) {
    who.iter().for_each(|number| all[*number].says(line));
}

fn wait_for(all: &[App], line: &str) {
    for app in all {
        assert_eq!(app.line(line), line);
    }
}

#[test]
fn one_that_was_off_has_the_configuration_again() {
    let scene = Scene::new();
    let mut all = scene.start_all(5);
    tell(&mut all, &[0, 1, 2], "set limit 10");
    tell(&mut all, &[1, 2, 3], "set color red");
    wait_for(&all, "limit = 10");
    wait_for(&all, "color = red");
    // Two are not enough.
    tell(&mut all, &[0, 1], "set limit 15");
    // Without a word it is gone, and the others go on.
    drop(all.pop());
    tell(&mut all, &[0, 1, 3], "set limit 20");
    tell(&mut all, &[1, 2, 3], "delete color");
    wait_for(&all, "limit = 20");
    wait_for(&all, "color is not set");
    let back = scene.start(4, &all);
    all.push(back);
    wait_for(&all[4..], "limit = 20");
    all[4].line("caught up");
    // It speaks as before.
    tell(&mut all, &[2, 3, 4], "set limit 30");
    wait_for(&all, "limit = 30");
    for said in all.into_iter().map(App::ends) {
        assert!(said.iter().all(|line| line != "limit = 15" && !line.contains("not done")), "{said:?}");
    }
}

/// An author that says what the others say, and once it is told to, gives the key two values at one position, one to each of two nodes.
#[derive(Debug)]
struct Forked {
    lies: Arc<AtomicBool>,
    next: Mono,
    said: u16,
}

impl Forked {
    fn says(&mut self, me: &mut Me, targets: [LinkId; 2], values: [&'static str; 2]) {
        let at = Position { tick: me.tick(), slot: self.said };
        self.said += 1;
        for (target, value) in targets.iter().zip(values) {
            let cell = Cell::put("limit", value).unwrap().encode();
            let bundle = seal(me.key(), me.rules().id(), at, &[cell]).unwrap();
            me.push(&[*target], &[bundle]);
        }
    }
}

impl Adversary for Forked {
    fn next_wake(&self) -> Option<Mono> {
        (self.said < 2).then_some(self.next)
    }

    fn wake(&mut self, me: &mut Me) {
        self.next = me.now().mono.plus(Duration::from_millis(100));
        let Ok(targets) = <[LinkId; 2]>::try_from(me.targets()) else { return };
        if self.said == 0 {
            self.says(me, targets, ["10", "10"]);
        } else if self.lies.load(Ordering::Relaxed) {
            self.says(me, targets, ["98", "99"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_author_that_says_two_things_changes_nothing_and_is_convicted() {
    let scene = Scene::new();
    let mut all = scene.start_all(4);
    let rules = config::topic(scene.writers()).bind(NetworkId::of(config::NETWORK)).unwrap();
    let lies = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&lies);
    let liar = Liar::custom("forked", move |me| {
        Box::new(Forked { lies: Arc::clone(&told), next: me.about(0), said: 0 })
    });
    let targets = [0, 1].map(|number: usize| {
        let addr: PeerAddr = all[number].addr.parse().unwrap();
        Target { key: addr.key, addr: addr.socket().unwrap() }
    });
    let peer = HostilePeer::new(liar, scene.keys[4].clone(), rules);
    let peer = tokio::spawn(async move { peer.run(&targets, |_| ()).await });
    // It is the third to say so: its word counts, and all have it.
    tell(&mut all, &[0, 1], "set limit 10");
    wait_for(&all, "limit = 10");
    lies.store(true, Ordering::Relaxed);
    // Each of the others learns of it, also those that the liar has told nothing, and its word counts no more.
    wait_for(&all, &format!("convicted {}", scene.keys[4].public()));
    wait_for(&all, "limit is not set");
    tell(&mut all, &[1, 2, 3], "set limit 20");
    wait_for(&all, "limit = 20");
    peer.abort();
    for said in all.into_iter().map(App::ends) {
        assert!(said.iter().all(|line| !line.contains('9') || !line.contains("limit")), "{said:?}");
    }
}
