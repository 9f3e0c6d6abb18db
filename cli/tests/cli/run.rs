//! Runs the command, with what a test gives it.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use vouchsafe_testkit::command::Running;

pub(crate) fn vouchsafe() -> Command {
    Command::new(env!("CARGO_BIN_EXE_vouchsafe"))
}

pub(crate) fn run(args: &[&str]) -> Output {
    vouchsafe().args(args).stdin(Stdio::null()).output().unwrap()
}

/// Runs with `input` on stdin.
pub(crate) fn run_with(args: &[&str], input: &[u8]) -> Output {
    let mut child = vouchsafe()
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // From a thread, or a full pipe would stop both sides. That the command does not read all of it is no fault.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

pub(crate) fn path(folder: &tempfile::TempDir, name: &str) -> (PathBuf, String) {
    let path = folder.path().join(name);
    let text = path.to_str().unwrap().to_owned();
    (path, text)
}

/// Stdout that nobody reads any more.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

/// Runs with a stdout that nobody reads.
pub(crate) fn run_unread(args: &[&str]) -> Output {
    let child =
        vouchsafe().args(args).stdin(Stdio::null()).stdout(closed()).stderr(Stdio::piped()).spawn().unwrap();
    child.wait_with_output().unwrap()
}

pub(crate) fn start(args: &[&str]) -> Running {
    Running::of(vouchsafe().args(args))
}
