//! Folders on a real disk.

use super::*;
use crate::key::KeyFileError;

fn open(path: &Path) -> Result<Opened, FolderError> {
    Folder::open(path.into(), None, None)
}

fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

fn names(path: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(path).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// What stands in each file.
fn content(path: &Path) -> Vec<(String, Vec<u8>)> {
    names(path).into_iter().map(|name| (name.clone(), fs::read(path.join(name)).unwrap())).collect()
}

/// A folder for its owner alone, with nothing in it.
fn private() -> tempfile::TempDir {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder.tempdir().unwrap()
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[cfg(unix)]
fn chmod(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_first_start_makes_a_key_and_the_next_one_loads_it() {
    let folder = private();
    let path = folder.path().join("a").join("b");
    let first = open(&path).unwrap();
    assert!(first.node.is_fresh(), "nothing was said under it");
    assert_eq!(first.author.public(), first.node.public());
    assert_eq!(names(&path), [README, LOCK, NODE_KEY]);
    let made = first.node.public();
    drop(first);
    let again = open(&path).unwrap();
    assert_eq!((again.node.public(), again.author.public(), again.node.is_fresh()), (made, made, false));
}

#[cfg(unix)]
#[test]
fn the_folder_and_its_keys_are_for_their_owner_alone() {
    let folder = private();
    let path = folder.path().join("state");
    drop(Folder::open(path.clone(), None, Some(key(2))).unwrap());
    assert_eq!(mode(&path), 0o700);
    assert_eq!((mode(&path.join(NODE_KEY)), mode(&path.join(AUTHOR_KEY))), (0o600, 0o600));
    for open_to_others in [0o750, 0o701, 0o720, 0o777] {
        chmod(&path, open_to_others);
        let refused = open(&path).unwrap_err();
        assert!(
            matches!(refused, FolderError::TooOpen { mode, .. } if mode == open_to_others),
            "{refused:?}"
        );
        assert!(refused.to_string().contains(&format!("chmod 700 {}", path.display())), "{refused}");
    }
    chmod(&path, 0o700);
    chmod(&path.join(NODE_KEY), 0o640);
    let refused = open(&path);
    assert!(
        matches!(refused, Err(FolderError::Key(KeyFileError::TooOpen { mode: 0o640, .. }))),
        "{refused:?}"
    );
}

#[test]
fn a_folder_is_open_once_and_free_when_it_is_dropped() {
    let folder = private();
    let opened = open(folder.path()).unwrap();
    let refused = open(folder.path()).unwrap_err();
    assert!(matches!(&refused, FolderError::InUse(at) if at == folder.path()), "{refused:?}");
    assert!(refused.to_string().contains(folder.path().to_str().unwrap()));
    // Handles that know its cursors do not hold it.
    let _cursors = opened.folder.cursors().clone();
    drop(opened);
    open(folder.path()).unwrap();
}

#[test]
fn keys_that_are_given_are_kept_and_others_are_refused() {
    let folder = private();
    let path = folder.path();
    drop(Folder::open(path.into(), Some(key(1)), Some(key(2))).unwrap());
    let kept = open(path).unwrap();
    assert_eq!((kept.node.public(), kept.author.public()), (key(1).public(), key(2).public()));
    drop(kept);
    let before = content(path);
    let other = Folder::open(path.into(), Some(key(3)), None);
    assert!(
        matches!(other, Err(FolderError::OtherNode { found, given, .. })
            if found == key(1).public() && given == key(3).public()),
        "{other:?}"
    );
    let other = Folder::open(path.into(), None, Some(key(3)));
    assert!(
        matches!(other, Err(FolderError::OtherAuthor { found, given, .. })
            if found == key(2).public() && given == key(3).public()),
        "{other:?}"
    );
    assert_eq!(content(path), before);
}

#[test]
fn once_there_are_positions_their_author_is_fixed() {
    let folder = private();
    let path = folder.path();
    // Given a key that somebody has put there,
    key(1).save(path.join(NODE_KEY)).unwrap();
    // Then another author may speak until something was said,
    drop(Folder::open(path.into(), None, None).unwrap());
    fs::write(path.join(POSITIONS), "some").unwrap();
    let other = Folder::open(path.into(), None, Some(key(3)));
    assert!(matches!(other, Err(FolderError::OtherAuthor { found, .. }) if found == key(1).public()));
    assert!(!path.join(AUTHOR_KEY).exists());
    drop(Folder::open(path.into(), None, Some(key(1))).unwrap());
    // And no other node comes into a folder that has lost its key.
    fs::remove_file(path.join(NODE_KEY)).unwrap();
    assert!(matches!(open(path), Err(FolderError::NoKey(_))));
    assert_eq!(Folder::open(path.into(), Some(key(1)), None).unwrap().node.public(), key(1).public());
}

#[test]
fn what_is_no_state_folder_is_left_as_it_is() {
    for (file, text) in [
        ("holiday.jpg", "a picture"),
        ("lock", "held by another program"),
        ("lock", "vouchsafe state one"),
        ("node.key.old", ""),
        ("positions", ""),
    ] {
        let folder = private();
        fs::write(folder.path().join(file), text).unwrap();
        let refused = open(folder.path());
        assert!(
            matches!(&refused, Err(FolderError::Foreign { file: named, .. }) if named == file),
            "{refused:?}"
        );
        assert_eq!(content(folder.path()), [(file.to_owned(), text.as_bytes().to_vec())]);
    }
    #[cfg(unix)]
    {
        let folder = private();
        chmod(folder.path(), 0o755);
        fs::write(folder.path().join("holiday.jpg"), "a picture").unwrap();
        let refused = open(folder.path());
        assert!(matches!(refused, Err(FolderError::Foreign { .. })), "its mode is none of our business");
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(matches!(open(file.path()), Err(FolderError::NotAFolder(_))));
}

#[test]
fn a_newer_folder_is_left_to_newer_programs() {
    let folder = private();
    drop(open(folder.path()).unwrap());
    fs::write(folder.path().join(LOCK), "vouchsafe state 2\nand more\n").unwrap();
    fs::write(folder.path().join("of.later"), "?").unwrap();
    let before = content(folder.path());
    let refused = open(folder.path());
    assert!(matches!(refused, Err(FolderError::Newer { found: 2, known: 1, .. })), "{refused:?}");
    assert_eq!(content(folder.path()), before);
}

#[test]
fn a_folder_without_a_name_is_refused() {
    assert!(matches!(open(Path::new("")), Err(FolderError::Io { .. })));
}

#[test]
fn a_kill_between_any_two_steps_leaves_a_folder_that_opens() {
    let mut killed = 0;
    for steps in 0.. {
        let folder = private();
        let path = folder.path().join("state");
        files::STEPS.set(steps);
        let first = Folder::open(path.clone(), None, Some(key(2)));
        files::STEPS.set(u32::MAX);
        // What was on the disk when it was killed.
        let made = first.is_ok() || path.join(NODE_KEY).exists();
        let made = made.then(|| SecretKey::load(path.join(NODE_KEY)).unwrap().public());
        let has_author = path.join(AUTHOR_KEY).exists();
        assert!(made.is_none() || has_author, "after {steps} steps the node speaks under another key");
        let is_over = first.is_ok();
        drop(first);
        let again = open(&path).unwrap_or_else(|error| panic!("after {steps} steps: {error}"));
        let spoke_as = if has_author { key(2).public() } else { again.node.public() };
        assert_eq!(again.author.public(), spoke_as, "after {steps} steps");
        assert!(made.is_none_or(|made| made == again.node.public()), "after {steps} steps");
        drop(again);
        let all = names(&path);
        assert!(all.iter().all(|name| !name.ends_with(".key.new")), "after {steps} steps: {all:?}");
        if is_over {
            break;
        }
        killed += 1;
    }
    assert!(killed > 12, "only {killed} steps");
}

#[test]
fn a_lock_file_of_which_a_part_was_written_is_written_again() {
    for len in 0..head().len() {
        let folder = private();
        fs::write(folder.path().join(LOCK), &head()[..len]).unwrap();
        drop(open(folder.path()).unwrap());
        assert_eq!(fs::read_to_string(folder.path().join(LOCK)).unwrap(), head());
    }
}

#[test]
fn the_readme_names_each_file_and_is_not_written_over() {
    let folder = private();
    let opened = open(folder.path()).unwrap();
    let (log, store, anchors) =
        (opened.folder.position_log(), opened.folder.store(), opened.folder.anchors());
    for path in [log, store, anchors, folder.path().join("cursors")] {
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(readme::TEXT.contains(&format!("\n  {name}")), "{name}");
    }
    for name in [LOCK, NODE_KEY, AUTHOR_KEY] {
        assert!(readme::TEXT.contains(&format!("\n  {name}")), "{name}");
    }
    drop(opened);
    fs::write(folder.path().join(README), "mine").unwrap();
    drop(open(folder.path()).unwrap());
    assert_eq!(fs::read_to_string(folder.path().join(README)).unwrap(), "mine");
}
