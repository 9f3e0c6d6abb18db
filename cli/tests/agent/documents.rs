//! The lines of docs/api.md, run as they stand; and the files that are installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use vouchsafe_testkit::command::{code, stderr, stdout};

use crate::world::{TOPICS, pair, vouchsafe};

fn repository(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file)
}

fn read(file: &str) -> String {
    let path = repository(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The blocks of a document that are in this language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

/// What a line of a document has printed, which is no error.
fn no_error(line: &str, output: &Output) -> String {
    let said = stdout(output);
    assert!(!said.contains("\"error\""), "{line}: {said}");
    said
}

#[test]
fn every_line_of_the_document_of_the_interface_does_what_it_says() {
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!("there is no curl here: the lines of docs/api.md were not run");
        return;
    }
    let config = format!("{TOPICS}[[handler]]\non = \"query:load\"\nrun = [\"uptime\"]\n");
    let [(_a, first), (_b, second)] = pair(&config);
    let document = read("docs/api.md");
    let (mut variables, mut ran, mut paths) = (String::new(), 0, String::new());
    for line in blocks(&document, "sh").iter().flat_map(|block| block.lines()) {
        if !line.contains("curl ") || line.starts_with("KEY=") {
            variables.push_str(&format!("{line}\n"));
            continue;
        }
        let run = |line: &str| {
            let script = format!("set -u\n{variables}{line}\n");
            Command::new("sh").args(["-c", &script]).env("S", &first.socket).output().unwrap()
        };
        if line.contains("# stream") || line.contains("# quiet stream") {
            assert!(line.contains("timeout 2 "), "{line}");
            // A slow machine has longer for it than the document says.
            let mut seconds = [2, 4, 8, 16, 32, 64].iter();
            assert!(
                seconds.any(|seconds| {
                    let output = run(&line.replace("timeout 2 ", &format!("timeout {seconds} ")));
                    let said = no_error(line, &output);
                    // It is ended from outside.
                    assert_eq!(code(&output), 124, "{line}: {}", stderr(&output));
                    // Where nothing happens just then it says where it stands.
                    said.contains("event: ") || line.contains("# quiet") && said.starts_with("id: ")
                }),
                "{line}"
            );
        } else {
            let output = run(&line.replace("within=5s", "within=60s"));
            let said = no_error(line, &output);
            assert_eq!(code(&output), 0, "{line}: {}", stderr(&output));
            assert!(said.starts_with('{') || line.contains("/metrics"), "{line}: {said}");
        }
        ran += 1;
        paths.push_str(line);
    }
    assert!(ran >= 20, "{ran}");
    // Each path of the agent stands in the document.
    let routes = read("cli/src/agent/api/route.rs");
    let known: Vec<_> =
        routes.split('"').filter(|word| word.starts_with("/v1/") || *word == "/metrics").collect();
    assert!(known.len() > 40);
    known.iter().for_each(|path| assert!(document.contains(path), "{path} is not in docs/api.md"));
    assert_eq!(second.stop(), Some(0));
}

#[test]
fn every_kind_of_happening_stands_in_the_document() {
    let document = read("docs/api.md");
    let source = read("cli/src/agent/happening.rs");
    let kinds = source.split("KINDS: [").nth(1).unwrap().split("];").next().unwrap();
    let kinds: Vec<_> = kinds.split('"').skip(1).step_by(2).collect();
    assert_eq!(kinds.len(), 35);
    kinds.iter().for_each(|kind| assert!(document.contains(&format!("`{kind}`")), "{kind}"));
}

#[test]
fn every_impairment_stands_in_the_handbook_and_in_the_figures() {
    let handbook = read("docs/operations.md");
    let figures = read("cli/src/agent/api/metrics.rs");
    let source = read("src/protocol/impairment.rs");
    let body = source.split("pub enum Impairment {").nth(1).unwrap().split("\n}").next().unwrap();
    let names: Vec<_> = body
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("///"))
        .map(|line| line.trim_end_matches(','))
        .collect();
    let names: Vec<_> = names.into_iter().filter(|name| !name.is_empty()).collect();
    assert!(names.len() >= 13, "{names:?}");
    for name in names {
        assert!(handbook.contains(&format!("`{name}`")), "{name} is not in docs/operations.md");
        assert!(figures.contains(&format!("Impairment::{name},")), "{name} is no figure");
    }
}

#[test]
fn dashboard_alerts_and_unit_name_what_there_is() {
    let place = crate::world::Place::new("");
    let agent = place.start(&[]);
    let metrics = agent.ask("GET", "/metrics", b"").1;
    let known: std::collections::BTreeSet<_> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        // What has not been heard yet has no figure.
        .chain(["vouchsafe_heard_ago_seconds"])
        .collect();
    let dashboard = read("contrib/grafana-dashboard.json");
    serde_json::from_str::<serde_json::Value>(&dashboard).unwrap();
    for text in [&dashboard, &read("contrib/alerts.yml")] {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let names: Vec<_> = words.filter(|word| word.starts_with("vouchsafe_")).collect();
        assert!(names.len() >= 5);
        names.iter().for_each(|name| assert!(known.contains(name), "{name} is no figure"));
    }
    let unit = read("contrib/vouchsafe.service");
    for line in
        ["Type=notify", "WatchdogSec=", "ExecReload=/bin/kill -HUP $MAINPID", "StateDirectory=vouchsafe"]
    {
        assert!(unit.contains(line), "{line}");
    }
    let example = repository("contrib/agent.toml");
    let output = vouchsafe().args(["agent", "--check-config", "--config"]).arg(example).output().unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
}

#[test]
fn the_handbook_leads_to_three_agents_in_ten_commands_at_the_most() {
    let handbook = read("docs/operations.md");
    let block = &blocks(&handbook, "sh")[0];
    assert!(block.lines().count() <= 10);
    let folder = tempfile::tempdir().unwrap();
    let command = PathBuf::from(env!("CARGO_BIN_EXE_vouchsafe"));
    // As it stands, but for what is built already, and for ports that others may use. Agents end with the shell that began them.
    let lines = block.lines().filter(|line| !line.starts_with("cargo "));
    let lines: String = lines.map(|line| format!("{line}\n")).collect();
    let lines =
        ["4401", "4402", "4403"].iter().fold(lines, |lines, port| lines.replace(&format!(":{port}"), ":0"));
    let script = format!(
        "trap 'kill $(jobs -p)' EXIT\n{lines}\
         until [ $(vouchsafe members --api a --json | grep -c alive) = 3 ]; do sleep 0.1; done\nvouchsafe members --api a\n"
    );
    let path = format!("{}:{}", command.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let output = Command::new("timeout")
        .args(["100", "bash", "-c", &script])
        .current_dir(folder.path())
        .env("PATH", path)
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    for state in ["a", "b", "c"] {
        assert!(folder.path().join(state).join("node.key").exists());
    }
    assert!(stdout(&output).lines().filter(|line| line.contains("alive")).count() >= 3);
}
