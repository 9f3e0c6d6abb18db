//! Flags that can't be used.

use vouchsafe_testkit::command::assert_usage;

use crate::run::run;

#[test]
fn bad_values_end_with_code_2_and_say_what_to_do() {
    assert_usage(&run(&[]), &["Usage"]);
    assert_usage(&run(&["gossip"]), &["gossip"]);
    assert_usage(&run(&["verify"]), &["--jsonl"]);
    assert_usage(&run(&["verify", "--jsonl", "/nonexistent"]), &["/nonexistent"]);
    for (flags, words) in [
        (vec!["--nodes", "1"], ["--nodes", "2..=256"]),
        (vec!["--fanout", "0"], ["--fanout", "1..=16"]),
        (vec!["--nodes", "4", "--fanout", "4"], ["--fanout 4", "at most 3"]),
        (vec!["--rumors", "0"], ["--rumors", "1..="]),
        (vec!["--liars", "-1"], ["--liars", "0..=64"]),
        (vec!["--seed", "x"], ["--seed", "x"]),
        (vec!["--text", "/nonexistent"], ["/nonexistent", "check"]),
        (vec!["--text", "/dev/null"], ["/dev/null", "at least one line"]),
        (vec!["--out", "/dev/null/x"], ["/dev/null/x", "check"]),
    ] {
        assert_usage(&run(&[&["demo"], flags.as_slice()].concat()), &words);
    }
}
