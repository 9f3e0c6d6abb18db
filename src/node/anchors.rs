//! The file of anchors: peers by which a node that starts again finds its network.
//!
//! ```text
//!   vouchsafe anchors 1
//!   KEY@HOST:PORT          four at the most, the oldest first
//!   HASH                   of all that stands before it
//! ```
//!
//! It is replaced as a whole, by a task of its own: nothing waits for it but the end of the node.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};

use super::trace;
use super::{Host, PeerAddr};
use crate::key::PublicKey;

/// Names the format.
const HEAD: &str = "vouchsafe anchors 1\n";
/// Bytes of the longest file, rounded up: four keys with names of hosts.
const MAX_LEN: u64 = 4 * 1024;

/// Writes the newest anchors that it was given.
#[derive(Debug)]
pub(super) struct Anchors {
    newest: watch::Sender<Vec<PeerAddr>>,
    task: JoinHandle<()>,
    /// How often the file could not be read, was damaged, or could not be written.
    errors: Arc<AtomicU64>,
}

impl Anchors {
    /// Reads what an earlier life has kept there, and writes what this one will. A file that can't be read, or is damaged, is counted
    /// and is as good as none.
    pub(super) async fn open(path: PathBuf) -> (Self, Vec<PeerAddr>) {
        let at = path.clone();
        // An error means that the runtime goes down.
        let read = spawn_blocking(move || read(&at)).await;
        let errors = Arc::new(AtomicU64::new(0));
        let earlier = read.unwrap_or_else(|_| Ok(Vec::new())).unwrap_or_else(|why| {
            trace::anchors_lost(&path, &why);
            errors.fetch_add(1, Ordering::Relaxed);
            Vec::new()
        });
        let (newest, changes) = watch::channel(Vec::new());
        let task = tokio::spawn(write_all(path, changes, Arc::clone(&errors)));
        (Self { newest, task, errors }, earlier)
    }

    /// How often the file was of no use, or could not be written.
    pub(super) fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// These are to be there at the next start.
    pub(super) fn keep(&self, anchors: Vec<(PublicKey, Host)>) {
        let anchors = anchors.into_iter().map(|(key, host)| PeerAddr { key, host });
        self.newest.send_replace(anchors.collect());
    }

    /// Waits until the newest are written, or could not be.
    pub(super) async fn end(self) {
        drop(self.newest);
        // An error means that the runtime goes down.
        let _ = self.task.await;
    }
}

async fn write_all(path: PathBuf, mut changes: watch::Receiver<Vec<PeerAddr>>, errors: Arc<AtomicU64>) {
    while changes.changed().await.is_ok() {
        let (anchors, at) = (changes.borrow_and_update().clone(), path.clone());
        if let Ok(Err(why)) = spawn_blocking(move || write(&at, &anchors)).await {
            trace::anchors_unwritten(&path, &why);
            errors.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn write(path: &Path, anchors: &[PeerAddr]) -> io::Result<()> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    // (Only one node writes here: it holds the lock of what the file is named after.)
    let mut file = fs::File::create(&fresh)?;
    file.write_all(encode(anchors).as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, path)
}

fn read(path: &Path) -> io::Result<Vec<PeerAddr>> {
    let file = match fs::File::open(path) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        file => file?,
    };
    let mut text = String::new();
    file.take(MAX_LEN).read_to_string(&mut text)?;
    decode(&text).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it is damaged"))
}

fn encode(anchors: &[PeerAddr]) -> String {
    let lines: String = anchors.iter().map(|peer| format!("{peer}\n")).collect();
    let text = format!("{HEAD}{lines}");
    format!("{text}{}\n", blake3::hash(text.as_bytes()).to_hex())
}

fn decode(text: &str) -> Option<Vec<PeerAddr>> {
    let (said, check) = text.strip_suffix('\n')?.rsplit_once('\n')?;
    let said = format!("{said}\n");
    if blake3::hash(said.as_bytes()).to_hex().as_str() != check {
        return None;
    }
    said.strip_prefix(HEAD)?.lines().map(|line| line.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;

    fn peers() -> Vec<PeerAddr> {
        let peer = |at: &str| format!("{}@{at}", SecretKey::from_seed(&[1; 32]).public()).parse().unwrap();
        ["192.0.2.7:4433", "[2001:db8::7]:1", "node.example.org:4433"].map(peer).into()
    }

    #[test]
    fn what_is_written_is_read_and_no_part_of_it() {
        for peers in [peers(), Vec::new()] {
            let text = encode(&peers);
            assert_eq!(decode(&text), Some(peers));
            for end in 0..text.len() {
                assert_eq!(decode(&text[..end]), None, "{end} bytes");
            }
            assert_eq!(decode(&text.replace("anchors 1", "anchors 2")), None);
        }
    }

    #[tokio::test]
    async fn a_damaged_file_counts_as_none_and_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("anchors");
        for damage in [b"".as_slice(), b"vouchsafe anchors 1\nnonsense\n", &[0xff; 9_000]] {
            fs::write(&path, damage).unwrap();
            let (anchors, earlier) = Anchors::open(path.clone()).await;
            assert_eq!((earlier.len(), anchors.errors()), (0, 1), "it is counted");
            anchors.keep(peers().into_iter().map(|peer| (peer.key, peer.host)).collect());
            anchors.end().await;
            let (anchors, earlier) = Anchors::open(path.clone()).await;
            assert_eq!((earlier, anchors.errors()), (peers(), 0));
            anchors.end().await;
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        }
    }

    #[tokio::test]
    async fn a_file_that_can_t_be_written_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let (anchors, _) = Anchors::open(folder.path().join("no such folder").join("anchors")).await;
        let errors = Arc::clone(&anchors.errors);
        anchors.keep(peers().into_iter().map(|peer| (peer.key, peer.host)).collect());
        anchors.end().await;
        assert_eq!(errors.load(Ordering::Relaxed), 1);
    }
}
