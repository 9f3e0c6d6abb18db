//! Two threads that read what is committed, beside the one that writes: peers' questions, and what the application reads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::task::Task;
use crate::key::PublicKey;
use crate::node::jobs::Jobs;
use crate::rumor::{Position, TopicId};
use crate::store::{Reader, Res, Store, StoreError};

/// Threads that read. Two, so that a page for a peer and a scan for the application wait for each other only where there are more.
pub(super) const READERS: usize = 2;

/// Something to read. It gets a reader, or why there is none.
pub(super) type Read = Box<dyn FnOnce(Res<&dyn Reader>) -> Met + Send>;

/// What a read came upon that the writer must know.
#[derive(Debug)]
pub(super) enum Met {
    Nothing,
    /// The store is damaged.
    Damage,
    /// Records of a topic whose checksum does not hold.
    Rot(TopicId, Vec<(PublicKey, Position)>),
}

impl Met {
    pub(super) fn by<T>(read: &Res<T>) -> Self {
        if matches!(read, Err(StoreError::Damaged(_))) { Self::Damage } else { Self::Nothing }
    }
}

/// Where the threads find their readers. The writer lays out new ones whenever it opens the store.
#[derive(Default)]
pub(super) struct Shelf(Mutex<Shelved>);

#[derive(Default)]
struct Shelved {
    /// How often a store was opened, or was found over.
    generation: u64,
    readers: Vec<Box<dyn Reader>>,
}

impl Shelf {
    /// Lays out readers of a store that was opened, or none.
    pub(super) fn lay_out(&self, store: Option<&dyn Store>) {
        let readers = store.map(|store| (0..READERS).map(|_| store.reader()).collect()).unwrap_or_default();
        let mut shelved = self.locked();
        shelved.generation = shelved.generation.wrapping_add(1);
        shelved.readers = readers;
    }

    /// Whether the store that is open now is still this one.
    pub(super) fn is_of(&self, generation: u64) -> bool {
        self.locked().generation == generation
    }

    /// Takes a newer reader, if there is one.
    fn renew(&self, mine: &mut (u64, Option<Box<dyn Reader>>)) {
        let mut shelved = self.locked();
        if mine.0 != shelved.generation {
            *mine = (shelved.generation, shelved.readers.pop());
        }
    }

    fn locked(&self) -> MutexGuard<'_, Shelved> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The giving end of both threads, and of the one that writes. They end with it.
pub(super) struct Readers {
    reads: Jobs<Read>,
    tasks: Sender<Task>,
}

impl Readers {
    pub(super) fn start(shelf: &Arc<Shelf>, tasks: &Sender<Task>) -> (Self, Vec<JoinHandle<()>>) {
        let reads: Jobs<Read> = Jobs::new();
        let threads = (0..READERS).map(|_| {
            let (taker, shelf, tasks) = (reads.taker(), Arc::clone(shelf), tasks.clone());
            std::thread::spawn(move || {
                let mut mine = (0, None);
                for read in taker {
                    shelf.renew(&mut mine);
                    let reader = mine.1.as_deref().ok_or(StoreError::Closed);
                    // What goes wrong with one read must not take the thread from all others.
                    let met = catch_unwind(AssertUnwindSafe(|| read(reader))).unwrap_or(Met::Nothing);
                    // An error means that the writer has ended.
                    let _ = match met {
                        Met::Nothing => Ok(()),
                        Met::Damage => tasks.send(Task::Damaged { generation: mine.0 }),
                        Met::Rot(topic, at) => tasks.send(Task::Rotten { topic, at }),
                    };
                }
            })
        });
        let threads = threads.collect();
        (Self { reads, tasks: tasks.clone() }, threads)
    }

    pub(super) fn give(&self, read: Read) {
        self.reads.give(read);
    }

    /// Gives the writer something.
    pub(super) fn write(&self, task: Task) {
        // An error means that the writer has panicked, and with it whatever was given to it before: nothing is answered any more.
        let _ = self.tasks.send(task);
    }

    /// A reader waits for the next commit.
    pub(super) fn are_awaited(&self) {
        self.write(Task::Awaited);
    }
}
