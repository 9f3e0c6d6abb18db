//! What a command has done that a test has run.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Longest wait for anything a process should do at once.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Its exit code. It was not ended by a signal.
pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// What it printed.
pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What it said on stderr.
pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Exit code 2, nothing on stdout, and a message that has all of `words` in it.
pub fn assert_usage(output: &Output, words: &[&str]) {
    let said = stderr(output);
    assert_eq!(code(output), 2, "{said}");
    assert_eq!(stdout(output), "");
    words.iter().for_each(|word| assert!(said.contains(word), "no {word:?} in: {said}"));
    assert!(!said.contains("panicked"));
}

/// A command that runs, killed at the end of the test, and its lines of stdout or stderr as they come.
pub struct Running {
    /// The process.
    pub child: Child,
    /// What it prints.
    pub out: mpsc::Receiver<String>,
    /// What it says on stderr.
    pub err: mpsc::Receiver<String>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// Starts it.
    pub fn of(command: &mut Command) -> Self {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = follow(child.stdout.take().unwrap());
        let err = follow(child.stderr.take().unwrap());
        Self { child, out, err }
    }

    /// Sends it a signal, as in `-INT`.
    #[cfg(unix)]
    pub fn signal(&self, signal: &str) {
        let kill = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(kill.success());
    }
}

fn follow(stream: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (lines_in, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if lines_in.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// The first line with `word` in it.
pub fn wait_for(lines: &mpsc::Receiver<String>, word: &str) -> String {
    loop {
        let line = lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no line with {word:?} came"));
        if line.contains(word) {
            return line;
        }
    }
}
