//! Why a state folder, or a place that is kept in it, can't be used.

use std::io;
use std::path::PathBuf;

use super::cursors::{MAX_CURSORS, MAX_NAME};
use crate::key::{KeyFileError, PublicKey};
use crate::rumor::TopicId;

/// Why the state folder of a node can't be used. Nothing in it was changed or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// A node runs with it, in this process or another.
    #[error(
        "the state folder {} is in use by another node: stop that one first, or give this one a folder of its own",
        .0.display()
    )]
    InUse(PathBuf),
    /// Its file system locks nothing, so a second node could write under the same key.
    #[error("the file system of the state folder {} locks nothing, so a second node could use it: choose a folder on another one", .0.display())]
    NoLocks(PathBuf),
    /// Others can read or write it.
    #[error(
        "the state folder {} has mode {mode:04o}, so others can read or write it: run `chmod 700 {}`",
        folder.display(), folder.display()
    )]
    TooOpen {
        /// The folder.
        folder: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// There is no folder of that name, but something else.
    #[error("{} is no folder: name a folder, or one that is not there yet", .0.display())]
    NotAFolder(PathBuf),
    /// It has files, and none that says that they are of a node.
    #[error(
        "the folder {} is no state folder and has other files, such as {file:?}: name an empty folder, or one that is not there yet",
        folder.display()
    )]
    Foreign {
        /// The folder.
        folder: PathBuf,
        /// A file that stands there.
        file: String,
    },
    /// A later version of this library wrote it.
    #[error(
        "the state folder {} has format {found}, and this program knows format {known}: use the program that wrote it, or a newer one",
        folder.display()
    )]
    Newer {
        /// The folder.
        folder: PathBuf,
        /// What it says.
        found: u64,
        /// What we know.
        known: u64,
    },
    /// It is the folder of another node than the key says.
    #[error(
        "the state folder {} is of the node {found}, and the builder was given the key of {given}: start with `Node::with_state`, or \
         name another folder",
        folder.display()
    )]
    OtherNode {
        /// The folder.
        folder: PathBuf,
        /// The node whose folder it is.
        found: PublicKey,
        /// The node that was to be started.
        given: PublicKey,
    },
    /// What is kept there was said under another author key.
    #[error(
        "the state folder {} is of the author {found}, and the builder was given the key of {given}: leave out `Builder::author`, or \
         name another folder",
        folder.display()
    )]
    OtherAuthor {
        /// The folder.
        folder: PathBuf,
        /// The author whose folder it is.
        found: PublicKey,
        /// The author that was to speak.
        given: PublicKey,
    },
    /// A node has run with it, and its key is gone.
    #[error(
        "the state folder {} has no node.key, and a node has run with it: put the key back, or name an empty folder for a new node",
        .0.display()
    )]
    NoKey(PathBuf),
    /// A key in it can't be used.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The file of cursors is not what was written.
    #[error(
        "{} is damaged: put it back from a copy, or move it away: then named replays begin at the beginning again",
        .0.display()
    )]
    DamagedCursors(PathBuf),
    /// The folder does what this does, too.
    #[error(
        "a state folder has {what}, so both can't be: leave out `Builder::{what}`, or leave out the state folder"
    )]
    Twice {
        /// The other call of the builder.
        what: &'static str,
    },
    /// The disk fails, or the folder can't be written.
    #[error("the state folder, at {}: {source}; let this process read and write there, or name another folder", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// Why a named replay can't begin, or its place can't be saved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CursorError {
    /// The node has no state folder.
    #[error(
        "the node has no state folder to keep a cursor in: give its builder `state(FOLDER)`, or keep `Replay::cursor` yourself"
    )]
    NoFolder,
    /// It is no name.
    #[error(
        "{0:?} is no name of a replay: 1 to {MAX_NAME} letters, digits, dots, dashes and underscores of ASCII"
    )]
    Name(String),
    /// Another replay of that name and topic goes on.
    #[error("a replay named {0:?} is reading this topic: drop that one first, or choose another name")]
    InUse(String),
    /// The folder has as many cursors as it may have.
    #[error(
        "the state folder has {MAX_CURSORS} named replays, the most there may be: forget one with `TopicHandle::forget_replay`"
    )]
    TooMany,
    /// The topic is not kept.
    #[error("topic {0} is not kept, so there is nothing to replay: give it a retention of more than 90 s")]
    NotKept(TopicId),
    /// The replay has no name.
    #[error("this replay has no name to be saved under: begin it with `TopicHandle::replay_named`")]
    Unnamed,
    /// The disk fails, or is full. What was saved before still holds.
    #[error("the cursor was not saved, at {}: {source}; save it again when the disk has room and works", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The node has ended.
    #[error(
        "the node is closed, and the cursor was not saved: save before the shutdown, or spawn a new node"
    )]
    Closed,
}
