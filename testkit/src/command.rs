//! What a command has done that a test has run.

use std::process::Output;

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
