//! The example `config`, in five processes: one is off for a while, or one author says two things.
//!
//! The tests start this binary again, as `child`, which is the example.
#![cfg(feature = "sim")]

#[path = "../examples/config.rs"]
#[allow(dead_code, reason = "its `main` is of the example")]
mod config;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use vouchsafe::adversary::{Adversary, Liar, Me};
use vouchsafe::hostile::{HostilePeer, Target};
use vouchsafe::protocol::{LinkId, Mono};
use vouchsafe::rumor::{Cell, seal};
use vouchsafe::{NetworkId, Node, PeerAddr, Position, PublicKey, SecretKey};

const ARGS: &str = "VOUCHSAFE_SHARED_CONFIG_ARGS";
/// Nothing here takes that long; whoever waits longer waits for something that will not come.
const WATCHDOG: Duration = Duration::from_secs(120);

#[test]
#[ignore = "not a test: what the others start"]
fn child() {
    let Ok(args) = std::env::var(ARGS) else { return };
    // A test begins in the middle of a line.
    println!();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(config::run(args.split(' ').map(str::to_owned))).unwrap();
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
    fn start(&self, number: usize, others: &[Process]) -> Process {
        let writers: Vec<_> = self.writers().iter().map(PublicKey::to_string).collect();
        let mut args = vec![self.own(number).to_str().unwrap().to_owned(), writers.join(",")];
        args.extend(others.iter().map(|other| other.addr.to_string()));
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "child", "--ignored", "--nocapture"]).env(ARGS, args.join(" "));
        let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().unwrap());
        let (lines_in, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
            while lines.next().is_some_and(|line| lines_in.send(line).is_ok()) {}
        });
        let mut process = Process {
            child,
            stdin,
            lines,
            said: Vec::new(),
            unmet: Vec::new(),
            addr: others.first().map_or_else(nowhere, |other| other.addr.clone()),
        };
        let listening = process.wait_for("listening as ");
        process.addr = listening.trim_start_matches("listening as ").parse().unwrap();
        process
    }

    /// Starts so many, each linked to all before it.
    fn start_all(&self, count: usize) -> Vec<Process> {
        let mut all = Vec::new();
        for number in 0..count {
            all.push(self.start(number, &all));
        }
        all
    }
}

fn nowhere() -> PeerAddr {
    format!("{}@127.0.0.1:1", SecretKey::from_seed(&[1; 32]).public()).parse().unwrap()
}

/// One of the five. Killed at the end of the test.
struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
    /// What it has printed so far.
    said: Vec<String>,
    /// Of that, what nobody has waited for.
    unmet: Vec<String>,
    addr: PeerAddr,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    fn tell(&mut self, line: &str) {
        self.stdin.as_mut().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// The next line that begins so, of those that nobody has waited for.
    fn wait_for(&mut self, begins: &str) -> String {
        if let Some(at) = self.unmet.iter().position(|line| line.starts_with(begins)) {
            return self.unmet.remove(at);
        }
        loop {
            let line = self.lines.recv_timeout(WATCHDOG);
            let line = line.unwrap_or_else(|_| panic!("no {begins:?} after {:?}", self.said));
            self.said.push(line.clone());
            if line.starts_with(begins) {
                return line;
            }
            self.unmet.push(line);
        }
    }

    /// Ends it as a user does, and gives all that it has said.
    fn end(mut self) -> Vec<String> {
        drop(self.stdin.take());
        assert!(self.child.wait().unwrap().success());
        let mut said = std::mem::take(&mut self.said);
        said.extend(self.lines.iter());
        said
    }
}

fn tell(all: &mut [Process], who: &[usize], line: &str) {
    who.iter().for_each(|number| all[*number].tell(line));
}

fn wait_for(all: &mut [Process], line: &str) {
    for process in all {
        assert_eq!(process.wait_for(line), line);
    }
}

#[test]
fn one_that_was_off_has_the_configuration_again() {
    let scene = Scene::new();
    let mut all = scene.start_all(5);
    tell(&mut all, &[0, 1, 2], "set limit 10");
    tell(&mut all, &[1, 2, 3], "set color red");
    wait_for(&mut all, "limit = 10");
    wait_for(&mut all, "color = red");
    // Two are not enough.
    tell(&mut all, &[0, 1], "set limit 15");
    // Without a word it is gone, and the others go on.
    drop(all.pop());
    tell(&mut all, &[0, 1, 3], "set limit 20");
    tell(&mut all, &[1, 2, 3], "delete color");
    wait_for(&mut all, "limit = 20");
    wait_for(&mut all, "color is not set");
    let back = scene.start(4, &all);
    all.push(back);
    wait_for(&mut all[4..], "limit = 20");
    all[4].wait_for("caught up");
    // It speaks as before.
    tell(&mut all, &[2, 3, 4], "set limit 30");
    wait_for(&mut all, "limit = 30");
    for said in all.into_iter().map(Process::end) {
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
        let addr = &all[number].addr;
        Target { key: addr.key, addr: addr.socket().unwrap() }
    });
    let peer = HostilePeer::new(liar, scene.keys[4].clone(), rules);
    let peer = tokio::spawn(async move { peer.run(&targets, |_| ()).await });
    // It is the third to say so: its word counts, and all have it.
    tell(&mut all, &[0, 1], "set limit 10");
    wait_for(&mut all, "limit = 10");
    lies.store(true, Ordering::Relaxed);
    // Each of the others learns of it, also those that the liar has told nothing, and its word counts no more.
    wait_for(&mut all, &format!("convicted {}", scene.keys[4].public()));
    wait_for(&mut all, "limit is not set");
    tell(&mut all, &[1, 2, 3], "set limit 20");
    wait_for(&mut all, "limit = 20");
    peer.abort();
    for said in all.into_iter().map(Process::end) {
        assert!(said.iter().all(|line| !line.contains('9') || !line.contains("limit")), "{said:?}");
    }
}
