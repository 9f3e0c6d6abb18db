//! Records on a real disk.

use std::fs;
use std::io::Read as _;

use super::*;

fn author(number: u8) -> PublicKey {
    PublicKey::from_bytes([number; 32])
}

fn list(spans: &Spans) -> Vec<(u64, u64)> {
    spans.iter().collect()
}

#[test]
fn a_record_survives_and_belongs_to_its_author() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("author.positions");
    let (position_log, recorded) = PositionLog::open(&path, author(1), true, 777).unwrap();
    assert!(recorded.is_empty());
    position_log.record(1_000, 1_234).unwrap();
    position_log.record(5_000, 6_000).unwrap();
    drop(position_log);
    let (position_log, recorded) = PositionLog::open(&path, author(1), true, 777).unwrap();
    assert_eq!(list(&recorded), [(1_000, 1_234), (5_000, 6_000)]);
    drop(position_log);
    assert!(matches!(PositionLog::open(&path, author(2), true, 777), Err(PositionLogError::Damaged(_))));
}

#[test]
fn a_position_log_that_is_open_is_not_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("author.positions");
    let (position_log, _) = PositionLog::open(&path, author(1), true, 0).unwrap();
    // However often it is replaced.
    position_log.record(0, 1).unwrap();
    let copy = position_log.clone();
    drop(position_log);
    let again = PositionLog::open(&path, author(1), false, 0);
    assert!(matches!(&again, Err(PositionLogError::InUse(at)) if *at == path), "{again:?}");
    drop(copy);
    PositionLog::open(&path, author(1), false, 0).unwrap();
}

#[test]
fn a_record_is_a_new_file_and_never_half_of_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("author.positions");
    let (position_log, _) = PositionLog::open(&path, author(1), true, 0).unwrap();
    position_log.record(0, 1).unwrap();
    // Whoever has the old record open goes on reading it: at no moment is there a file that has a part of either.
    let mut old = fs::File::open(&path).unwrap();
    let before = fs::read(&path).unwrap();
    position_log.record(0, 2).unwrap();
    let mut after = Vec::new();
    old.read_to_end(&mut after).unwrap();
    assert_eq!(after, before);
    assert_ne!(fs::read(&path).unwrap(), before);
    assert_eq!(folder.path().read_dir().unwrap().count(), 2, "and nothing is left beside it and its lock");
}

#[test]
fn position_logs_whose_names_differ_after_a_dot_do_not_meet() {
    // Given position logs of two authors in one folder, whose names with another extension would be the same.
    for round in 0..40 {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["r.alice", "r.bob"].map(|name| folder.path().join(name));
        fs::write(folder.path().join("r.new"), "a key, say").unwrap();
        // When both record at once,
        std::thread::scope(|scope| {
            for (number, path) in paths.iter().enumerate() {
                scope.spawn(move || {
                    let (position_log, _) = PositionLog::open(path, author(number as u8), true, 0).unwrap();
                    (1..8).for_each(|until| position_log.record(0, until).unwrap());
                });
            }
        });
        // Then each holds its own, and what else lay there is as it was.
        for (number, path) in paths.iter().enumerate() {
            let (_, recorded) = PositionLog::open(path, author(number as u8), true, 0).unwrap();
            assert_eq!(list(&recorded), [(0, 7)], "{round}");
        }
        assert_eq!(fs::read(folder.path().join("r.new")).unwrap(), b"a key, say");
    }
}

#[test]
fn what_a_cut_off_record_left_is_removed_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("author.positions");
    let others = ["author.positions.new", "author.positions.me-1.new", "other.positions.1-2.new"];
    for name in ["author.positions.77-5.new", others[0], others[1], others[2]] {
        fs::write(folder.path().join(name), "half a rec").unwrap();
    }
    PositionLog::open(&path, author(1), true, 0).unwrap();
    assert!(!folder.path().join("author.positions.77-5.new").exists());
    assert!(others.iter().all(|name| folder.path().join(name).exists()));
}

#[test]
fn records_that_cross_forget_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("author.positions");
    let (position_log, _) = PositionLog::open(&path, author(1), true, 0).unwrap();
    // Many at once: each ends well, and what stands in the end is all of them.
    std::thread::scope(|scope| {
        for until in 1..=64u64 {
            let position_log = position_log.clone();
            scope.spawn(move || position_log.record(0, until * 7 % 65).unwrap());
        }
    });
    position_log.record(0, 3).unwrap();
    drop(position_log);
    let (_, recorded) = PositionLog::open(&path, author(1), true, 0).unwrap();
    assert_eq!(list(&recorded), [(0, 64)], "an older record came last");
}

#[test]
fn an_orderly_end_records_what_was_used_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("author.positions");
    let (position_log, _) = PositionLog::open(&path, author(1), true, 0).unwrap();
    position_log.record(1_000, 4_000).unwrap();
    let mut used = Spans::default();
    used.add(1_000, 2_000);
    position_log.settle(&used).unwrap();
    drop(position_log);
    assert_eq!(PositionLog::open(&path, author(1), true, 0).unwrap().1, used);
}

#[test]
fn an_old_key_with_a_new_position_log_starts_after_the_skew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("author.positions");
    let (_, recorded) = PositionLog::open(path, author(1), false, 777).unwrap();
    assert_eq!(list(&recorded), [(0, 777 + 30_000)]);
}

#[test]
fn every_damaged_byte_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("author.positions");
    let (position_log, _) = PositionLog::open(&path, author(1), true, 0).unwrap();
    position_log.record(3, 4).unwrap();
    drop(position_log);
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(&path, damaged).unwrap();
        assert!(PositionLog::open(&path, author(1), true, 0).is_err(), "byte {at}");
    }
    for len in 0..whole.len() {
        fs::write(&path, &whole[..len]).unwrap();
        assert!(PositionLog::open(&path, author(1), true, 0).is_err(), "{len} bytes");
    }
}

#[test]
fn a_folder_that_does_not_exist_is_named() {
    let error = PositionLog::open("/nonexistent/x.positions", author(1), true, 0).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/x.positions"), "{error}");
}
