//! What the node keeps: a store, one thread that writes it, two that read it.
//!
//! ```text
//!   actor ── Task ──> writer: one store, groups of jobs, in order ── Told ──> actor
//!     │                 │ lays out readers, wakes tails                       ▲
//!     └──── Look ───> readers: two threads ───────────────────────────────────┘
//!                       ▲ scans, pages
//!   application ── Library
//! ```
//!
//! **Nobody waits in a circle.** The actor gives tasks through channels without a bound, and takes what is told when it comes; the writer
//! waits for the disk and for tasks; readers wait for the disk and for reads. No thread of the keeper ever waits for the actor, whose own
//! inbox may be full or closed: each task has at most one answer, so the place of an answer is there when its task is given. What waits in
//! all is bounded by what the engine gives: 8 MiB of others' bundles, the requests of own authors, a few questions of peers.
//!
//! A node without a folder has a [`MemoryStore`] and no such thread: its jobs are done by the actor, at once.

mod batch;
mod library;
mod readers;
mod space;
mod tails;
mod task;
mod writer;

use std::collections::VecDeque;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

use self::readers::{Met, Readers, Shelf};
use self::task::Task;
use self::writer::{State, Writer};
use super::outside::Outside;
use crate::key::PublicKey;
use crate::protocol::keeping::{Forget, StoreAnswer, StoreJob, StoreTrouble};
use crate::rumor::TopicId;
use crate::store::{MemoryStore, Store, StoreError, look, serve};

pub(super) use self::library::{Library, UnderWay};
pub(super) use self::space::Space;
pub(super) use self::tails::{Tail, Tails, Waiter};
pub(super) use self::task::Told;
pub(super) use self::writer::Opener;

/// What is told is handed to the engine in turns of so many.
const TURN: usize = 256;

/// The actor's end.
pub(super) struct Keeper {
    kind: Kind,
    /// How often the store has started, as far as the engine knows.
    epoch: u64,
    told: Vec<Told>,
    tails: Arc<Tails>,
}

enum Kind {
    Memory(Box<Memory>),
    Disk(Disk),
    /// It has ended.
    Over,
}

/// A store that is asked in the actor's own turn.
struct Memory {
    store: MemoryStore,
    /// For applications.
    reader: Arc<Mutex<Box<dyn crate::store::Reader>>>,
    /// Answers that the engine has not had yet, one for each job that it has given.
    told: VecDeque<Told>,
    forgets: VecDeque<Forgetting>,
    /// Goes last, when nothing can be read any more.
    _last: Last,
}

/// Wakes all who wait for more to read: there will be none.
struct Last(Arc<Tails>);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.advance_all();
    }
}

type Forgetting = (TopicId, oneshot::Sender<Result<(), StoreError>>);

struct Disk {
    told: mpsc::UnboundedReceiver<Told>,
    /// A copy for the answers of readers.
    tell: mpsc::UnboundedSender<Told>,
    readers: Arc<Readers>,
    threads: Vec<JoinHandle<()>>,
}

impl Keeper {
    /// Keeps in memory. The store is new, so nothing of it is to be told.
    pub(super) fn in_memory(author: &PublicKey) -> Self {
        // Without entropy cursors of an earlier life are not told apart.
        let incarnation = getrandom::u64().unwrap_or(1);
        let mut store = MemoryStore::new(incarnation);
        // Memory refuses nothing.
        let _ = store.start(author);
        let reader = Arc::new(Mutex::new(store.reader()));
        let tails = Arc::<Tails>::default();
        let (told, forgets, _last) = (VecDeque::new(), VecDeque::new(), Last(Arc::clone(&tails)));
        Self::new(Kind::Memory(Box::new(Memory { store, reader, told, forgets, _last })), tails)
    }

    /// Keeps on a disk: starts the threads for a store that is open and has been started.
    pub(super) fn on_disk(
        store: Box<dyn Store>,
        open: Opener,
        author: PublicKey,
        space: Space,
        outside: Outside,
    ) -> Self {
        let ((tasks, given), (tell, told)) = (channel(), mpsc::unbounded_channel());
        let (shelf, tails) = (Arc::new(Shelf::default()), Arc::new(Tails::default()));
        shelf.lay_out(Some(&*store));
        let (readers, mut threads) = Readers::start(&shelf, &tasks);
        let writer = Writer {
            store: Some(store),
            open,
            author,
            tasks: given,
            told: tell.clone(),
            shelf,
            tails: Arc::clone(&tails),
            outside,
            space,
            state: State::default(),
        };
        threads.push(std::thread::spawn(move || writer.run()));
        drop(tasks);
        let disk = Disk { told, tell, readers: Arc::new(readers), threads };
        Self::new(Kind::Disk(disk), tails)
    }

    fn new(kind: Kind, tails: Arc<Tails>) -> Self {
        Self { kind, epoch: 0, told: Vec::with_capacity(TURN), tails }
    }

    /// What applications read with.
    pub(super) fn library(&self) -> Library {
        match &self.kind {
            Kind::Memory(memory) => Library::in_memory(&memory.reader, &self.tails),
            Kind::Disk(disk) => Library::on_disk(&disk.readers, &self.tails),
            Kind::Over => Library::closed(&self.tails),
        }
    }

    /// Does a job of the engine's, or has it done. What is to be told of it is told by [`Keeper::told`].
    pub(super) fn give(&mut self, job: StoreJob, now_ms: u64) {
        let epoch = self.epoch;
        match &mut self.kind {
            Kind::Memory(memory) => {
                let shows = shows(&job);
                if let Some(answer) = serve(&mut memory.store, job, now_ms) {
                    memory.told.push_back(Told::Store { epoch, answer });
                }
                shows.iter().for_each(|topic| self.tails.advance(topic));
            }
            Kind::Disk(disk) => match job {
                StoreJob::Look { look, query } => {
                    let tell = disk.tell.clone();
                    disk.readers.give(Box::new(move |reader| {
                        let found = reader.and_then(|reader| self::look(reader, query));
                        let met = Met::by(&found);
                        let found = found.map_err(|error| StoreTrouble::from(&error));
                        // An error means that the node is gone.
                        let _ = tell.send(Told::Store { epoch, answer: StoreAnswer::Looked { look, found } });
                        met
                    }));
                }
                job => disk.readers.write(Task::Job { epoch, job }),
            },
            Kind::Over => {}
        }
    }

    /// Has a record made of positions up to `until_ms`; false if there is no disk to make it on.
    pub(super) fn record(&self, until_ms: u64) -> bool {
        let Kind::Disk(disk) = &self.kind else { return false };
        disk.readers.write(Task::Record { until_ms });
        true
    }

    /// Removes all of a topic that is not joined.
    pub(super) fn forget_topic(&mut self, topic: TopicId, answer: oneshot::Sender<Result<(), StoreError>>) {
        match &mut self.kind {
            Kind::Memory(memory) => memory.forgets.push_back((topic, answer)),
            Kind::Disk(disk) => disk.readers.write(Task::ForgetTopic { topic, answer }),
            // The answer is dropped, which says that the node is closed.
            Kind::Over => {}
        }
    }

    /// Whoever waits at the end of this topic looks again.
    pub(super) fn wake_readers(&self, topic: &TopicId) {
        self.tails.advance(topic);
    }

    /// Waits until something is told. Cancel safe: nothing is lost.
    pub(super) async fn wait(&mut self) {
        match &mut self.kind {
            _ if !self.told.is_empty() => {}
            Kind::Memory(memory) if memory.told.is_empty() && memory.forgets.is_empty() => {
                std::future::pending().await
            }
            Kind::Memory(_) => {}
            // The writer has ended only if the node is ending.
            Kind::Disk(disk) => match disk.told.recv().await {
                Some(told) => self.told.push(told),
                None => std::future::pending().await,
            },
            Kind::Over => std::future::pending().await,
        }
    }

    /// What has been told, some of it. What belongs to an earlier start of the store is left out.
    pub(super) fn told(&mut self) -> Vec<Told> {
        let mut told = std::mem::take(&mut self.told);
        match &mut self.kind {
            Kind::Memory(memory) => {
                memory.forget_on();
                let count = memory.told.len().min(TURN);
                told.extend(memory.told.drain(..count));
            }
            Kind::Disk(disk) => {
                while told.len() < TURN
                    && let Ok(more) = disk.told.try_recv()
                {
                    told.push(more);
                }
            }
            Kind::Over => {}
        }
        self.leave_out_what_is_over(&mut told);
        told
    }

    fn leave_out_what_is_over(&mut self, told: &mut Vec<Told>) {
        told.retain(|told| match told {
            Told::Store { epoch, answer: StoreAnswer::Started { .. } } => {
                self.epoch = *epoch;
                true
            }
            Told::Store { epoch, .. } => *epoch == self.epoch,
            Told::Recorded { .. } => true,
        });
    }

    /// Ends the threads when they have done what they were given. Gives what they have told. Up to `used_ms` the author has used
    /// positions, and uses no more.
    pub(super) async fn end(&mut self, used_ms: u64) -> Vec<Told> {
        let mut all = self.told();
        if let Kind::Disk(Disk { mut told, tell, readers, threads }) =
            std::mem::replace(&mut self.kind, Kind::Over)
        {
            readers.write(Task::Settle { until_ms: used_ms });
            drop((tell, readers));
            let join = move || threads.into_iter().for_each(|thread| drop(thread.join()));
            // An error means that the runtime goes down; the threads end all the same.
            let _ = tokio::task::spawn_blocking(join).await;
            let mut rest = Vec::new();
            while let Ok(more) = told.try_recv() {
                rest.push(more);
            }
            self.leave_out_what_is_over(&mut rest);
            all.append(&mut rest);
        }
        all
    }
}

impl Memory {
    /// A step of removing.
    fn forget_on(&mut self) {
        let Some((topic, answer)) = self.forgets.pop_front() else { return };
        match self.store.forget(&topic, Forget::Topic) {
            Ok(true) => self.forgets.push_front((topic, answer)),
            // Whoever asked may have gone; the topic is removed all the same.
            result => drop(answer.send(result.map(drop))),
        }
    }
}

/// The topic of which there may be more to read once a job is done.
fn shows(job: &StoreJob) -> Option<TopicId> {
    match job {
        StoreJob::Keep { keep, .. } => Some(keep.bundle.header().topic),
        StoreJob::Release { topic, .. } => Some(*topic),
        StoreJob::Open { rules, .. } => Some(rules.id()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
