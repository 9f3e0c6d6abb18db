//! `vouchsafe inspect`.

use std::process::Output;

use bytes::Bytes;
use vouchsafe::rumor::{Bundle, seal};
use vouchsafe::{Evidence, NetworkId, Position, SecretKey, Topic};
use vouchsafe_testkit::command::{assert_usage, code, stderr, stdout};

use crate::run::{path, run, run_unread, run_with};

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
