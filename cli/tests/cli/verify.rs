//! `vouchsafe verify`.

use std::path::Path;

use serde_json::Value;
use vouchsafe_testkit::command::{code, stderr, stdout};

use crate::run::{path, run, run_with};

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
