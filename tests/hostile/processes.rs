//! What only a process of its own can suffer: no room on the disk, no descriptors left, and kill -9 in the middle of a write.
//!
//! The tests start this binary again, as `child`, and talk to it over its standard output.
#![cfg(unix)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use vouchsafe::store::PositionLog;
use vouchsafe::{KeyFileError, PositionLogError, PublishError, SecretKey, SpawnError, Topic, VerifierPool};

use crate::scene::{Member, all_have_begun, begin, builder, builder_as, soon};

/// What the child does; without it `child` does nothing, since it is not a test.
const ROLE: &str = "VOUCHSAFE_HOSTILE_ROLE";
const POSITION_LOG: &str = "VOUCHSAFE_HOSTILE_POSITION_LOG";

/// Starts the child in a shell that has first done `limits`.
fn start(role: &str, position_log: &Path, limits: &str) -> Child {
    let program = std::env::current_exe().unwrap();
    let command = format!("{limits} exec \"$0\" --exact processes::child --ignored --nocapture");
    let mut shell = Command::new("sh");
    shell.args(["-c", &command]).arg(program).env(ROLE, role).env(POSITION_LOG, position_log);
    begin(shell.stdin(Stdio::null()).stdout(Stdio::piped()))
}

/// Runs the child to its end; it must say that all is well.
fn run(role: &str, position_log: &Path, limits: &str) {
    let output = start(role, position_log, limits).wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("all is well"), "{role}: {}: {said}", output.status);
}

#[test]
#[ignore = "not a test: what the others start"]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    // A test begins in the middle of a line.
    println!();
    let position_log = std::env::var_os(POSITION_LOG).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    match role.as_str() {
        "records" => records(Path::new(&position_log)),
        "speaks" => runtime.block_on(speaks(Path::new(&position_log))),
        "full disk" => {
            runtime.block_on(full_disk(Path::new(&position_log)));
            no_half_key(&Path::new(&position_log).with_extension("key"));
        }
        "saves a key" => SecretKey::from_seed(&SEED).save(Path::new(&position_log)).unwrap(),
        "no descriptors" => runtime.block_on(no_descriptors(Path::new(&position_log))),
        _ => panic!("no such role as {role}"),
    }
    println!("all is well");
}

const SEED: [u8; 32] = [7; 32];

/// Writes the position log again and again, and says each time what is now recorded, until it is killed.
fn records(path: &Path) {
    let (position_log, _) = PositionLog::open(path, SecretKey::from_seed(&SEED).public(), true, 0).unwrap();
    let mut out = std::io::stdout().lock();
    for until in 1.. {
        position_log.record(0, until).unwrap();
        // Fails when the one who listens has heard enough and is about to kill us.
        let _ = writeln!(out, "recorded {until}");
    }
}

/// A node under the shared key, until it is killed.
async fn speaks(path: &Path) {
    let pool = VerifierPool::new(1);
    let node = builder_as(SecretKey::from_seed(&SEED), &pool, &[]).position_log(path).spawn().await.unwrap();
    println!("speaks as {}", node.author());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_position_log_that_another_process_has_open_is_refused_until_that_one_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("author.positions");
    let mut child = start("speaks", &path, "");
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.take(50).any(|line| line.contains("speaks as")), "the child starts");
    let pool = VerifierPool::new(1);
    let second = || builder_as(SecretKey::from_seed(&SEED), &pool, &[]).position_log(&path).spawn();
    let refused = second().await;
    let Err(SpawnError::PositionLog(PositionLogError::InUse(named))) = &refused else {
        panic!("{refused:?}")
    };
    assert_eq!(*named, path);
    // However it ended.
    child.kill().unwrap();
    child.wait().unwrap();
    let node = second().await.unwrap();
    // And two nodes of one process are refused as well.
    assert!(matches!(second().await, Err(SpawnError::PositionLog(PositionLogError::InUse(_)))));
    soon("the end", node.shutdown()).await;
    second().await.unwrap();
}

#[test]
fn kill_9_in_the_middle_of_a_write_loses_no_record() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("author.positions");
    let author = SecretKey::from_seed(&SEED).public();
    for round in 0..40 {
        // The writer begins again at 1.
        let _ = std::fs::remove_file(&path);
        let mut child = start("records", &path, "");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let number = |line: String| line.strip_prefix("recorded ")?.parse::<u64>().ok();
        // Somewhere else in a write each time: this thread and the writer run side by side.
        let mut last = lines.by_ref().filter_map(number).nth(3 + round % 7).expect("the child writes");
        child.kill().unwrap();
        child.wait().unwrap();
        last = lines.filter_map(number).last().unwrap_or(last);
        let (_, recorded) = PositionLog::open(&path, author, false, 0).expect("the position log is whole");
        assert!(recorded.end() >= last, "{recorded:?} is recorded, though {last} was before");
    }
}

/// The system ends a process that writes to a file beyond its limit, here at the first byte of the key.
#[test]
fn a_process_that_ends_while_it_writes_a_key_leaves_no_half_of_one() {
    use std::os::unix::process::ExitStatusExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("node.key");
    let ended = start("saves a key", &path, "ulimit -c 0; ulimit -f 0;").wait_with_output().unwrap();
    assert!(ended.status.signal().is_some(), "{ended:?}");
    assert_eq!(folder.path().read_dir().unwrap().count(), 1, "it had begun to write");
    assert!(!path.exists());
    // Then the next try is as the first.
    run("saves a key", &path, "");
    assert_eq!(SecretKey::load(&path).unwrap().public(), SecretKey::from_seed(&SEED).public());
}

#[test]
fn a_half_written_record_beside_the_position_log_does_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("author.positions");
    let author = SecretKey::from_seed(&SEED).public();
    PositionLog::open(&path, author, true, 0).unwrap().0.record(0, 55).unwrap();
    std::fs::write(folder.path().join("author.positions.1-0.new"), b"half a rec").unwrap();
    all_have_begun();
    let (position_log, recorded) = PositionLog::open(&path, author, true, 0).unwrap();
    assert_eq!(recorded.end(), 55);
    position_log.record(0, 56).unwrap();
    drop(position_log);
    all_have_begun();
    assert_eq!(PositionLog::open(&path, author, true, 0).unwrap().1.end(), 56);
}

/// Files of this process can't grow by a byte: to a program that is a full disk.
async fn full_disk(position_log: &Path) {
    let pool = VerifierPool::new(1);
    let listener = builder(&pool, &[]).spawn().await.unwrap();
    let author = builder_as(SecretKey::from_seed(&SEED), &pool, &[listener.addr().unwrap()]);
    let author = author.position_log(position_log).spawn().await.unwrap();
    let mut listener = Member::join(listener, &Topic::named("lobby")).await;
    let author = Member::join(author, &Topic::named("lobby")).await;
    soon("a link", author.topic.wait_for_links(1)).await.unwrap();
    soon("a link", listener.topic.wait_for_links(1)).await.unwrap();
    let failed = soon("an answer", author.topic.publish("unrecorded")).await;
    assert!(
        matches!(&failed, Err(PublishError::PositionLog(why)) if why.contains("author.positions")),
        "{failed:?}"
    );
    // It hears and relays all the same.
    listener.topic.publish("from one who keeps no position log").await.unwrap();
    listener.hear(&"from one who keeps no position log".into()).await;
    let accepted = crate::scene::until("the rumor", &author.node, |stats| stats.counters.accepted == 1).await;
    assert_eq!(accepted.counters.offences, 0);
    assert_eq!(listener.heard.len(), 1, "what was not recorded was said");
}

/// A key that could not be written leaves nothing that would stand in the way of the next try.
fn no_half_key(path: &Path) {
    let failed = SecretKey::generate().save(path);
    assert!(matches!(failed, Err(KeyFileError::Io { .. })), "{failed:?}");
    let left = path.parent().unwrap().read_dir().unwrap().map(|file| file.unwrap().path());
    assert!(!left.into_iter().any(|file| file.to_str().unwrap().contains(".key")));
}

#[test]
fn a_full_disk_stops_the_author_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("author.positions");
    PositionLog::open(&path, SecretKey::from_seed(&SEED).public(), true, 0).unwrap();
    let before = std::fs::read(&path).unwrap();
    run("full disk", &path, "trap '' XFSZ; ulimit -f 0;");
    assert_eq!(std::fs::read(&path).unwrap(), before, "the old record still holds");
}

#[tokio::test]
async fn a_position_log_where_nothing_can_be_written_is_named_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let pool = VerifierPool::new(1);
    // A folder in its place, a folder that is none, and file systems that take no file from anybody.
    let nowhere = folder.path().join("missing").join("author.positions");
    for path in [folder.path().to_owned(), nowhere, "/proc/author.positions".into()] {
        let failed = builder(&pool, &[]).position_log(&path).spawn().await;
        let Err(SpawnError::PositionLog(why)) = failed else { panic!("{}: {failed:?}", path.display()) };
        assert!(why.to_string().contains(path.to_str().unwrap()), "{why}");
    }
}

/// As when a disk is taken away under a running node, and put back.
#[tokio::test]
async fn a_folder_that_goes_away_stops_the_author_until_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    std::fs::create_dir(&home).unwrap();
    let pool = VerifierPool::new(1);
    let listener = builder(&pool, &[]).spawn().await.unwrap();
    let author = builder(&pool, &[listener.addr().unwrap()])
        .position_log(home.join("author.positions"))
        .spawn()
        .await
        .unwrap();
    let mut listener = Member::join(listener, &Topic::named("lobby")).await;
    let author = Member::join(author, &Topic::named("lobby")).await;
    soon("a link", author.topic.wait_for_links(1)).await.unwrap();
    std::fs::remove_dir_all(&home).unwrap();
    let failed = soon("an answer", author.topic.publish("unrecorded")).await;
    assert!(matches!(failed, Err(PublishError::PositionLog(_))), "{failed:?}");
    std::fs::create_dir(&home).unwrap();
    soon("publishing", author.topic.publish("recorded")).await.unwrap();
    listener.hear(&"recorded".into()).await;
    assert!(!listener.heard.contains(&"unrecorded".into()));
}

/// All descriptors that this process may have are taken by something else.
async fn no_descriptors(position_log: &Path) {
    let pool = VerifierPool::new(1);
    let listener = builder(&pool, &[]).spawn().await.unwrap();
    let author = builder_as(SecretKey::from_seed(&SEED), &pool, &[listener.addr().unwrap()]);
    let author = author.position_log(position_log).spawn().await.unwrap();
    let mut listener = Member::join(listener, &Topic::named("lobby")).await;
    let mut author = Member::join(author, &Topic::named("lobby")).await;
    soon("a link", author.topic.wait_for_links(1)).await.unwrap();
    soon("a link", listener.topic.wait_for_links(1)).await.unwrap();
    let mut taken = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        taken.push(file);
    }
    // Links go on, a new node says what is wrong, and the author stops rather than speak unrecorded.
    listener.topic.publish("still here").await.unwrap();
    author.hear(&"still here".into()).await;
    let failed = builder(&pool, &[]).spawn().await;
    assert!(matches!(failed, Err(SpawnError::Bind(_))), "{failed:?}");
    let failed = soon("an answer", author.topic.publish("unrecorded")).await;
    assert!(matches!(failed, Err(PublishError::PositionLog(_))), "{failed:?}");
    // With descriptors again everything goes on by itself.
    drop(taken);
    soon("publishing", author.topic.publish("recorded")).await.unwrap();
    listener.hear(&"recorded".into()).await;
    assert!(!listener.heard.contains(&"unrecorded".into()));
    let third = builder(&pool, &[author.node.addr().unwrap()]).spawn().await.unwrap();
    soon("a link", third.wait_for_links(1)).await.unwrap();
}

#[test]
fn no_descriptors_left_stop_nothing_that_needs_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("author.positions");
    PositionLog::open(&path, SecretKey::from_seed(&SEED).public(), true, 0).unwrap();
    run("no descriptors", &path, "ulimit -n 64;");
}
