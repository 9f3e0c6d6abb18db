//! What the writer is given to do, and what it tells.

use tokio::sync::oneshot;

use crate::key::PublicKey;
use crate::protocol::keeping::{StoreAnswer, StoreJob};
use crate::rumor::{Position, TopicId};
use crate::store::StoreError;

/// For the thread that writes, in order.
pub(super) enum Task {
    /// Something of the engine's.
    Job {
        /// How often the store had started when it was given. What is older than the last start is over.
        epoch: u64,
        job: StoreJob,
    },
    /// Record that positions of the author may be used until then, Unix milliseconds. Always answered.
    Record { until_ms: u64 },
    /// The author says no more: what was recorded beyond this is taken back, when all else is done.
    Settle { until_ms: u64 },
    /// Remove all of a topic that is not joined.
    ForgetTopic { topic: TopicId, answer: oneshot::Sender<Result<(), StoreError>> },
    /// A reader waits at the end of a topic: what is due may be due earlier.
    Awaited,
    /// A reader has found that the store of that generation is damaged.
    Damaged { generation: u64 },
    /// A reader has found rotten records. The engine learns of it as if it had asked for their removal.
    Rotten { topic: TopicId, at: Vec<(PublicKey, Position)> },
}

/// For the task that owns the engine. At most one for each [`Task`] and each start of the store, so those that wait are as few as the
/// tasks that were given; the channel needs no bound of its own, and who answers never waits.
#[derive(Debug)]
pub(in crate::node) enum Told {
    /// For the engine.
    Store {
        /// How often the store has started.
        epoch: u64,
        answer: StoreAnswer,
    },
    /// A record is durable, or is not.
    Recorded {
        /// As it was asked for.
        until_ms: u64,
        result: Result<(), String>,
    },
}
