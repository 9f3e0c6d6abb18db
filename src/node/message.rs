//! What handles, links and helpers say to the actor.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc, oneshot};

use super::convicted::Convicted;
use super::delivered::Delivered;
use super::delivered_count::DeliveredCount;
use super::error::{ForgetError, JoinError};
use super::keeper::Library;
use super::membership::{JoinId, Membership};
use super::state::View;
use super::stats::NodeStats;
use super::{Host, PeerAddr};
use crate::key::PublicKey;
use crate::net::{Connection, SocketState};
use crate::protocol::keeping::KeepOptions;
use crate::protocol::{
    AdmissionChange, AdmissionOutcome, AdmissionRefusal, BatchId, DialError, Explanation, KeepError, Member,
    PublishError, Validation, ValidationId,
};
use crate::rumor::{RuleSet, Rumor, TopicId};
use crate::store::PositionLogError;
use crate::wire::Reason;

/// The application's judge of rumors.
pub(super) type Validator =
    Arc<dyn Fn(Rumor) -> Pin<Box<dyn Future<Output = Validation> + Send>> + Send + Sync>;

/// What a joined topic's handle needs.
#[derive(Clone, Debug)]
pub(super) struct Joined {
    pub(super) rules: Arc<RuleSet>,
    /// Weak, so that subscriptions end with the topic and not with its last handle.
    pub(super) rumors: broadcast::WeakSender<Delivered>,
    /// Rumors delivered so far.
    pub(super) delivered: DeliveredCount,
    pub(super) membership: Arc<Membership>,
    /// For publish requests that nobody waits for any more. Bounded by the places that requests have.
    pub(super) taken_back: mpsc::UnboundedSender<u64>,
    /// What is kept.
    pub(super) library: Library,
    pub(super) convicted: Convicted,
}

/// A join on its way through the engine.
pub(super) struct Joining {
    pub(super) rules: Arc<RuleSet>,
    pub(super) validator: Option<Validator>,
    /// How the topic is kept, if it is.
    pub(super) keep: KeepOptions,
    pub(super) answer: oneshot::Sender<Result<Joined, JoinError>>,
}

pub(super) type PublishAnswer = Vec<Result<Rumor, PublishError>>;

/// What a publish request waits for.
#[derive(Clone, Copy, Debug)]
pub(super) enum How {
    /// Nothing: it gives up at once if there is no slot or room.
    Tries,
    /// A slot and room; and, with `kept`, the commit where the topic is kept.
    Waits { kept: bool },
    /// The same, with `kept`; and all of it is one bundle, or nothing.
    Together,
}

/// A publish request: bodies that may share bundles.
pub(super) struct Publish {
    /// Names the request if it is taken back. No other of this process has it.
    pub(super) id: u64,
    pub(super) topic: TopicId,
    /// The join whose handle asks.
    pub(super) join: JoinId,
    pub(super) bodies: Vec<Bytes>,
    pub(super) how: How,
    /// A place in the queue for each body, given back with the answer.
    pub(super) places: Option<OwnedSemaphorePermit>,
    pub(super) answer: oneshot::Sender<PublishAnswer>,
}

/// For the answer to a change of who may link.
pub(super) type AdmissionAnswer = oneshot::Sender<Result<AdmissionOutcome, AdmissionRefusal>>;

pub(super) enum Message {
    Publish(Publish),
    /// The time of a publish request is over. It comes behind the request, so that the node has seen that. Told when what could be taken
    /// back of it is taken back and answered.
    TakeBack {
        request: u64,
        told: oneshot::Sender<()>,
    },
    Join(Joining),
    Connect {
        peer: PeerAddr,
        answer: oneshot::Sender<Result<(), KeepError>>,
    },
    Suggest {
        peer: PeerAddr,
        answer: oneshot::Sender<Result<(), KeepError>>,
    },
    /// Somebody reads the values of a topic of state, which is joined.
    Kv {
        rules: Arc<RuleSet>,
        join: JoinId,
        answer: oneshot::Sender<Option<Arc<View>>>,
    },
    /// The owner of a topic says who may speak there, in the topic of its list.
    SetAuthors {
        of: TopicId,
        publish: Publish,
    },
    /// Who may speak in an owned topic?
    Authors {
        topic: TopicId,
        answer: oneshot::Sender<Option<BTreeSet<PublicKey>>>,
    },
    Leave {
        topic: TopicId,
        join: JoinId,
    },
    ForgetTopic {
        topic: TopicId,
        answer: oneshot::Sender<Result<(), ForgetError>>,
    },
    StopDialling(PublicKey),
    /// Who may link is decided anew.
    Admission {
        change: AdmissionChange,
        answer: AdmissionAnswer,
    },
    /// Who is on the allow-list, if there is one?
    Allowed(oneshot::Sender<Option<Vec<PublicKey>>>),
    Stats(oneshot::Sender<NodeStats>),
    Members(oneshot::Sender<Vec<Member>>),
    Member {
        key: PublicKey,
        answer: oneshot::Sender<Option<Member>>,
    },
    Explain {
        key: PublicKey,
        answer: oneshot::Sender<Option<Explanation>>,
    },
    /// It says something else of itself: no more than it may.
    Describe(Bytes),
    /// Where a node can be dialled, for streams of applications.
    Whereabouts {
        peer: PublicKey,
        answer: oneshot::Sender<Result<Vec<Host>, Reason>>,
    },
    LeaveNetwork,
    /// The node ends; unless silently, it says that it leaves.
    Shutdown {
        silently: bool,
    },
    /// The socket fails, works again, or is lost.
    Socket(SocketState),
    /// Somebody dialled us.
    Accepted(Connection),
    /// A dial ended.
    Dialled {
        peer: PublicKey,
        result: Result<Connection, DialError>,
    },
    /// A batch is judged.
    Verdicts {
        batch: BatchId,
        verdicts: Vec<bool>,
    },
    /// The application has judged.
    Validated {
        question: ValidationId,
        verdict: Validation,
    },
    /// The position log is written, or not.
    Recorded {
        until_ms: u64,
        result: Result<(), PositionLogError>,
    },
}
