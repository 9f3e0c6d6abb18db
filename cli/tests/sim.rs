//! `vouchsafe sim` from outside: what it prints and writes, what it refuses, and its exit codes.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

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

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The one line of JSON of a run that went well.
fn json(args: &[&str]) -> Value {
    let output = sim(&[&["--json", "--nodes", "40", "--links", "6", "--rumors", "4"], args].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
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
    for words in ["silent, censor-author", "back-dated; a+b for both", "a@10", "k is 1024", "up to 2 ms more"]
    {
        assert!(help.contains(words), "{words} in {help}");
    }
    assert!(!help.contains("chosen at random"));
}

#[test]
fn reports_say_what_was_unusual_and_how_they_are_made() {
    let folder = tempfile::tempdir().unwrap();
    let small = ["--nodes", "20", "--links", "4", "--rumors", "2"];
    let unusual = ["--loss", "5%", "--uplink", "500k", "--hold-back", "500ms", "--clock-spread", "2s"];
    let said =
        ["5 % of the frames lost once", "uplinks of 512000 bytes", "held back for 0.5 s", "clocks up to 2 s"];
    let table = stdout(&sim_in(folder.path(), &[&small[..], &unusual].concat()));
    said.iter().for_each(|words| assert!(table.contains(words), "{words} in {table}"));
    assert!(table.contains(" us a delivery)"), "{table}");
    let shape = ["--topology", "regular", "--churn", "1", "--cold", "--out", "m"];
    for (mode, value, file) in [("--adversary", "silent", "m/matrix.md"), ("--study", "hops", "m/study.md")] {
        let mut args = [&[mode, value], &small[..], &unusual, &shape].concat();
        if mode == "--adversary" {
            args.extend(["--matrix", "--placement", "cut"]);
        }
        let output = sim_in(folder.path(), &args);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let report = std::fs::read_to_string(folder.path().join(file)).unwrap();
        let more = ["regular", "1 leave and 1 come a second", "from a cold start"];
        said.iter().chain(&more).for_each(|words| assert!(report.contains(words), "{words} in {report}"));
        assert!(report.contains(&format!("Made by `vouchsafe sim {}`.", args.join(" "))), "{report}");
        assert_eq!(report.contains("liars at the cut"), mode == "--adversary", "{report}");
    }
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
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(table.contains("40 given links"), "{table}");
    let hops =
        table.lines().find_map(|line| line.strip_prefix("hops")?.split_whitespace().next()?.parse().ok());
    // The far side of a ring of 40 is 20 away; the slower way round may be one longer.
    assert!((20..=22).contains(&hops.unwrap_or(0)), "{table}");
    let output = sim_in(folder.path(), &["--nodes", "39", "--topology", "edges:ring.txt"]);
    assert!(output.status.code() == Some(2) && stderr(&output).contains("--nodes 40"), "{}", stderr(&output));
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
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
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
fn classic_shows_the_formula_beside_what_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["--classic", "--nodes", "20,40,80,160", "--fanout", "4", "--out", "."];
    let output = sim_in(folder.path(), &args);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let table = stdout(&output);
    let rows: Vec<Vec<f64>> = table
        .lines()
        .map(|line| line.split_whitespace().map_while(|cell| cell.parse().ok()).collect())
        .filter(|row: &Vec<f64>| row.len() == 5)
        .collect();
    let formula: Vec<_> = rows.iter().map(|row| (row[0], row[1])).collect();
    assert_eq!(formula, [(20.0, 2.16), (40.0, 2.66), (80.0, 3.16), (160.0, 3.66)], "{table}");
    for row in rows {
        // Who can tell four in a cycle can't be faster than growth by five.
        let least = row[0].log(5.0).ceil();
        assert!(least <= row[2] && row[2] <= row[3] && row[3] <= row[4] && row[4] < 12.0, "{table}");
    }
    let picture = std::fs::read_to_string(folder.path().join("classic.svg")).unwrap();
    assert!(picture.contains("log(n)/log(4)") && picture.contains("1000 seeds"));
    let again = |seed: &str| stdout(&sim(&["--classic", "--seeds", "50", "--nodes", "500", "--seed", seed]));
    assert_eq!(again("1"), again("1"));
}

#[test]
fn the_matrix_writes_its_report_and_its_plots() {
    let folder = tempfile::tempdir().unwrap();
    let args =
        ["--matrix", "--nodes", "30", "--links", "6", "--rumors", "5", "--adversary", "silent,announce"];
    let output = sim_in(folder.path(), &[&args[..], &["--out", "m"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report = std::fs::read_to_string(folder.path().join("m/matrix.md")).unwrap();
    assert!(report.contains("30 nodes") && !report.contains("Not finished"), "{report}");
    for row in [
        "| (no liars) | 0 % |",
        "| silent | 10 % |",
        "| silent | 50 % |",
        "| announce | 33 % |",
        "| cycle:4 | 0 % |",
        "| mesh:8 | 50 % |",
    ] {
        assert_eq!(report.matches(row).count(), 1, "{row} in {report}");
        assert!(stdout(&output).contains(row.split(' ').nth(1).unwrap()), "{row}");
    }
    let beside = std::fs::read_to_string(folder.path().join("m/baselines-copies.svg")).unwrap();
    assert!(
        beside.contains("vouchsafe") && beside.contains("infect-and-die:4") && beside.contains("50 % silent")
    );
    for plot in ["copies.svg", "p99.svg"] {
        assert!(report.contains(&format!("({plot})")), "{report}");
        let picture = std::fs::read_to_string(folder.path().join("m").join(plot)).unwrap();
        assert!(picture.contains("announce") && picture.contains("50 % lie") && !picture.contains("NaN"));
    }
    let files: Vec<_> =
        folder.path().join("m").read_dir().unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(files.iter().all(|file| !file.to_string_lossy().ends_with(".new")), "{files:?}");
}

#[test]
fn a_resumed_matrix_keeps_what_came_to_its_end_and_runs_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("m/matrix.md");
    let matrix = |more: &[&str]| {
        let args = ["--matrix", "--nodes", "30", "--links", "6", "--rumors", "5", "--out", "m"];
        sim_in(folder.path(), &[&args[..], more].concat())
    };
    let read = || std::fs::read_to_string(&file).unwrap();
    let row = |report: &str, begin: &str| {
        report
            .lines()
            .find(|line| line.starts_with(begin))
            .unwrap_or_else(|| panic!("{begin}: {report}"))
            .to_owned()
    };
    let kept = |output: &Output| stdout(output).lines().filter(|line| line.ends_with(" kept")).count();

    // Nothing to resume: from the beginning.
    let output = matrix(&["--resume", "--adversary", "announce"]);
    assert_eq!((output.status.code(), kept(&output)), (Some(0), 0), "{}", stderr(&output));
    let first = read();
    assert!(first.contains("\nCost: "), "{first}");

    // One row is told apart from what a run gives, one was given up, one broke a promise.
    let told = row(&first, "| announce | 10 %");
    let trace = told.split('`').nth(1).unwrap();
    let given_up = "| announce | 20 % | given up after 300 s, at 4.3 simulated seconds |";
    let edited = first
        .replace(trace, "0123456789abcdef")
        .replace(&row(&first, "| announce | 20 %"), given_up)
        .replace(
            "No honest node banned an honest one, and nothing was delivered twice, in any run.",
            "**Broken promises** (false bans, or repeated deliveries): announce at 33 %.",
        );
    std::fs::write(&file, &edited).unwrap();
    for (more, words) in [
        (&["--adversary", "announce", "--seed", "2"][..], &["seed 1.", "seed 2.", "--out"][..]),
        (&["--adversary", "announce", "--rate", "20"], &["10 a second", "20 a second"]),
        (&["--adversary", "announce", "--loss", "5%"], &["5 % of the frames lost once", "--out"]),
        (&["--adversary", "slow"], &["announce at 10 %", "would be lost"]),
    ] {
        let output = matrix(&[&["--resume"], more].concat());
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(2), ""), "{more:?}");
        words.iter().for_each(|word| assert!(stderr(&output).contains(word), "{word}: {}", stderr(&output)));
        assert_eq!(read(), edited);
    }
    let output = matrix(&["--resume", "--adversary", "slow,announce"]);
    assert_eq!((output.status.code(), kept(&output)), (Some(0), 3), "{}", stderr(&output));
    let second = read();
    assert_eq!(row(&second, "| announce | 10 %"), told.replace(trace, "0123456789abcdef"));
    for same in ["| (no liars) | 0 %", "| announce | 20 %", "| announce | 33 %", "| announce | 50 %"] {
        assert_eq!(row(&second, same), row(&first, same));
    }
    row(&second, "| slow | 50 %");
    assert!(!second.contains("Broken promises") && !second.contains("Not finished"), "{second}");
    assert!(second.contains("\nCost of this run only, without the 3 rows of an earlier one: "), "{second}");
    let copies = std::fs::read_to_string(folder.path().join("m/copies.svg")).unwrap();
    assert!(copies.contains("slow") && copies.contains("announce"));

    // All is there: nothing is run, and what was lost beside the table is drawn again.
    std::fs::remove_file(folder.path().join("m/copies.svg")).unwrap();
    let output = matrix(&["--resume", "--adversary", "announce,slow"]);
    assert_eq!((output.status.code(), kept(&output)), (Some(0), 9), "{}", stderr(&output));
    assert!(folder.path().join("m/copies.svg").exists());
}

#[test]
fn a_study_writes_its_report_and_its_plots() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["--study", "linger,hops", "--nodes", "30", "--links", "6", "--rumors", "4", "--out", "s"];
    let output = sim_in(folder.path(), &args);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report = std::fs::read_to_string(folder.path().join("s/study.md")).unwrap();
    assert!(report.contains("30 nodes") && !report.contains("Not finished"), "{report}");
    for row in ["| 0 | no liars |", "| 20 | 33 % announce-liars |", "| 4 | 33 % silent |"] {
        assert_eq!(report.matches(row).count(), 1, "{row} in {report}");
    }
    for plot in ["linger-copies.svg", "linger-p99.svg", "hops-copies.svg", "hops-p99.svg"] {
        assert!(report.contains(&format!("({plot})")), "{report}");
        let picture = std::fs::read_to_string(folder.path().join("s").join(plot)).unwrap();
        assert!(picture.contains("default") && picture.contains("33 % silent") && !picture.contains("NaN"));
    }
    // Its values are really set: no two runs of a parameter are the same.
    let traces: std::collections::BTreeSet<_> =
        report.lines().filter_map(|line| line.split('`').nth(1)).collect();
    assert!(traces.len() >= 5 * 3 + 3 * 3, "{report}");
}

#[test]
fn what_cant_be_used_is_named_with_its_remedy() {
    for (args, words) in [
        (&["--nodes", "1"][..], &["--nodes", "2 to 1000000"][..]),
        (&["--nodes", "many"], &["many", "2 to 1000000"]),
        (&["--nodes", "20,40"], &["--nodes", "--classic"]),
        (&["--links", "0"], &["--links", "1..=48"]),
        (&["--liars", "1.5"], &["1.5", "33%"]),
        (&["--liars", "-1"], &["-1", "33%"]),
        (&["--nodes", "50", "--liars", "50"], &["50 of 50", "at most 49"]),
        (&["--nodes", "50", "--liars", "100%"], &["50 of 50", "at most 49"]),
        (&["--adversary", "lazy"], &["lazy", "silent", "announce"]),
        (&["--adversary", "silent,slow"], &["--adversary", "--matrix"]),
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
        (&["--limit", "5s"], &["--matrix"]),
        (&["--resume"], &["--matrix"]),
        (&["--out", "/dev/null/folder", "--nodes", "10"], &["/dev/null/folder", "check the path"]),
        (&["--classic", "--fanout", "1"], &["--fanout", "2.."]),
        (&["--classic", "--nodes", "4", "--fanout", "4"], &["--fanout 4", "at most 3"]),
        (&["--classic", "--json"], &["--json", "--classic"]),
        (&["--classic", "--matrix"], &["--classic", "--matrix"]),
        (&["--classic", "--liars", "3"], &["--liars", "--classic"]),
        (&["--matrix", "--liars", "3"], &["--liars", "--matrix"]),
        (&["--study", "speed"], &["speed", "eager", "all"]),
        (&["--study", "eager", "--matrix"], &["--study", "--matrix"]),
        (&["--study", "eager", "--liars", "3"], &["--liars", "--study"]),
        (&["--fanout", "3"], &["--classic"]),
        // Each of these was once a plain run, whose last flag meant nothing.
        (&["--nodes", "30", "--rumors", "2", "--json", "--seeds", "5"], &["--seeds", "give --classic"]),
        (&["--nodes", "30", "--rumors", "2", "--json", "--memory", "1M"], &["--memory", "give --matrix"]),
        (&["--nodes", "30", "--rumors", "2", "--liars", "3", "--resume"], &["--resume", "give --matrix"]),
        (&["--nodes", "30", "--rumors", "2", "--liars", "3", "--limit", "1s"], &["--limit", "give --matrix"]),
        (
            &["--nodes", "100", "--liars", "33%", "--rumors", "2", "--fanout", "5"],
            &["--fanout", "give --classic"],
        ),
        (&["--study", "eager", "--limit", "1s"], &["--limit", "give --matrix"]),
        (&["--classic", "--memory", "1G"], &["--memory", "give --matrix"]),
        (&["--adversary", "flash"], &["--adversary", "give --liars"]),
        (&["--adversary", "flash", "--liars", "0"], &["--adversary", "give --liars"]),
    ] {
        let output = sim(args);
        let said = stderr(&output);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(2), ""), "{args:?}: {said}");
        words.iter().for_each(|word| assert!(said.contains(word), "no {word:?} for {args:?} in: {said}"));
        assert!(!said.contains("panicked"), "{said}");
    }
}
