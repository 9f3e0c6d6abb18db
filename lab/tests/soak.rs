//! The soak from outside: a short one, which must keep all promises and leave its log and its picture.

use std::process::{Command, Output, Stdio};

use serde_json::Value;
use vouchsafe_testkit::command::{assert_usage, code, stderr};

fn soak(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vouchsafe-lab"));
    command.arg("soak").args(args).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn a_short_soak_keeps_all_promises() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    // Twice the time that the soak gives of its own, since other tests run beside it: a cut in a flood of newcomers leaves tens of
    // thousands of words to repair.
    let args = "--minutes 0.4 --nodes 12 --rate 10 --within 30 --heal 60 --json --out";
    let args: Vec<_> = args.split(' ').chain([out]).collect();
    let output = soak(&args);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown["ok"], true);
    assert_eq!(shown["broken"], serde_json::json!({}));
    for what in ["published", "delivered", "owed_and_checked", "cuts", "dropped_packets"] {
        assert!(shown[what].as_u64().unwrap() > 0, "no {what}: {shown}");
    }
    assert!(shown["left"].as_u64().unwrap() + shown["crashed"].as_u64().unwrap() > 0);
    for what in ["attacks", "troubles"] {
        assert!(!shown[what].as_object().unwrap().is_empty(), "no {what}: {shown}");
    }
    // Too short for its memory to be judged.
    assert_eq!((&shown["rss_growth"], &shown["heap_growth"]), (&Value::Null, &Value::Null));
    let log = std::fs::read_to_string(folder.path().join("soak.jsonl")).unwrap();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() >= 12, "a line a second, but {}", lines.len());
    #[cfg(target_os = "linux")]
    assert!(
        lines
            .iter()
            .all(|line| line["rss_bytes"].is_u64() && line["heap_bytes"].is_u64() && line["fds"].is_u64())
    );
    let picture = std::fs::read_to_string(folder.path().join("soak.svg")).unwrap();
    assert!(
        picture.contains("band0")
            && picture.contains("band1")
            && picture.contains("class=\"band2\"")
            && picture.ends_with("</svg>\n")
    );
}

#[test]
fn what_can_not_be_is_refused_with_a_reason() {
    for (args, words) in [
        ("--minutes 0", "0.1 to 10080 minutes"),
        ("--minutes soon", "a number of minutes"),
        ("--nodes 3", "4..=100"),
        ("--within 1", "2..=30"),
        ("--heal 1", "5..=120"),
        ("--troubles moon", "none of: all, none, clock"),
    ] {
        assert_usage(&soak(&args.split(' ').collect::<Vec<_>>()), &[words]);
    }
}
