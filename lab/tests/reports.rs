//! The reports of `vouchsafe-lab` from outside: what is written and printed, what is refused, and the exit codes.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use vouchsafe_testkit::command::{assert_usage, code, stderr, stdout};

/// In a folder of its own, since some runs write to a default place.
fn lab_in(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vouchsafe-lab"));
    command.args(args).stdin(Stdio::null()).current_dir(folder).output().unwrap()
}

fn lab(args: &[&str]) -> Output {
    lab_in(tempfile::tempdir().unwrap().path(), args)
}

#[test]
fn reports_say_what_was_unusual_and_how_they_are_made() {
    let folder = tempfile::tempdir().unwrap();
    let unusual = "--nodes 20 --links 4 --rumors 2 --loss 5% --uplink 500k --hold-back 500ms --clock-spread 2s \
                   --topology regular --churn 1 --cold --out m";
    let said = [
        "5 % of the frames lost once",
        "uplinks of 512000 bytes",
        "held back for 0.5 s",
        "clocks up to 2 s",
        "regular",
        "1 leave and 1 come a second",
        "from a cold start",
    ];
    for (mode, file) in
        [("matrix --adversary silent --placement cut", "m/matrix.md"), ("study hops", "m/study.md")]
    {
        let line = format!("{mode} {unusual}");
        let output = lab_in(folder.path(), &line.split_whitespace().collect::<Vec<_>>());
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        let report = std::fs::read_to_string(folder.path().join(file)).unwrap();
        said.iter().for_each(|words| assert!(report.contains(words), "{words} in {report}"));
        assert!(report.contains(&format!("Made by `vouchsafe-lab {line}`.")), "{report}");
        assert_eq!(report.contains("liars at the cut"), file == "m/matrix.md", "{report}");
    }
}

#[test]
fn classic_shows_the_formula_beside_what_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["classic", "--nodes", "20,40,80,160", "--fanout", "4", "--out", "."];
    let output = lab_in(folder.path(), &args);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
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
    let again = |seed: &str| stdout(&lab(&["classic", "--seeds", "50", "--nodes", "500", "--seed", seed]));
    assert_eq!(again("1"), again("1"));
}

#[test]
fn the_matrix_writes_its_report_and_its_plots() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["matrix", "--nodes", "30", "--links", "6", "--rumors", "5", "--adversary", "silent,announce"];
    let output = lab_in(folder.path(), &[&args[..], &["--out", "m"]].concat());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
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
        let args = ["matrix", "--nodes", "30", "--links", "6", "--rumors", "5", "--out", "m"];
        lab_in(folder.path(), &[&args[..], more].concat())
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
    assert_eq!((code(&output), kept(&output)), (0, 0), "{}", stderr(&output));
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
        assert_usage(&matrix(&[&["--resume"], more].concat()), words);
        assert_eq!(read(), edited);
    }
    let output = matrix(&["--resume", "--adversary", "slow,announce"]);
    assert_eq!((code(&output), kept(&output)), (0, 3), "{}", stderr(&output));
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
    assert_eq!((code(&output), kept(&output)), (0, 9), "{}", stderr(&output));
    assert!(folder.path().join("m/copies.svg").exists());
}

#[test]
fn a_study_writes_its_report_and_its_plots() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["study", "linger,hops", "--nodes", "30", "--links", "6", "--rumors", "4", "--out", "s"];
    let output = lab_in(folder.path(), &args);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
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
fn help_names_every_adversary() {
    let help = stdout(&lab(&["matrix", "--help"]));
    let help: String = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for liar in vouchsafe::sim::Liar::ALL {
        assert!(help.contains(&liar.to_string()), "{liar} in {help}");
    }
    for words in ["silent, censor-author", "; a+b for both", "a@10", "--resume", "k is 1024"] {
        assert!(help.contains(words), "{words} in {help}");
    }
}

#[test]
fn what_cant_be_used_is_named_with_its_remedy() {
    for (args, words) in [
        ("", &["Usage"][..]),
        ("gossip", &["gossip"]),
        ("classic --nodes 1", &["--nodes", "2 to 1000000"]),
        ("classic --fanout 1", &["--fanout", "2.."]),
        ("classic --nodes 4 --fanout 4", &["--fanout 4", "at most 3"]),
        ("classic --json", &["--json"]),
        ("classic --liars 3", &["--liars"]),
        ("classic --memory 1G", &["--memory"]),
        ("matrix --nodes 20,40", &["20,40", "2 to 1000000"]),
        ("matrix --nodes 10 --rate 500", &["--rate 500", "5 honest nodes", "160"]),
        ("matrix --adversary lazy", &["lazy", "silent", "announce"]),
        ("matrix --limit long", &["--limit", "2s, 500ms"]),
        ("matrix --memory 0", &["--memory", "500M, 8G"]),
        ("matrix --liars 3", &["--liars"]),
        ("matrix --baseline mesh", &["--baseline"]),
        ("matrix --json", &["--json"]),
        ("matrix --placement around:50 --nodes 50", &["node 50 of 50", "at most 49"]),
        ("study", &["<NAME>"]),
        ("study speed", &["speed", "eager", "all"]),
        ("study eager --liars 3", &["--liars"]),
        ("study eager --limit 1s", &["--limit"]),
        ("study eager --nodes 30 --rate 700", &["20 honest nodes", "640"]),
    ] {
        assert_usage(&lab(&args.split_whitespace().collect::<Vec<_>>()), words);
    }
    for command in ["soak", "matrix", "classic", "study all"] {
        let args: Vec<_> = command.split(' ').chain(["--out", "-"]).collect();
        assert_usage(&lab(&args), &["--out -", "--json", "./-"]);
        let args: Vec<_> = command.split(' ').chain(["--out", "/dev/null/folder"]).collect();
        assert_usage(&lab(&args), &["/dev/null/folder", "check the path"]);
    }
}
