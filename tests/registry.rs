//! The example `registry`, in eight processes: one bootstrap address, one that is killed and comes back, one that stands still, one that
//! leaves.
//!
//! The test starts this binary again, as `child`, which is the example.

#[path = "../examples/registry.rs"]
#[allow(dead_code, reason = "its `main` is of the example")]
mod registry;

use std::cell::RefCell;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const ARGS: &str = "VOUCHSAFE_REGISTRY_ARGS";
/// How long one process stands still, seconds: longer than a lease. A long run says 90.
const STILL: &str = "VOUCHSAFE_REGISTRY_STILL";
/// Nothing here takes that long; whoever waits longer waits for something that will not come.
const WATCHDOG: Duration = Duration::from_secs(120);

#[test]
#[ignore = "not a test: what the others start"]
fn child() {
    let Ok(args) = std::env::var(ARGS) else { return };
    // A test begins in the middle of a line.
    println!();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(registry::run(args.split(' ').map(str::to_owned))).unwrap();
}

struct Process {
    child: Child,
    lines: mpsc::Receiver<String>,
    /// All that it has said.
    said: RefCell<Vec<String>>,
    key: String,
    addr: String,
}

impl Process {
    fn start(tags: &str, peer: &str, file: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child
            .args(["--exact", "child", "--ignored", "--nocapture"])
            .env(ARGS, format!("{tags} {peer} {file}"));
        let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let (lines_in, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
            while lines.next().is_some_and(|line| lines_in.send(line).is_ok()) {}
        });
        let mut process =
            Self { child, lines, said: RefCell::default(), key: String::new(), addr: String::new() };
        let line = process.until("its address", |line| line.starts_with("listening as "));
        process.addr = line["listening as ".len()..].to_owned();
        process.key = process.addr[..8].to_owned();
        process
    }

    /// The next line that is wanted.
    fn until(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let by = Instant::now() + WATCHDOG;
        loop {
            let left = by.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).unwrap_or_else(|_| panic!("{}: no {what}", self.key));
            self.said.borrow_mut().push(line.clone());
            if wanted(&line) {
                return line;
            }
        }
    }

    /// Waits for a line of a member with these words.
    fn tells(&self, of: &str, words: &str) -> String {
        self.until(words, |line| line.starts_with(of) && line.contains(words))
    }

    fn says(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Asks until so many run a service.
    fn finds(&mut self, service: &str, count: usize) {
        let by = Instant::now() + WATCHDOG;
        loop {
            self.says(&format!("find {service}"));
            let line = self.until("an answer", |line| line.starts_with(&format!("{service}: ")));
            if line.split(' ').nth(1) == Some(&count.to_string()) {
                return;
            }
            assert!(Instant::now() < by, "{}: {line}, where {count} run it", self.key);
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn eight_processes_know_who_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let state = |number: usize| folder.path().join(number.to_string()).to_str().unwrap().to_owned();
    let states: Vec<_> = (0..8).map(state).collect();
    let first = Process::start("web", "-", &states[0]);
    let peer = first.addr.clone();
    let mut all = vec![first];
    all.extend((1..8).map(|number| {
        let tags = if number % 2 == 0 { "web" } else { "db,cache" };
        Process::start(tags, &peer, &states[number])
    }));
    for process in &mut all {
        process.finds("web", 4);
        process.finds("cache", 4);
    }
    // It says something else of itself.
    all[2].says("tags web,db");
    all.iter_mut().for_each(|process| process.finds("db", 5));

    // One is killed, which the others know by its lease; the first of all, so nobody needs the bootstrap any more.
    let gone = all.remove(0);
    let key = gone.key.clone();
    gone.signal("-KILL");
    drop(gone);
    all.iter().for_each(|process| _ = process.tells(&key, "has failed"));
    all.iter_mut().for_each(|process| process.finds("web", 3));
    let again = Process::start("web,new", &all[0].addr, &states[0]);
    assert_eq!(again.key, key);
    all.iter().for_each(|process| _ = process.tells(&key, "is back [web,new]"));
    all.insert(0, again);

    // One stands still. The others show it as failed; it shows nobody so when it goes on.
    let still: u64 = std::env::var(STILL).map_or(25, |text| text.parse().unwrap());
    let key = all[5].key.clone();
    let before = all[5].said.borrow().len();
    all[5].signal("-STOP");
    // What is waited for is that time passes while it stands still.
    std::thread::sleep(Duration::from_secs(still));
    all[5].signal("-CONT");
    for number in (0..8).filter(|number| *number != 5) {
        all[number].tells(&key, "has failed");
        all[number].tells(&key, "is back");
    }
    all[5].finds("cache", 4);
    let said = all[5].said.borrow()[before..].to_vec();
    let condemned: Vec<_> = said.iter().filter(|line| line.contains("has failed")).collect();
    assert!(condemned.is_empty(), "{condemned:?}");

    // One leaves, and says so.
    let mut leaves = all.remove(3);
    let key = leaves.key.clone();
    drop(leaves.child.stdin.take());
    all.iter().for_each(|process| _ = process.tells(&key, "has left"));
    assert!(leaves.child.wait().unwrap().success());
    all.iter_mut().for_each(|process| process.finds("cache", 3));
}
