//! `vouchsafe keygen`.

use std::process::Stdio;

use vouchsafe::SecretKey;
use vouchsafe_testkit::command::{assert_usage, code, stderr, stdout};

use crate::run::{path, run, run_unread, vouchsafe};

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
