//! Files that flags name.

use std::process::{Output, Stdio};

use vouchsafe::SecretKey;
use vouchsafe_testkit::command::{assert_usage, code, stderr, stdout};

use crate::run::{path, run, run_with, vouchsafe};

#[test]
fn a_dash_is_stdin_or_stdout_and_never_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let here = |args: &[&str]| {
        vouchsafe().args(args).current_dir(folder.path()).stdin(Stdio::null()).output().unwrap()
    };
    let made = here(&["keygen", "--out", "-"]);
    assert_eq!((code(&made), stdout(&made).trim_end().len()), (0, 64), "{}", stderr(&made));
    let public = run_with(&["keygen", "--public-of", "-"], &made.stdout);
    assert_eq!(stderr(&made), format!("public key: {}", stdout(&public)));
    assert_eq!(code(&run_with(&["keygen", "--public-of", "-"], b"no key")), 2);
    for command in ["demo", "sim"] {
        assert_usage(&here(&[command, "--out", "-"]), &["--out -", "--json", "./-"]);
    }
    assert_usage(&here(&["node", "--key", "-"]), &["--key -", "path of a key file"]);
    assert_usage(
        &here(&["node", "--key", "x", "--position-log", "-"]),
        &["--position-log -", "path of a file"],
    );
    assert_usage(&run_with(&["demo", "--text", "-"], b"\n\n"), &["at least one line"]);
    assert_usage(&run_with(&["sim", "--latency", "table:-"], b"1 2\n"), &["as many rows as columns"]);
    assert_usage(&run_with(&["sim", "--topology", "edges:-"], b"1 1\n"), &["two different node numbers"]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn no_file_is_read_beyond_what_can_be_of_use() {
    let folder = tempfile::tempdir().unwrap();
    // A gigabyte that takes no room. Whoever reads it all takes a gigabyte of memory, or an eternity.
    let (huge, text) = path(&folder, "disk.image");
    std::fs::File::create(huge).unwrap().set_len(1 << 30).unwrap();
    assert_usage(&run(&["keygen", "--public-of", &text]), &["1073741824 bytes", "right file"]);
    assert_usage(&run(&["node", "--key", &text]), &["1073741824 bytes", "right file"]);
    assert_usage(&run(&["inspect", &text]), &["right file"]);
    assert_usage(&run(&["inspect", "--hex", "00", "--body", &text]), &["right file"]);
    assert_usage(&run(&["verify", "--jsonl", &text]), &["line 1", "right file"]);
    assert_usage(&run(&["demo", "--text", &text]), &["line 1", "break the line"]);
    for flag in [["--latency", "table"], ["--topology", "edges"]] {
        assert_usage(&run(&["sim", flag[0], &format!("{}:{text}", flag[1])]), &["it has more than"]);
    }
}

#[test]
fn what_is_wrong_with_a_key_file_is_said_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().to_str().unwrap();
    let unfit = |output: Output, words: &[&str]| {
        assert_usage(&output, words);
        for word in ["chmod", "keygen", "delete"] {
            assert!(!stderr(&output).contains(word), "{}", stderr(&output));
        }
    };
    for command in [["keygen", "--public-of"], ["node", "--key"]] {
        unfit(run(&[&command[..], &[text]].concat()), &[text, "a folder"]);
        let (file, text) = path(&folder, "notes");
        std::fs::write(file, "no key").unwrap();
        unfit(run(&[&command[..], &[&text]].concat()), &[&text, "64 hexadecimal digits"]);
    }
    let (_, missing) = path(&folder, "missing.key");
    assert_usage(&run(&["node", "--key", &missing]), &["no such key file", "vouchsafe keygen --out"]);
    // A key is no position log, by whatever name it goes.
    let (file, key) = path(&folder, "node.key");
    assert_eq!(code(&run(&["keygen", "--out", &key])), 0);
    unfit(run(&["node", "--key", &key, "--position-log", &key]), &["both the key and its position log"]);
    #[cfg(unix)]
    {
        let (link, text) = path(&folder, "link.positions");
        std::os::unix::fs::symlink(&file, link).unwrap();
        unfit(run(&["node", "--key", &key, "--position-log", &text]), &["both the key and its position log"]);
    }
    assert!(SecretKey::load(file).is_ok());
}

#[test]
fn a_position_log_or_address_that_cant_be_used_is_a_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    let (_, key) = path(&folder, "node.key");
    assert_eq!(code(&run(&["keygen", "--out", &key])), 0);
    let node = |flags: &[&str]| run(&[&["node", "--key", &key], flags].concat());
    let (garbage, text) = path(&folder, "garbage");
    std::fs::write(garbage, "garbage").unwrap();
    for position_log in [folder.path().to_str().unwrap(), &text, "/nonexistent/x.positions"] {
        assert_usage(&node(&["--position-log", position_log]), &[position_log]);
    }
    // Of a network for documentation: no machine has it.
    assert_usage(&node(&["--listen", "192.0.2.1:4433"]), &["192.0.2.1:4433"]);
}
