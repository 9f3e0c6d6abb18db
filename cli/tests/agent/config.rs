//! `--check-config`, and what a start says of a bad configuration.

use vouchsafe_testkit::command::{assert_usage, code, stderr, stdout};

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
fn what_the_file_names_is_looked_at_without_a_start() {
    use std::os::unix::fs::PermissionsExt as _;

    let place =
        Place::new("allow_list = \"missing\"\n[api]\ntcp = \"127.0.0.1:0\"\ntoken_file = \"token\"\n");
    let token = place.folder.path().join("token");
    std::fs::write(&token, "0123456789abcdef").unwrap();
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::write(place.state(), "").unwrap();
    for flags in [&["--check-config"][..], &[]] {
        let words = [
            "3 faults",
            "agent.toml:4: state ",
            "this is no folder: name another",
            "agent.toml:5: allow_list ",
            "check the path and its permissions",
            "agent.toml:8: the token file ",
            "chmod 600",
        ];
        assert_usage(&place.command(flags).output().unwrap(), &words);
    }
    // A flag takes its place, and a flag is in no line.
    let output = place.command(&["--check-config", "--allow-list", "/no/such/file"]).output().unwrap();
    assert_usage(&output, &["\nallow_list /no/such/file: "]);
    std::fs::remove_file(&token).unwrap();
    std::fs::remove_file(place.state()).unwrap();
    place.write("");
    assert_eq!(code(&place.command(&["--check-config"]).output().unwrap()), 0);
    assert!(!place.state().exists() && !token.exists());
}

#[test]
fn all_faults_are_counted_and_the_first_are_told() {
    let place = Place::new(&(0..250).map(|number| format!("unknown{number} = 1\n")).collect::<String>());
    let output = place.command(&["--check-config"]).output().unwrap();
    assert_usage(&output, &["250 faults", "\"unknown99\"", "150 more"]);
    assert!(!stderr(&output).contains("unknown100"));
}

#[test]
fn a_file_that_is_none_is_refused() {
    let place = Place::new("");
    let check =
        |path: &std::path::Path| run(&["agent", "--check-config", "--config", path.to_str().unwrap()]);
    assert_usage(&check(place.folder.path()), &["--config", "directory", "check the path"]);
    std::fs::write(place.config(), b"network = \"a\"\n\xff\n").unwrap();
    assert_usage(&check(&place.config()), &["no", "text (UTF-8), from line 2 on"]);
    std::fs::File::create(place.config()).unwrap().set_len(40 << 20).unwrap();
    assert_usage(&check(&place.config()), &["more than 33554432 bytes"]);
    std::fs::write(place.config(), format!("{}\nnetwork = 5\n", "#".repeat(10 << 20))).unwrap();
    assert_usage(&check(&place.config()), &["agent.toml:2: network is a text"]);
    std::fs::write(place.config(), "").unwrap();
    assert_eq!(code(&check(&place.config())), 0);
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
