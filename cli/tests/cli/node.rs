//! `vouchsafe node`.

use std::io::Write as _;
use std::process::Command;

use vouchsafe_testkit::command::{PATIENCE, Running, assert_usage, code, stderr, stdout, wait_for};

use crate::run::{path, run, run_with, start};

#[test]
fn a_node_with_bad_values_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let (_, key) = path(&folder, "node.key");
    assert_usage(&run(&["node", "--key", &key]), &[&key, "vouchsafe keygen"]);
    assert_eq!(code(&run(&["keygen", "--out", &key])), 0);
    let node = |flags: &[&str]| run(&[&["node", "--key", &key], flags].concat());
    assert_usage(&node(&["--peer", "example.org:1"]), &["example.org:1", "no @"]);
    assert_usage(&node(&["--peer", "abc@example.org:1"]), &["64 hexadecimal digits"]);
    assert_usage(&node(&["--listen", "nowhere"]), &["--listen", "nowhere", "HOST:PORT"]);
    assert_usage(&node(&["--topic", ""]), &["--topic", "1 to 255"]);
}

#[test]
fn a_key_whose_position_log_is_gone_waits_before_it_speaks() {
    let folder = tempfile::tempdir().unwrap();
    let (_, key) = path(&folder, "node.key");
    assert_eq!(code(&run(&["keygen", "--out", &key])), 0);
    let (position_log, text) = path(&folder, "node.positions");
    // A key is not made where another's position log lies.
    std::fs::remove_file(&key).unwrap();
    assert_usage(&run(&["keygen", "--out", &key]), &[&text, "key in use"]);
    std::fs::remove_file(&position_log).unwrap();
    assert_eq!(code(&run(&["keygen", "--out", &key])), 0);
    std::fs::remove_file(&position_log).unwrap();
    let output = run_with(&["node", "--key", &key, "--listen", "127.0.0.1:0", "--exit-on-eof"], b"");
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stderr(&output).contains("silent for 30 s"), "{}", stderr(&output));
    assert!(position_log.exists());
}

#[test]
fn a_key_that_another_node_speaks_under_is_not_used_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (_, key) = path(&folder, "node.key");
    assert_eq!(code(&run(&["keygen", "--out", &key])), 0);
    let first = start(&["node", "--key", &key, "--listen", "127.0.0.1:0"]);
    wait_for(&first.err, "listening as");
    assert_usage(
        &run(&["node", "--key", &key, "--listen", "127.0.0.1:0"]),
        &["node.positions", "in use by another node"],
    );
}

#[cfg(unix)]
#[test]
fn two_nodes_exchange_lines_and_leave_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let [(_, key1), (_, key2)] = ["one.key", "two.key"].map(|name| path(&folder, name));
    let [public1, public2] = [&key1, &key2].map(|key| stdout(&run(&["keygen", "--out", key])));

    let mut one = start(&["node", "--key", &key1, "--listen", "127.0.0.1:0"]);
    let listening = wait_for(&one.err, "listening as");
    let addr = listening.rsplit(' ').next().unwrap().to_owned();
    assert!(addr.starts_with(public1.trim_end()));

    // The second one says two lines, one of them too long, and goes; the first one hears the good ones.
    let flags = ["node", "--key", &key2, "--listen", "127.0.0.1:0", "--peer", &addr];
    let long = "x".repeat(16 * 1024 + 1);
    let input = format!("hello\x1b[2J\n{long}\n\nstill here\n");
    let output = run_with(&[flags.as_slice(), &["--exit-on-eof"]].concat(), input.as_bytes());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stderr(&output).contains("16385 bytes was not published"), "{}", stderr(&output));
    let heard = [wait_for(&one.out, "hello"), wait_for(&one.out, "still here")];
    for (heard, text) in heard.iter().zip(["hello\\u{1b}[2J", "still here"]) {
        let (author, rest) = heard.split_once(' ').unwrap();
        assert_eq!(author, &public2[..8]);
        let (position, said) = rest.split_once(' ').unwrap();
        assert_eq!((position.split('/').count(), said), (2, text));
    }

    // At the end of its input the first one stays, until ctrl-c.
    drop(one.child.stdin.take());
    wait_for(&one.err, "end of input");
    one.signal("-INT");
    wait_for(&one.err, "leaving");
    assert_eq!(one.child.wait().unwrap().code(), Some(0));
}

/// A line that needs a record waits until there can be one, in its order, though its author has said all it had to say.
#[cfg(unix)]
#[test]
fn lines_wait_for_a_position_log_that_cant_be_written_and_none_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let [(_, key1), (_, key2)] = ["one.key", "two.key"].map(|name| path(&folder, name));
    let [_, _] = [&key1, &key2].map(|key| assert_eq!(code(&run(&["keygen", "--out", key])), 0));
    let one = start(&["node", "--key", &key1, "--listen", "127.0.0.1:0"]);
    let listening = wait_for(&one.err, "listening as");
    let addr = listening.rsplit(' ').next().unwrap().to_owned();

    let ([(disk, _), (gone, _)], (_, position_log)) =
        (["disk", "gone"].map(|name| path(&folder, name)), path(&folder, "disk/two.positions"));
    std::fs::create_dir(&disk).unwrap();
    std::fs::rename(folder.path().join("two.positions"), &position_log).unwrap();
    let flags = [
        "node",
        "--key",
        &key2,
        "--position-log",
        &position_log,
        "--listen",
        "127.0.0.1:0",
        "--peer",
        &addr,
        "--exit-on-eof",
        "--without-members",
    ];
    let mut two = start(&flags);
    wait_for(&two.err, "listening as");
    // The position log has recorded nothing yet, so the first line needs a record.
    std::fs::rename(&disk, &gone).unwrap();
    let mut stdin = two.child.stdin.take().unwrap();
    let lines: Vec<_> = (0..40).map(|number| format!("line {number}")).collect();
    stdin.write_all((lines.join("\n") + "\n").as_bytes()).unwrap();
    drop(stdin);
    wait_for(&two.err, "the line waits, and is tried again");
    std::fs::rename(&gone, &disk).unwrap();
    wait_for(&two.err, "the line that waited was published");
    for line in &lines {
        let heard = one.out.recv_timeout(PATIENCE).unwrap();
        assert!(heard.ends_with(&format!(" {line}")), "{heard} is not {line}");
    }
    assert_eq!(two.child.wait().unwrap().code(), Some(0));
}

/// A hangup is a goodbye, as a termination is. What was typed and reached nobody is said, and is no success.
#[cfg(unix)]
#[test]
fn a_hangup_is_a_goodbye_and_unsaid_lines_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let (_, key) = path(&folder, "node.key");
    assert_eq!(code(&run(&["keygen", "--out", &key])), 0);
    for (lines, expected) in [("", 0), ("one\n\ntwo\n", 1)] {
        let mut node = start(&["node", "--key", &key, "--listen", "127.0.0.1:0"]);
        wait_for(&node.err, "listening as");
        if !lines.is_empty() {
            node.child.stdin.as_mut().unwrap().write_all(lines.as_bytes()).unwrap();
            wait_for(&node.err, "no link to anybody");
        }
        node.signal("-HUP");
        wait_for(&node.err, "leaving");
        if expected > 0 {
            let said = wait_for(&node.err, "not published");
            assert!(said.starts_with("error: ") && said.ends_with(['1', '2']), "{said}");
        }
        assert_eq!(node.child.wait().unwrap().code(), Some(expected));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn under_nohup_a_hangup_is_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (_, key) = path(&folder, "node.key");
    assert_eq!(code(&run(&["keygen", "--out", &key])), 0);
    let mut command = Command::new("nohup");
    command.arg(env!("CARGO_BIN_EXE_vouchsafe"));
    let mut node = Running::of(command.args(["node", "--key", &key, "--listen", "127.0.0.1:0"]));
    // It listens for signals before it says so.
    wait_for(&node.err, "listening as");
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.child.id())).unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    assert_eq!(u64::from_str_radix(ignored.trim(), 16).unwrap() & 1, 1, "{status}");
    node.signal("-TERM");
    wait_for(&node.err, "leaving");
    assert_eq!(node.child.wait().unwrap().code(), Some(0));
}
