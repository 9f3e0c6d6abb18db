//! `vouchsafe demo`.

use serde_json::Value;
use vouchsafe_testkit::command::{code, stderr, stdout};

use crate::run::{path, run};

#[test]
fn a_small_demo_keeps_its_promises() {
    let folder = tempfile::tempdir().unwrap();
    let (out, text) = path(&folder, "pictures/of/it");
    let flags = ["--nodes", "6", "--liars", "6", "--fanout", "3", "--rumors", "12", "--json", "--out", &text];
    let output = run(&[&["demo"], flags.as_slice()].concat());
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
    assert_eq!(stdout(&output).lines().count(), 1);
    let figures: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut names: Vec<_> = figures.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "convicted",
            "copies_per_delivery",
            "coverage",
            "fakes",
            "false_bans",
            "false_failures",
            "hops_max",
            "liars",
            "members",
            "nodes",
            "offences",
            "p50_ms",
            "p99_ms",
            "rumors"
        ]
    );
    for (name, value) in [("nodes", 6), ("liars", 6), ("rumors", 12), ("convicted", 2), ("members", 6)] {
        assert_eq!(figures[name], value, "{name}");
    }
    assert_eq!((&figures["false_bans"], &figures["false_failures"]), (&0.into(), &0.into()));
    assert_eq!(figures["coverage"], 1.0);
    // Three links of the forger and three of the malformer.
    assert_eq!(figures["offences"], 6);
    let number = |name: &str| figures[name].as_f64().unwrap();
    assert!((1.0..=5.0).contains(&number("hops_max")));
    assert!(number("copies_per_delivery") >= 1.0);
    assert!(0.0 < number("p50_ms") && number("p50_ms") <= number("p99_ms"));
    let picture = std::fs::read_to_string(out.join("spread.svg")).unwrap();
    assert!(picture.starts_with("<svg") && picture.trim_end().ends_with("</svg>"));
}

#[test]
fn a_demo_of_two_without_liars_tells_the_given_text() {
    let folder = tempfile::tempdir().unwrap();
    let (file, text) = path(&folder, "words.txt");
    std::fs::write(file, "\n<one> & \"only\"\n\n").unwrap();
    let (out, out_text) = path(&folder, "out");
    let flags = ["--nodes", "2", "--liars", "0", "--fanout", "1", "--rumors", "3", "--text", &text];
    let output = run(&[&["demo", "--out", &out_text], flags.as_slice()].concat());
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).contains("100.00 %"));
    let picture = std::fs::read_to_string(out.join("spread.svg")).unwrap();
    assert!(picture.contains("&lt;one&gt; &amp; &quot;only&quot;"));
}
