//! The live page in a headless browser. `cli/tests/page/install.sh` installs what it needs; where that is missing, the test says so and
//! proves nothing. With `VOUCHSAFE_PAGE=require` that is a failure.

#![cfg(unix)]

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use vouchsafe_cli::agent::page;

/// How the script says that there is no browser.
const SKIPPED: i32 = 77;

#[test]
fn the_page_shows_the_network_and_nothing_of_a_member_runs() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page");
    // The page is tried with the headers that the agent sends, so under its policy.
    let headers: serde_json::Map<_, _> =
        page::headers().into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    let headers = serde_json::Value::from(headers).to_string();
    let run = Command::new("node").arg(folder.join("browser.mjs")).env("PAGE_HEADERS", headers).output();
    let told = match run {
        Ok(run) if run.status.success() => {
            // What was left out, and how long an event took.
            String::from_utf8_lossy(&run.stdout).into_owned()
        }
        Ok(run) if run.status.code() == Some(SKIPPED) => skipped(&String::from_utf8_lossy(&run.stdout)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            skipped("skipped: there is no node in the PATH")
        }
        Ok(run) => panic!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr)),
        Err(error) => panic!("node: {error}"),
    };
    // Past the capture of a test that passes: a test that was skipped must not look like one that passed.
    let _ = std::io::stderr().write_all(format!("{}\n", told.trim_end()).as_bytes());
}

fn skipped(why: &str) -> String {
    let why = format!("the page was NOT tried in a browser: {}", why.trim());
    assert!(std::env::var("VOUCHSAFE_PAGE").as_deref() != Ok("require"), "{why}");
    why
}
