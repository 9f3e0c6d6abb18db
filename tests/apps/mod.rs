//! An example as a process of its own: the test's binary again, which runs the example where its test `child` stands.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::cell::RefCell;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// What the example is to be told, separated by spaces.
const ARGS: &str = "VOUCHSAFE_EXAMPLE_ARGS";
/// Nothing here takes that long; whoever waits longer waits for something that will not come.
pub(crate) const WATCHDOG: Duration = Duration::from_secs(120);

/// Runs an example, in a process that [`App::start`] has started.
pub(crate) fn run<E: std::fmt::Debug>(
    example: impl AsyncFnOnce(std::vec::IntoIter<String>) -> Result<(), E>,
) {
    let Ok(args) = std::env::var(ARGS) else { return };
    // A test begins in the middle of a line.
    println!();
    let args: Vec<_> = args.split(' ').map(str::to_owned).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(example(args.into_iter())).unwrap();
}

pub(crate) struct App {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
    /// All that it has said.
    pub(crate) said: RefCell<Vec<String>>,
    /// Lines that [`App::line`] came upon and that nobody has waited for.
    unmet: RefCell<Vec<String>>,
    pub(crate) addr: String,
}

impl App {
    /// Starts the example, which prints its address first.
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "child", "--ignored", "--nocapture"]).env(ARGS, args.join(" "));
        let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().unwrap());
        let (lines_in, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
            while lines.next().is_some_and(|line| lines_in.send(line).is_ok()) {}
        });
        let mut app = Self {
            child,
            stdin,
            lines,
            said: RefCell::default(),
            unmet: RefCell::default(),
            addr: String::new(),
        };
        let line = app.until("its address", |line| line.starts_with("listening as "));
        app.addr = line["listening as ".len()..].to_owned();
        app
    }

    /// The first of its key's characters.
    pub(crate) fn key(&self) -> &str {
        &self.addr[..8]
    }

    /// The next line that is wanted.
    pub(crate) fn until(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let by = Instant::now() + WATCHDOG;
        loop {
            let left = by.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left);
            let line = line.unwrap_or_else(|_| panic!("no {what}; said was {:#?}", self.said.borrow()));
            self.said.borrow_mut().push(line.clone());
            if wanted(&line) {
                return line;
            }
        }
    }

    /// The first line that begins so, of those that nobody has waited for, in whatever order they come.
    pub(crate) fn line(&self, begins: &str) -> String {
        let before = self.unmet.borrow().iter().position(|line| line.starts_with(begins));
        if let Some(at) = before {
            return self.unmet.borrow_mut().remove(at);
        }
        self.until(begins, |line| {
            let is_it = line.starts_with(begins);
            if !is_it {
                self.unmet.borrow_mut().push(line.to_owned());
            }
            is_it
        })
    }

    pub(crate) fn says(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    /// Ends its stdin, and waits for it to end well. Gives all that it has said.
    pub(crate) fn ends(mut self) -> Vec<String> {
        drop(self.stdin.take());
        assert!(self.child.wait().unwrap().success());
        self.said.borrow_mut().extend(self.lines.iter());
        self.said.take()
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
