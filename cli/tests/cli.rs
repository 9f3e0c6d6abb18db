//! The command from outside: what it prints, what it refuses, and its exit codes.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use bytes::Bytes;
use serde_json::Value;
use vouchsafe::rumor::{Bundle, seal};
use vouchsafe::{Evidence, NetworkId, Position, SecretKey, Topic};
use vouchsafe_testkit::command::{PATIENCE, Running, assert_usage, code, stderr, stdout, wait_for};

fn vouchsafe() -> Command {
    Command::new(env!("CARGO_BIN_EXE_vouchsafe"))
}

fn run(args: &[&str]) -> Output {
    vouchsafe().args(args).stdin(Stdio::null()).output().unwrap()
}

/// Runs with `input` on stdin.
fn run_with(args: &[&str], input: &[u8]) -> Output {
    let mut child = vouchsafe()
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // From a thread, or a full pipe would stop both sides. That the command does not read all of it is no fault.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

fn path(folder: &tempfile::TempDir, name: &str) -> (PathBuf, String) {
    let path = folder.path().join(name);
    let text = path.to_str().unwrap().to_owned();
    (path, text)
}

// ---- verify

fn vectors(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn line(key: &str, message: &str, signature: &str) -> String {
    format!("{{\"key\":\"{key}\",\"message\":\"{message}\",\"signature\":\"{signature}\"}}\n")
}

#[test]
fn verify_gives_the_verdicts_of_the_published_vectors() {
    let (mut lines, mut expected) = (String::new(), Vec::new());
    for group in vectors("wycheproof_ed25519.json")["testGroups"].as_array().unwrap() {
        let key = group["publicKey"]["pk"].as_str().unwrap();
        for test in group["tests"].as_array().unwrap() {
            lines += &line(key, test["msg"].as_str().unwrap(), test["sig"].as_str().unwrap());
            expected.push(test["result"] == "valid");
        }
    }
    assert_eq!(expected.len(), 151);
    for test in vectors("rfc8032.json").as_array().unwrap() {
        let field = |name: &str| test[name].as_str().unwrap();
        lines += &line(field("public"), field("message"), field("signature"));
        expected.push(true);
    }
    let output = run_with(&["verify", "--jsonl", "-"], lines.as_bytes());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let verdicts = stdout(&output);
    assert_eq!(verdicts.lines().count(), expected.len());
    for (number, (verdict, expected)) in verdicts.lines().zip(expected).enumerate() {
        let wanted = format!("{{\"single\":{expected},\"batch\":{expected}}}");
        assert_eq!(verdict, wanted, "line {}", number + 1);
    }
}

#[test]
fn verify_calls_wrong_lengths_false_and_goes_on() {
    let rfc = vectors("rfc8032.json");
    let field = |name: &str| rfc[1][name].as_str().unwrap().to_owned();
    let (key, message, signature) = (field("public"), field("message"), field("signature"));
    let lines = [
        line(&key, &message, &signature),
        line(&key[2..], &message, &signature),
        line(&key, &message, &signature[2..]),
        line("", "", ""),
        line(&key.to_uppercase(), &message, &signature),
    ];
    let folder = tempfile::tempdir().unwrap();
    let (file, text) = path(&folder, "lines.jsonl");
    // The last line without its newline.
    std::fs::write(file, lines.concat().trim_end()).unwrap();
    let output = run(&["verify", "--jsonl", &text]);
    let (yes, no) = ("{\"single\":true,\"batch\":true}\n", "{\"single\":false,\"batch\":false}\n");
    assert_eq!((code(&output), stdout(&output)), (0, [yes, no, no, no, yes].concat()));
}

#[test]
fn verify_names_the_bad_line_and_loses_nothing_before_it() {
    let rfc = vectors("rfc8032.json");
    let field = |name: &str| rfc[0][name].as_str().unwrap();
    let good = line(field("public"), field("message"), field("signature"));
    for (bad, word) in [
        ("not json\n", "one object a line"),
        ("{\"key\":\"00\",\"message\":\"00\"}\n", "signature"),
        ("{\"key\":\"0g\",\"message\":\"00\",\"signature\":\"00\"}\n", "hexadecimal"),
        ("{\"key\":1,\"message\":\"00\",\"signature\":\"00\"}\n", "one object a line"),
        ("\n", "one object a line"),
        ("\u{0}\u{ff}\n", "one object a line"),
    ] {
        // More than one batch before the bad line, and one good line after it.
        let input = good.repeat(70) + bad + &good;
        let output = run_with(&["verify", "--jsonl", "-"], input.as_bytes());
        assert_eq!(code(&output), 2);
        assert!(stderr(&output).contains("line 71") && stderr(&output).contains(word), "{}", stderr(&output));
        assert_eq!(stdout(&output), "{\"single\":true,\"batch\":true}\n".repeat(70));
    }
}

// ---- keygen

#[test]
fn keygen_writes_a_private_file_and_never_overwrites() {
    let folder = tempfile::tempdir().unwrap();
    let (file, text) = path(&folder, "node.key");
    let made = run(&["keygen", "--out", &text]);
    assert_eq!(code(&made), 0, "{}", stderr(&made));
    let key = SecretKey::load(&file).unwrap();
    assert_eq!(stdout(&made), format!("{}\n", key.public()));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_usage(&run(&["keygen", "--out", &text]), &[&text, "not overwritten"]);
    assert_eq!(SecretKey::load(&file).unwrap().public(), key.public());
    let shown = run(&["keygen", "--public-of", &text]);
    assert_eq!((code(&shown), stdout(&shown)), (0, stdout(&made)));
    assert_usage(&run(&["keygen", "--out", "/nonexistent/node.key"]), &["/nonexistent/node.key"]);
}

#[test]
fn keygen_without_a_file_prints_the_secret_alone_on_stdout() {
    let (one, other) = (run(&["keygen"]), run(&["keygen"]));
    let secret = stdout(&one);
    assert_ne!(secret, stdout(&other));
    let seed: [u8; 32] = hex::decode(secret.trim_end()).unwrap().try_into().unwrap();
    assert_eq!(stderr(&one), format!("public key: {}\n", SecretKey::from_seed(&seed).public()));
}

/// Stdout that nobody reads any more.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

/// Runs with a stdout that nobody reads.
fn run_unread(args: &[&str]) -> Output {
    let child =
        vouchsafe().args(args).stdin(Stdio::null()).stdout(closed()).stderr(Stdio::piped()).spawn().unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_key_that_could_not_be_written_out_is_a_failure() {
    let output = run_unread(&["keygen"]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("nobody has the key"), "{}", stderr(&output));
    // Nor is a public key told when it is not told, though here the secret is safe.
    let folder = tempfile::tempdir().unwrap();
    let (file, text) = path(&folder, "node.key");
    let output = run_unread(&["keygen", "--out", &text]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains(&format!("keygen --public-of {text}")), "{}", stderr(&output));
    assert!(SecretKey::load(file).is_ok());
    assert_eq!(code(&run_unread(&["keygen", "--public-of", &text])), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn a_key_is_not_written_into_nothing() {
    for (stdout, words) in [("/dev/full", "nobody has the key"), ("/dev/null", "nobody would have the key")] {
        let stdout = std::fs::OpenOptions::new().write(true).open(stdout).unwrap();
        let child = vouchsafe().arg("keygen").stdout(stdout).stderr(Stdio::piped()).spawn().unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(code(&output), 1);
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
}

#[test]
fn a_dash_is_stdin_or_stdout_and_never_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let here = |args: &[&str]| {
        vouchsafe().args(args).current_dir(folder.path()).stdin(Stdio::null()).output().unwrap()
    };
    let made = here(&["keygen", "--out", "-"]);
    assert_eq!((code(&made), stdout(&made).trim_end().len()), (0, 64), "{}", stderr(&made));
    let public = run_with(&["keygen", "--public-of", "-"], &made.stdout);
    assert_eq!(stderr(&made), format!("public key: {}", stdout(&public)));
    assert_eq!(code(&run_with(&["keygen", "--public-of", "-"], b"no key")), 2);
    for command in ["demo", "sim"] {
        assert_usage(&here(&[command, "--out", "-"]), &["--out -", "--json", "./-"]);
    }
    assert_usage(&here(&["node", "--key", "-"]), &["--key -", "path of a key file"]);
    assert_usage(
        &here(&["node", "--key", "x", "--position-log", "-"]),
        &["--position-log -", "path of a file"],
    );
    assert_usage(&run_with(&["demo", "--text", "-"], b"\n\n"), &["at least one line"]);
    assert_usage(&run_with(&["sim", "--latency", "table:-"], b"1 2\n"), &["as many rows as columns"]);
    assert_usage(&run_with(&["sim", "--topology", "edges:-"], b"1 1\n"), &["two different node numbers"]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn no_file_is_read_beyond_what_can_be_of_use() {
    let folder = tempfile::tempdir().unwrap();
    // A gigabyte that takes no room. Whoever reads it all takes a gigabyte of memory, or an eternity.
    let (huge, text) = path(&folder, "disk.image");
    std::fs::File::create(huge).unwrap().set_len(1 << 30).unwrap();
    assert_usage(&run(&["keygen", "--public-of", &text]), &["1073741824 bytes", "right file"]);
    assert_usage(&run(&["node", "--key", &text]), &["1073741824 bytes", "right file"]);
    assert_usage(&run(&["inspect", &text]), &["right file"]);
    assert_usage(&run(&["inspect", "--hex", "00", "--body", &text]), &["right file"]);
    assert_usage(&run(&["verify", "--jsonl", &text]), &["line 1", "right file"]);
    assert_usage(&run(&["demo", "--text", &text]), &["line 1", "break the line"]);
    for flag in [["--latency", "table"], ["--topology", "edges"]] {
        assert_usage(&run(&["sim", flag[0], &format!("{}:{text}", flag[1])]), &["it has more than"]);
    }
}

#[test]
fn what_is_wrong_with_a_key_file_is_said_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().to_str().unwrap();
    let unfit = |output: Output, words: &[&str]| {
        assert_usage(&output, words);
        for word in ["chmod", "keygen", "delete"] {
            assert!(!stderr(&output).contains(word), "{}", stderr(&output));
        }
    };
    for command in [["keygen", "--public-of"], ["node", "--key"]] {
        unfit(run(&[&command[..], &[text]].concat()), &[text, "a folder"]);
        let (file, text) = path(&folder, "notes");
        std::fs::write(file, "no key").unwrap();
        unfit(run(&[&command[..], &[&text]].concat()), &[&text, "64 hexadecimal digits"]);
    }
    let (_, missing) = path(&folder, "missing.key");
    assert_usage(&run(&["node", "--key", &missing]), &["no such key file", "vouchsafe keygen --out"]);
    // A key is no position log, by whatever name it goes.
    let (file, key) = path(&folder, "node.key");
    assert_eq!(code(&run(&["keygen", "--out", &key])), 0);
    unfit(run(&["node", "--key", &key, "--position-log", &key]), &["both the key and its position log"]);
    #[cfg(unix)]
    {
        let (link, text) = path(&folder, "link.positions");
        std::os::unix::fs::symlink(&file, link).unwrap();
        unfit(run(&["node", "--key", &key, "--position-log", &text]), &["both the key and its position log"]);
    }
    assert!(SecretKey::load(file).is_ok());
}

#[test]
fn a_position_log_or_address_that_cant_be_used_is_a_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    let (_, key) = path(&folder, "node.key");
    assert_eq!(code(&run(&["keygen", "--out", &key])), 0);
    let node = |flags: &[&str]| run(&[&["node", "--key", &key], flags].concat());
    let (garbage, text) = path(&folder, "garbage");
    std::fs::write(garbage, "garbage").unwrap();
    for position_log in [folder.path().to_str().unwrap(), &text, "/nonexistent/x.positions"] {
        assert_usage(&node(&["--position-log", position_log]), &[position_log]);
    }
    // Of a network for documentation: no machine has it.
    assert_usage(&node(&["--listen", "192.0.2.1:4433"]), &["192.0.2.1:4433"]);
}

// ---- inspect

fn say(key: &SecretKey, texts: &[&str]) -> Bundle {
    let topic = Topic::named("lobby").bind(NetworkId::of("test")).unwrap();
    let bodies: Vec<_> = texts.iter().map(|text| Bytes::copy_from_slice(text.as_bytes())).collect();
    seal(key, topic.id(), Position { tick: 1_700_000_000, slot: 3 }, &bodies).unwrap()
}

fn inspect_hex(bytes: &[u8]) -> Output {
    run(&["inspect", "--hex", &hex::encode(bytes)])
}

#[test]
fn inspect_tells_a_bundle() {
    let key = SecretKey::from_seed(&[1; 32]);
    let bundle = say(&key, &["first\x1b[2J", "second"]);
    let output = inspect_hex(bundle.encoded());
    let said = stdout(&output);
    assert_eq!(code(&output), 0, "{said}");
    for word in ["kind       bundle", &key.public().to_string(), "1700000000/4", "first\\u{1b}[2J", "holds:"]
    {
        assert!(said.contains(word), "no {word:?} in: {said}");
    }
    // Hexadecimal or raw in a file, and on stdin, it is the same bundle.
    let folder = tempfile::tempdir().unwrap();
    let (file, text) = path(&folder, "bundle");
    std::fs::write(&file, bundle.encoded()).unwrap();
    assert_eq!(stdout(&run(&["inspect", &text])), said);
    std::fs::write(&file, hex::encode(bundle.encoded()) + "\n").unwrap();
    assert_eq!(stdout(&run(&["inspect", &text])), said);
    assert_eq!(stdout(&run_with(&["inspect", "-"], bundle.encoded())), said);

    let mut changed = bundle.encoded().to_vec();
    *changed.last_mut().unwrap() ^= 1;
    let output = inspect_hex(&changed);
    assert_eq!(code(&output), 1);
    assert!(stdout(&output).contains("does not hold"));
    let mut forged = bundle.encoded().to_vec();
    forged[120] ^= 1;
    let output = inspect_hex(&forged);
    assert_eq!(code(&output), 1);
    assert!(stdout(&output).contains("did not sign"));
    // The verdict does not depend on who reads it.
    assert_eq!(code(&run_unread(&["inspect", "--hex", &hex::encode(forged)])), 1);
    assert_eq!(code(&run_unread(&["inspect", "--hex", &hex::encode(bundle.encoded())])), 0);
    assert_usage(
        &run(&["inspect", "--hex", &hex::encode(bundle.encoded()), "--body", &text]),
        &["--body", "a bundle"],
    );
}

#[test]
fn inspect_tells_a_proof_and_what_it_proves() {
    let bundle = std::sync::Arc::new(say(&SecretKey::from_seed(&[1; 32]), &["first", "second"]));
    let rumor = bundle.rumors().nth(1).unwrap();
    let proof = hex::encode(rumor.proof().encode());
    let output = run(&["inspect", "--hex", &proof]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stdout(&output).contains("kind       proof") && stdout(&output).contains("--body"));
    let folder = tempfile::tempdir().unwrap();
    let (file, text) = path(&folder, "body");
    std::fs::write(&file, "second").unwrap();
    let output = run(&["inspect", "--hex", &proof, "--body", &text]);
    assert_eq!(code(&output), 0);
    assert!(stdout(&output).contains(&rumor.id().to_string()));
    std::fs::write(&file, "other").unwrap();
    let output = run(&["inspect", "--hex", &proof, "--body", &text]);
    assert_eq!(code(&output), 1);
    assert!(stdout(&output).contains("does not hold"));
}

#[test]
fn inspect_tells_evidence() {
    let key = SecretKey::from_seed(&[1; 32]);
    let (one, other) = (say(&key, &["yes"]), say(&key, &["no"]));
    let evidence = Evidence::new(*one.signed_header(), *other.signed_header()).unwrap().encode();
    let output = inspect_hex(&evidence);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stdout(&output).contains("kind       evidence") && stdout(&output).contains("convicted"));
    let mut forged = evidence;
    *forged.last_mut().unwrap() ^= 1;
    let output = inspect_hex(&forged);
    assert_eq!(code(&output), 1);
    assert!(stdout(&output).contains("convicts nobody"));
}

#[test]
fn inspect_refuses_what_is_neither() {
    assert_usage(&inspect_hex(&[7; 40]), &["40 bytes", "no bundle", "no proof", "no evidence"]);
    assert_usage(&inspect_hex(&[7; 436]), &["no evidence: a header"]);
    assert_usage(&run(&["inspect", "--hex", "xy"]), &["--hex xy", "two hexadecimal digits"]);
    assert_usage(&run(&["inspect", "--hex", ""]), &["--hex"]);
    assert_usage(&run(&["inspect", "/nonexistent"]), &["/nonexistent"]);
    assert_usage(&run(&["inspect"]), &["--hex"]);
    assert_usage(&run_with(&["inspect", "-"], b""), &["empty"]);
    assert_usage(&run_with(&["inspect", "-"], &[0; 1 << 20]), &["right file"]);
}

// ---- usage

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

#[test]
fn a_node_with_bad_values_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let (_, key) = path(&folder, "node.key");
    assert_usage(&run(&["node", "--key", &key]), &[&key, "vouchsafe keygen"]);
    assert_eq!(code(&run(&["keygen", "--out", &key])), 0);
    let node = |flags: &[&str]| run(&[&["node", "--key", &key], flags].concat());
    assert_usage(&node(&["--peer", "example.org:1"]), &["example.org:1", "no @"]);
    assert_usage(&node(&["--peer", "abc@example.org:1"]), &["64 hexadecimal digits"]);
    assert_usage(&node(&["--listen", "nowhere"]), &["--listen", "nowhere", "HOST:PORT"]);
    assert_usage(&node(&["--topic", ""]), &["--topic", "1 to 255"]);
}

#[test]
fn a_key_whose_position_log_is_gone_waits_before_it_speaks() {
    let folder = tempfile::tempdir().unwrap();
    let (_, key) = path(&folder, "node.key");
    assert_eq!(code(&run(&["keygen", "--out", &key])), 0);
    let (position_log, text) = path(&folder, "node.positions");
    // A key is not made where another's position log lies.
    std::fs::remove_file(&key).unwrap();
    assert_usage(&run(&["keygen", "--out", &key]), &[&text, "key in use"]);
    std::fs::remove_file(&position_log).unwrap();
    assert_eq!(code(&run(&["keygen", "--out", &key])), 0);
    std::fs::remove_file(&position_log).unwrap();
    let output = run_with(&["node", "--key", &key, "--listen", "127.0.0.1:0", "--exit-on-eof"], b"");
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stderr(&output).contains("silent for 30 s"), "{}", stderr(&output));
    assert!(position_log.exists());
}

#[test]
fn a_key_that_another_node_speaks_under_is_not_used_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (_, key) = path(&folder, "node.key");
    assert_eq!(code(&run(&["keygen", "--out", &key])), 0);
    let first = start(&["node", "--key", &key, "--listen", "127.0.0.1:0"]);
    wait_for(&first.err, "listening as");
    assert_usage(
        &run(&["node", "--key", &key, "--listen", "127.0.0.1:0"]),
        &["node.positions", "in use by another node"],
    );
}

// ---- demo

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

// ---- node

fn start(args: &[&str]) -> Running {
    Running::of(vouchsafe().args(args))
}

#[cfg(unix)]
#[test]
fn two_nodes_exchange_lines_and_leave_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let [(_, key1), (_, key2)] = ["one.key", "two.key"].map(|name| path(&folder, name));
    let [public1, public2] = [&key1, &key2].map(|key| stdout(&run(&["keygen", "--out", key])));

    let mut one = start(&["node", "--key", &key1, "--listen", "127.0.0.1:0"]);
    let listening = wait_for(&one.err, "listening as");
    let addr = listening.rsplit(' ').next().unwrap().to_owned();
    assert!(addr.starts_with(public1.trim_end()));

    // The second one says two lines, one of them too long, and goes; the first one hears the good ones.
    let flags = ["node", "--key", &key2, "--listen", "127.0.0.1:0", "--peer", &addr];
    let long = "x".repeat(16 * 1024 + 1);
    let input = format!("hello\x1b[2J\n{long}\n\nstill here\n");
    let output = run_with(&[flags.as_slice(), &["--exit-on-eof"]].concat(), input.as_bytes());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stderr(&output).contains("16385 bytes was not published"), "{}", stderr(&output));
    let heard = [wait_for(&one.out, "hello"), wait_for(&one.out, "still here")];
    for (heard, text) in heard.iter().zip(["hello\\u{1b}[2J", "still here"]) {
        let (author, rest) = heard.split_once(' ').unwrap();
        assert_eq!(author, &public2[..8]);
        let (position, said) = rest.split_once(' ').unwrap();
        assert_eq!((position.split('/').count(), said), (2, text));
    }

    // At the end of its input the first one stays, until ctrl-c.
    drop(one.child.stdin.take());
    wait_for(&one.err, "end of input");
    one.signal("-INT");
    wait_for(&one.err, "leaving");
    assert_eq!(one.child.wait().unwrap().code(), Some(0));
}

/// A line that needs a record waits until there can be one, in its order, though its author has said all it had to say.
#[cfg(unix)]
#[test]
fn lines_wait_for_a_position_log_that_cant_be_written_and_none_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let [(_, key1), (_, key2)] = ["one.key", "two.key"].map(|name| path(&folder, name));
    let [_, _] = [&key1, &key2].map(|key| assert_eq!(code(&run(&["keygen", "--out", key])), 0));
    let one = start(&["node", "--key", &key1, "--listen", "127.0.0.1:0"]);
    let listening = wait_for(&one.err, "listening as");
    let addr = listening.rsplit(' ').next().unwrap().to_owned();

    let ([(disk, _), (gone, _)], (_, position_log)) =
        (["disk", "gone"].map(|name| path(&folder, name)), path(&folder, "disk/two.positions"));
    std::fs::create_dir(&disk).unwrap();
    std::fs::rename(folder.path().join("two.positions"), &position_log).unwrap();
    let flags = [
        "node",
        "--key",
        &key2,
        "--position-log",
        &position_log,
        "--listen",
        "127.0.0.1:0",
        "--peer",
        &addr,
        "--exit-on-eof",
        "--without-members",
    ];
    let mut two = start(&flags);
    wait_for(&two.err, "listening as");
    // The position log has recorded nothing yet, so the first line needs a record.
    std::fs::rename(&disk, &gone).unwrap();
    let mut stdin = two.child.stdin.take().unwrap();
    let lines: Vec<_> = (0..40).map(|number| format!("line {number}")).collect();
    stdin.write_all((lines.join("\n") + "\n").as_bytes()).unwrap();
    drop(stdin);
    wait_for(&two.err, "the line waits, and is tried again");
    std::fs::rename(&gone, &disk).unwrap();
    wait_for(&two.err, "the line that waited was published");
    for line in &lines {
        let heard = one.out.recv_timeout(PATIENCE).unwrap();
        assert!(heard.ends_with(&format!(" {line}")), "{heard} is not {line}");
    }
    assert_eq!(two.child.wait().unwrap().code(), Some(0));
}

/// A hangup is a goodbye, as a termination is. What was typed and reached nobody is said, and is no success.
#[cfg(unix)]
#[test]
fn a_hangup_is_a_goodbye_and_unsaid_lines_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let (_, key) = path(&folder, "node.key");
    assert_eq!(code(&run(&["keygen", "--out", &key])), 0);
    for (lines, expected) in [("", 0), ("one\n\ntwo\n", 1)] {
        let mut node = start(&["node", "--key", &key, "--listen", "127.0.0.1:0"]);
        wait_for(&node.err, "listening as");
        if !lines.is_empty() {
            node.child.stdin.as_mut().unwrap().write_all(lines.as_bytes()).unwrap();
            wait_for(&node.err, "no link to anybody");
        }
        node.signal("-HUP");
        wait_for(&node.err, "leaving");
        if expected > 0 {
            let said = wait_for(&node.err, "not published");
            assert!(said.starts_with("error: ") && said.ends_with(['1', '2']), "{said}");
        }
        assert_eq!(node.child.wait().unwrap().code(), Some(expected));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn under_nohup_a_hangup_is_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (_, key) = path(&folder, "node.key");
    assert_eq!(code(&run(&["keygen", "--out", &key])), 0);
    let mut command = Command::new("nohup");
    command.arg(env!("CARGO_BIN_EXE_vouchsafe"));
    let mut node = Running::of(command.args(["node", "--key", &key, "--listen", "127.0.0.1:0"]));
    // It listens for signals before it says so.
    wait_for(&node.err, "listening as");
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.child.id())).unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    assert_eq!(u64::from_str_radix(ignored.trim(), 16).unwrap() & 1, 1, "{status}");
    node.signal("-TERM");
    wait_for(&node.err, "leaving");
    assert_eq!(node.child.wait().unwrap().code(), Some(0));
}
