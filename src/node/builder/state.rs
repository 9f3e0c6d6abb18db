//! One folder for all that a node keeps, and the key that is in it.

use std::path::{Path, PathBuf};

use super::{Builder, SpawnError};
use crate::key::SecretKey;
use crate::node::Node;
use crate::node::folder::{Cursors, Folder, FolderError, Opened};

impl Node {
    /// Starts building a node whose key is in its state folder ([`Builder::state`]): loaded from there by [`Builder::spawn`], and made there
    /// at the first start.
    ///
    /// ```
    /// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
    /// use vouchsafe::{Node, Topic};
    /// let node = Node::with_state("./state").network("chat.example").spawn().await?;
    /// let log = node.join(Topic::named("log").retention_forever()).await?;
    /// let mut past = log.replay_named("printer")?;
    /// while let Some(item) = past.next().await {
    ///     println!("{:?}", item?);
    ///     past.save().await?; // The next start goes on here.
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_state(folder: impl Into<PathBuf>) -> Builder {
        Builder::new(None).state(folder)
    }
}

impl Builder {
    /// One folder for all that the node keeps: its key, its author key if that is another one, the
    /// [position log](Builder::position_log), the [store](Builder::store), the peers by which it finds its network again, and where
    /// [named replays](crate::TopicHandle::replay_named) stand. Made if it is not there, with mode 0700; a `README.txt` in it says what each
    /// file is and what to back up. It is locked until the node has ended. Without it a node keeps nothing but in memory.
    ///
    /// The key that the builder was given is written there at the first start, readable by its owner alone, and so is that of
    /// [`Builder::author`], so later starts may leave both out ([`Node::with_state`]). A folder belongs to one node and one author:
    /// other keys are refused. **A copy of the folder must never run beside the original**: both would be convicted of equivocation.
    ///
    /// # Errors
    /// [`Builder::spawn`] fails with [`SpawnError::Folder`] if the folder is in use, if others can read it (on Unix: any of the mode bits 077),
    /// if it is of another node or of a newer version, if it has other files, or if the builder names a position log or a store besides.
    pub fn state(mut self, folder: impl Into<PathBuf>) -> Self {
        self.state = Some(folder.into());
        self
    }
}

/// Under which keys a node runs, and what it keeps where.
pub(super) struct Kept {
    pub(super) key: SecretKey,
    pub(super) author: SecretKey,
    pub(super) folder: Option<Folder>,
    pub(super) cursors: Option<Cursors>,
    pub(super) position_log: Option<PathBuf>,
    pub(super) store: Option<PathBuf>,
    /// A place for anchors that belongs to neither.
    anchors: Option<PathBuf>,
}

/// Opens the state folder, if there is one.
pub(super) async fn open(
    state: Option<PathBuf>,
    key: Option<SecretKey>,
    author: Option<SecretKey>,
    position_log: Option<PathBuf>,
    store: Option<PathBuf>,
) -> Result<Kept, SpawnError> {
    let Some(state) = state else {
        // Who gives no key names a folder.
        let key = key.unwrap_or_else(SecretKey::generate);
        let author = author.unwrap_or_else(|| key.clone());
        return Ok(Kept { key, author, folder: None, cursors: None, position_log, store, anchors: None });
    };
    let twice = |what, path: &Option<PathBuf>| path.is_some().then_some(FolderError::Twice { what });
    if let Some(error) = twice("position_log", &position_log).or_else(|| twice("store", &store)) {
        return Err(error.into());
    }
    let opened = tokio::task::spawn_blocking(move || Folder::open(state, key, author)).await;
    let Opened { folder, node, author } = opened.map_err(|_| SpawnError::Stopped)??;
    let (position_log, store, anchors) = (folder.position_log(), folder.store(), folder.anchors());
    Ok(Kept {
        key: node,
        author,
        cursors: Some(folder.cursors().clone()),
        folder: Some(folder),
        position_log: Some(position_log),
        store: Some(store),
        anchors: Some(anchors),
    })
}

impl Kept {
    /// Where a member keeps the peers by which it finds its network again: in its state folder, beside its position log, or in its store.
    pub(super) fn anchors(&self, is_member: bool) -> Option<PathBuf> {
        let beside = |log: &PathBuf| {
            let mut name = log.clone().into_os_string();
            name.push(".anchors");
            PathBuf::from(name)
        };
        let inside = |folder: &Path| folder.join("anchors");
        let place = || self.position_log.as_ref().map(beside).or_else(|| self.store.as_deref().map(inside));
        is_member.then(|| self.anchors.clone().or_else(place)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_have_one_place() {
        let place = |position_log: Option<&str>, store: Option<&str>, anchors: Option<&str>| {
            let key = SecretKey::from_seed(&[1; 32]);
            let [position_log, store, anchors] =
                [position_log, store, anchors].map(|path| path.map(PathBuf::from));
            let kept =
                Kept { author: key.clone(), key, folder: None, cursors: None, position_log, store, anchors };
            assert_eq!(kept.anchors(false), None, "who is no member keeps none");
            kept.anchors(true).map(|path| path.to_str().unwrap().to_owned())
        };
        assert_eq!(place(None, None, None), None);
        assert_eq!(place(Some("a/log"), None, None).unwrap(), "a/log.anchors");
        assert_eq!(place(None, Some("a"), None).unwrap(), "a/anchors");
        assert_eq!(place(Some("a/log"), Some("a"), None).unwrap(), "a/log.anchors");
        assert_eq!(place(Some("a/positions"), Some("a/store"), Some("a/anchors")).unwrap(), "a/anchors");
    }
}
