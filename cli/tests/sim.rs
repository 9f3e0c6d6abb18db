//! `vouchsafe sim` from outside: what it prints and writes, what it refuses, and its exit codes.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use vouchsafe_testkit::command::{assert_usage, code, stderr, stdout};

/// In a folder of its own, since some runs write to a default place.
fn sim_in(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vouchsafe"));
    command.arg("sim").args(args).stdin(Stdio::null()).current_dir(folder).output().unwrap()
}

fn sim(args: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let output = sim_in(folder.path(), args);
    if args.contains(&"--json") {
        assert!(folder.path().read_dir().unwrap().next().is_none(), "JSON without --out writes no files");
    }
    output
}

/// The one line of JSON of a run that went well.
fn json(args: &[&str]) -> Value {
    let output = sim(&[&["--json", "--nodes", "40", "--links", "6", "--rumors", "4"], args].concat());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let line = stdout(&output);
    assert_eq!((line.matches('\n').count(), line.ends_with('\n')), (1, true));
    serde_json::from_str(&line).unwrap()
}

#[test]
fn json_has_exactly_the_fields_of_the_help_text() {
    let report = json(&["--liars", "25%", "--adversary", "announce"]);
    let mut fields: Vec<_> = report.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    let mut expected = [
        "nodes",
        "liars",
        "adversary",
        "rumors",
        "coverage",
        "complete",
        "copies",
        "announcements",
        "bytes_ratio",
        "hops_max",
        "p50_ms",
        "p99_ms",
        "max_ms",
        "offences",
        "convicted",
        "false_bans",
        "trace",
        "conviction_p50_ms",
        "conviction_max_ms",
        "body_bytes",
        "entries",
        "queued_bytes",
        "wants",
    ];
    expected.sort_unstable();
    assert_eq!(fields, expected);
    for (field, value) in [("nodes", 40), ("liars", 10), ("rumors", 4), ("complete", 4), ("false_bans", 0)] {
        assert_eq!(report[field], value, "{field}");
    }
    assert_eq!((&report["adversary"], &report["coverage"]), (&Value::from("announce"), &Value::from(1.0)));
    let number = |field: &str| report[field].as_f64().unwrap();
    assert!(number("copies") >= 1.0 && number("bytes_ratio") > 1.0 && number("announcements") > 0.0);
    assert!(
        0.0 < number("p50_ms")
            && number("p50_ms") <= number("p99_ms")
            && number("p99_ms") <= number("max_ms")
    );
}

#[test]
fn convictions_have_a_time_and_nodes_a_memory() {
    let calm = json(&[]);
    assert!(calm["adversary"].is_null() && calm["liars"] == 0, "{calm}");
    assert!(calm["conviction_p50_ms"].is_null() && calm["conviction_max_ms"].is_null(), "{calm}");
    // Four rumors of 300 bytes are all that anybody can hold.
    assert_eq!((&calm["body_bytes"], &calm["entries"]), (&Value::from(1_200), &Value::from(4)));
    let report = json(&["--liars", "1", "--adversary", "equivocate"]);
    let number = |field: &str| report[field].as_f64().unwrap();
    assert_eq!(report["convicted"], 39);
    assert!(0.0 < number("conviction_p50_ms") && number("conviction_p50_ms") <= number("conviction_max_ms"));
    assert!(number("conviction_max_ms") < 1_000.0, "{report}");
    let args = ["--nodes", "40", "--links", "6", "--liars", "1", "--adversary", "equivocate"];
    let table = stdout(&sim(&args));
    assert!(table.contains("after the second word was said") && table.contains("index entries"), "{table}");
}

#[test]
fn liars_that_act_late_are_given_time_in_single_runs() {
    // The same up to the turn, and another run from there on.
    let trace = |liar: &str| json(&["--liars", "10%", "--adversary", liar])["trace"].clone();
    assert_eq!(trace("flash"), trace("silent@10"));
    assert_ne!(trace("silent@10"), trace("announce@10"));
    assert_eq!(json(&["--liars", "1", "--adversary", "equivocate-late"])["convicted"], 39);
}

#[test]
fn help_names_every_adversary() {
    let help = stdout(&sim(&["--help"]));
    let help: String = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for liar in vouchsafe::sim::Liar::ALL {
        assert!(help.contains(&liar.to_string()), "{liar} in {help}");
    }
    for words in ["silent, censor-author", "; a+b for both", "a@10", "k is 1024", "up to 2 ms more"] {
        assert!(help.contains(words), "{words} in {help}");
    }
    assert!(!help.contains("chosen at random"));
}

#[test]
fn a_table_says_what_was_unusual() {
    let small = ["--nodes", "20", "--links", "4", "--rumors", "2"];
    let unusual = ["--loss", "5%", "--uplink", "500k", "--hold-back", "500ms", "--clock-spread", "2s"];
    let said =
        ["5 % of the frames lost once", "uplinks of 512000 bytes", "held back for 0.5 s", "clocks up to 2 s"];
    let table = stdout(&sim(&[&small[..], &unusual].concat()));
    said.iter().for_each(|words| assert!(table.contains(words), "{words} in {table}"));
    assert!(table.contains(" us a delivery)"), "{table}");
}

#[test]
fn newcomers_are_late_from_when_they_came() {
    let report = json(&["--churn", "5", "--rate", "1"]);
    assert!(report["nodes"].as_u64().unwrap() > 40);
    assert_eq!(report["coverage"], 1.0);
    assert!(report["max_ms"].as_f64().unwrap() < 2_000.0, "{report}");
}

#[test]
fn a_network_can_be_given_link_by_link() {
    let folder = tempfile::tempdir().unwrap();
    let ring: String = (0..40).map(|node| format!("{node} {}\n", (node + 1) % 40)).collect();
    std::fs::write(folder.path().join("ring.txt"), ring).unwrap();
    let args = ["--nodes", "40", "--rumors", "2", "--topology", "edges:ring.txt"];
    let output = sim_in(folder.path(), &args);
    let table = stdout(&output);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(table.contains("40 given links"), "{table}");
    let hops =
        table.lines().find_map(|line| line.strip_prefix("hops")?.split_whitespace().next()?.parse().ok());
    // The far side of a ring of 40 is 20 away; the slower way round may be one longer.
    assert!((20..=22).contains(&hops.unwrap_or(0)), "{table}");
    let output = sim_in(folder.path(), &["--nodes", "39", "--topology", "edges:ring.txt"]);
    assert_usage(&output, &["--nodes 40"]);
}

#[test]
fn the_same_flags_give_the_same_line_and_another_seed_another_trace() {
    let flags = ["--liars", "0.2", "--loss", "5%", "--uplink", "500k", "--clock-spread", "2s"];
    let one = json(&flags);
    assert_eq!(one, json(&flags));
    let other = json(&[&flags[..], &["--seed", "2"]].concat());
    assert_ne!(one["trace"], other["trace"]);
    // Each flag means something: without it the run is another one.
    for (flag, value) in [
        ("--liars", "3"),
        ("--size", "2k"),
        ("--rate", "100"),
        ("--latency", "20"),
        ("--latency", "5-40"),
        ("--loss", "0.1"),
        ("--uplink", "1M"),
        ("--hold-back", "500ms"),
        // Far beyond what clocks may differ: rumors are refused.
        ("--clock-spread", "300s"),
        ("--tail", "5s"),
        ("--topology", "hub:2"),
        ("--topology", "regular"),
        ("--topology", "small-world"),
        ("--churn", "2"),
        ("--churn", "0:4"),
        ("--baseline", "cycle"),
        ("--baseline", "infect-and-die:3"),
        ("--baseline", "mesh"),
    ] {
        assert_ne!(json(&[flag, value])["trace"], json(&[])["trace"], "{flag}");
    }
    assert_ne!(json(&["--cold"])["trace"], json(&[])["trace"]);
    let liars = ["--liars", "10"];
    for (flag, value) in [("--placement", "cut"), ("--placement", "around"), ("--grasp", "3")] {
        assert_ne!(
            json(&[&liars[..], &[flag, value]].concat())["trace"],
            json(&liars)["trace"],
            "{flag} {value}"
        );
    }
}

#[test]
fn a_run_prints_a_table_and_draws_its_plots() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["--nodes", "40", "--links", "6", "--rumors", "4", "--out", "made/here"];
    let output = sim_in(folder.path(), &args);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let table = stdout(&output);
    let rows = [
        "network",
        "rumors",
        "coverage",
        "copies",
        "announcements",
        "bytes",
        "hops",
        "latency",
        "offences",
        "convicted",
        "false bans",
        "repeated",
        "memory",
        "trace",
        "cost",
        "plots",
    ];
    let mut lines = table.lines().filter(|line| !line.starts_with(' '));
    rows.iter().for_each(|row| assert!(lines.next().unwrap().starts_with(row), "{row} in {table}"));
    assert!(table.contains("100 %  (160 of 160 deliveries; 4 of 4 rumors"), "{table}");
    for plot in ["latency.svg", "coverage.svg"] {
        let picture = std::fs::read_to_string(folder.path().join("made/here").join(plot)).unwrap();
        assert!(picture.starts_with("<svg") && picture.ends_with("</svg>\n") && picture.contains("40 nodes"));
        assert!(!picture.contains("NaN") && !picture.contains("inf"), "{picture}");
    }
}

#[test]
fn what_cant_be_used_is_named_with_its_remedy() {
    for (args, words) in [
        (&["--nodes", "1"][..], &["--nodes", "2 to 1000000"][..]),
        (&["--nodes", "many"], &["many", "2 to 1000000"]),
        (&["--nodes", "20,40"], &["20,40", "2 to 1000000"]),
        (&["--links", "0"], &["--links", "1..=48"]),
        (&["--liars", "1.5"], &["1.5", "33%"]),
        (&["--liars", "-1"], &["-1", "33%"]),
        (&["--nodes", "50", "--liars", "50"], &["50 of 50", "at most 49"]),
        (&["--nodes", "50", "--liars", "100%"], &["50 of 50", "at most 49"]),
        (&["--adversary", "lazy"], &["lazy", "silent", "announce"]),
        (&["--adversary", "silent,slow"], &["silent,slow", "a+b for both"]),
        (&["--rumors", "0"], &["--rumors"]),
        (&["--rate", "0"], &["--rate", "more than 0"]),
        (&["--rate", "fast"], &["fast", "per second"]),
        (&["--nodes", "10", "--rate", "500"], &["--rate 500", "10 honest nodes", "320"]),
        (&["--size", "65537"], &["65537", "65536"]),
        (&["--latency", "far"], &["far", "geometric", "table:FILE"]),
        (&["--latency", "table:/no/such/file"], &["/no/such/file", "check the path"]),
        (&["--loss", "2"], &["--loss", "5%"]),
        (&["--uplink", "0"], &["--uplink", "500k"]),
        (&["--hold-back", "2"], &["--hold-back", "2s"]),
        (&["--hold-back", "90s"], &["90s", "60 s"]),
        (&["--clock-spread", "-1s"], &["-1s", "2s, 500ms"]),
        (&["--topology", "ring"], &["ring", "small-world:PERCENT", "edges:FILE"]),
        (&["--topology", "edges:/no/such/file"], &["/no/such/file", "check the path"]),
        (&["--placement", "middle", "--liars", "3"], &["middle", "around:N"]),
        (&["--placement", "around:50", "--nodes", "50", "--liars", "3"], &["node 50 of 50", "at most 49"]),
        (&["--placement", "cut"], &["--placement", "--liars"]),
        (&["--grasp", "3"], &["--grasp", "--liars"]),
        (&["--churn", "-1"], &["-1", "LEAVE:JOIN"]),
        (&["--seed", "-1"], &["--seed"]),
        (&["--baseline", "rumour-mill"], &["rumour-mill", "infect-and-die"]),
        (&["--tail", "long"], &["--tail", "2s, 500ms"]),
        (&["--out", "/dev/null/folder", "--nodes", "10"], &["/dev/null/folder", "check the path"]),
        // What belongs to the reports of the laboratory.
        (&["--matrix"], &["--matrix"]),
        (&["--seeds", "5"], &["--seeds"]),
        (&["--memory", "1M"], &["--memory"]),
        (&["--adversary", "flash"], &["--adversary", "give --liars"]),
        (&["--adversary", "flash", "--liars", "0"], &["--adversary", "give --liars"]),
    ] {
        assert_usage(&sim(args), words);
    }
}
