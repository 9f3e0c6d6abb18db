//! `--check-config`, and what a start says of a bad configuration.

use vouchsafe_testkit::command::{assert_usage, code, stdout};

use crate::world::{Place, TOPICS, run, until};

#[test]
fn all_faults_are_named_with_their_lines_and_nothing_starts() {
    let place = Place::new(
        "profile2 = 1\nmetadata = 5\nallow_list = \"allow\"\n[[topic]]\nname = \"a\"\nslots = 0\n",
    );
    std::fs::write(place.folder.path().join("allow"), "11\n").unwrap();
    for flags in [&["--check-config"][..], &[]] {
        let output = place.command(flags).output().unwrap();
        let words = [
            "agent.toml:5: ",
            "profile2",
            "agent.toml:6: ",
            "agent.toml:10: ",
            "allow:1: ",
            "64 hexadecimal",
        ];
        assert_usage(&output, &words);
    }
    assert!(!place.state().exists());
}

#[test]
fn a_good_file_is_called_so_and_flags_override_it() {
    let place = Place::new(TOPICS);
    let output = place.command(&["--check-config"]).output().unwrap();
    assert_eq!((code(&output), stdout(&output).contains("no fault")), (0, true));
    assert!(!place.state().exists());
    let agent = place.start(&["--network", "other", "--profile", "mobile", "--metadata", "by flag"]);
    let info = agent.get("/v1/info");
    assert_eq!((&info["network"], &info["profile"]), (&"other".into(), &"mobile".into()));
    until("it is a member", || agent.get("/v1/members")["members"][0]["metadata"] == "by flag");
}

#[test]
fn flags_that_can_not_be_used_are_refused() {
    for (flags, word) in [
        (&["--api-tcp", "0.0.0.0:1"][..], "other machines"),
        (&["--log", "loud"], "no level"),
        (&["--profile", "fast"], "hardened"),
        (&["--config", "/no/such/file"], "/no/such/file"),
        (&["--listen", "4433"], "HOST:PORT"),
        (&["--allow-list", "/no/such/file"], "/no/such/file"),
    ] {
        let output = run(&[&["agent", "--state", "/nonexistent/state"], flags].concat());
        assert_usage(&output, &[word]);
    }
}

#[test]
fn a_folder_that_others_can_read_or_that_is_none_is_refused() {
    let place = Place::new("");
    std::fs::create_dir(place.state()).unwrap();
    std::fs::write(place.state().join("letter"), "x").unwrap();
    assert_usage(&place.command(&[]).output().unwrap(), &["letter", "no state folder"]);
}
