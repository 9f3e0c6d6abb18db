//! The whole boundary of the engine: what goes in, what comes out.

use core::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::admission::{AdmissionChange, AdmissionOutcome, AdmissionRefusal};
use super::keeping::{KeepOptions, StoreAnswer, StoreJob};
use super::member_event::MemberEvent;
use super::{DownReason, Event, JoinRefusal, Offence, PublishError, Validation};
use crate::key::{PublicKey, Signature};
use crate::rumor::{Bundle, BundleId, RuleSet, Rumor, SignedHeader, TopicId};
use crate::wire::{Lane, Reason};

/// Names one link for its whole life. The driver numbers links upwards and never uses a number twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// Names a publish request; the driver's to choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublishId(pub u64);

/// Names a batch of signatures that is being verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId(pub(super) u64);

/// Names a question to the application's validator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValidationId(pub(super) u64);

/// What can happen to a node.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Input {
    /// A handshake is done: `peer` has proved its key.
    LinkUp {
        /// The new link.
        link: LinkId,
        /// The node key at the other end.
        peer: PublicKey,
        /// Whether we dialled.
        dialled: bool,
        /// Where we see the peer, if the driver can tell: the peer is told.
        remote: Option<SocketAddr>,
    },
    /// A link is gone. `offence` is set if the transport found a frame longer than any may be.
    LinkDown {
        /// The link.
        link: LinkId,
        /// What the transport holds against the peer.
        offence: Option<Offence>,
        /// Why, for the application.
        why: DownReason,
    },
    /// A frame's payload came in.
    Frame {
        /// From where.
        link: LinkId,
        /// On which stream.
        lane: Lane,
        /// Kind and content.
        payload: Bytes,
    },
    /// The transport took bytes that we had sent: there is room for as many more.
    Written {
        /// To where.
        link: LinkId,
        /// On which stream.
        lane: Lane,
        /// Payload bytes, and [`FRAME_OVERHEAD`](super::FRAME_OVERHEAD) for each frame. A frame may be written in parts: what is told
        /// late looks like a peer that doesn't read.
        bytes: usize,
    },
    /// A new measurement of a link's round trip.
    RoundTrip {
        /// The link.
        link: LinkId,
        /// The time.
        rtt: Duration,
    },
    /// The transport has heard nothing on a link for so long, not even what keeps it open. Tell it some times in a second, from 4 s on
    /// or before. It is the driver's to leave out the time in which it did not look.
    Silent {
        /// The link.
        link: LinkId,
        /// For how long.
        silence: Duration,
    },
    /// It has heard something again on a link of which it has told that.
    Heard {
        /// The link.
        link: LinkId,
    },
    /// The verdicts of a batch, in the order of its jobs.
    Verdicts {
        /// Which batch.
        batch: BatchId,
        /// One per job.
        verdicts: Vec<bool>,
    },
    /// The application's answer about a bundle.
    Validated {
        /// Which question.
        question: ValidationId,
        /// The answer.
        verdict: Validation,
    },
    /// The application says something.
    Publish {
        /// Where.
        topic: TopicId,
        /// What.
        body: Bytes,
        /// How to answer.
        publish_id: PublishId,
        /// Whether to answer only when it is kept, in a topic that is kept.
        kept: bool,
    },
    /// The application says several things that belong together: in one bundle, or not at all.
    PublishTogether {
        /// Where.
        topic: TopicId,
        /// What, each with how to answer.
        rumors: Vec<(PublishId, Bytes)>,
        /// Whether to answer only when they are kept, in a topic that is kept.
        kept: bool,
    },
    /// As [`Input::Publish`], for an application that does not wait, not for the store either: if it can't be sealed now, or as soon as the position log has answered, it is
    /// answered with an error that says why.
    TryPublish {
        /// Where.
        topic: TopicId,
        /// What.
        body: Bytes,
        /// How to answer.
        publish_id: PublishId,
    },
    /// The application takes a publish request back. If it still waits, it is answered with [`PublishError::WouldWait`]; one that was
    /// answered stays so.
    Withdraw {
        /// Where.
        topic: TopicId,
        /// Which.
        publish_id: PublishId,
    },
    /// The application wants a topic relayed and, if `deliver`, delivered: first what is held of it and was not delivered, in
    /// the order of positions. It is answered with [`Action::Joined`] before anything of it is done, also if it is joined already.
    Join {
        /// The rules.
        rules: Arc<RuleSet>,
        /// Whether the application reads the topic.
        deliver: bool,
        /// Whether the application wants to judge rumors before they are forwarded.
        validate: bool,
        /// How it is kept, if it is: of several joins the last one's choice holds.
        keep: KeepOptions,
    },
    /// The application reads a joined topic from now on: as if it were joined again with `deliver`.
    Read {
        /// Which.
        topic: TopicId,
    },
    /// Nobody took a bundle of [`Action::Deliver`]: it, and what comes after it, is delivered when the topic is read again.
    Undelivered {
        /// Its topic.
        topic: TopicId,
        /// Which.
        id: BundleId,
    },
    /// The application no longer reads or validates the topic, which stays relayed.
    StopReading {
        /// Which.
        topic: TopicId,
    },
    /// The application no longer wants the topic.
    Leave {
        /// Which.
        topic: TopicId,
    },
    /// The position log has recorded, durably, that positions in this time may be used.
    Recorded {
        /// As it was asked for, Unix milliseconds.
        from_ms: u64,
        /// The same.
        until_ms: u64,
    },
    /// The driver has found, or no longer finds, that something keeps the node from its work: its socket, its node key.
    Impaired {
        /// What.
        what: super::Impairment,
        /// Whether it holds now.
        holds: bool,
    },
    /// The position log could not be written: nothing may be published before it can.
    RecordFailed {
        /// What the operating system said.
        why: String,
    },
    /// The store has answered [`Action::Store`], or has started.
    Store(StoreAnswer),
    /// The application decides anew who may link and is shown as a member. It is answered with [`Action::AdmissionChanged`] when that
    /// is so.
    Admission(AdmissionChange),
    /// The node says something else of itself as a member: at most 512 bytes, or nothing changes.
    Describe {
        /// What.
        metadata: Bytes,
    },
    /// The node can be dialled elsewhere.
    Advertise {
        /// Where, at most three addresses; none if nowhere.
        addresses: Vec<SocketAddr>,
    },
    /// The node leaves the network: it says so, and then nothing more of itself. Ask [`Engine::has_left`](super::Engine::has_left) when to
    /// shut it down.
    LeaveNetwork,
    /// The node is going down: say goodbye to all.
    Shutdown,
    /// Nothing but time has passed.
    Tick,
}

/// What the driver must do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Action {
    /// Write a frame. Never more than the lane's credit beyond what [`Input::Written`] has given back.
    Send {
        /// To where.
        link: LinkId,
        /// On which stream.
        lane: Lane,
        /// Kind and content; the length is the driver's to add.
        frame: Bytes,
    },
    /// Check these signatures, off the loop, and answer with [`Input::Verdicts`].
    Verify {
        /// How to answer.
        batch: BatchId,
        /// What to check.
        jobs: Vec<VerifyJob>,
    },
    /// Ask the application about a bundle and answer with [`Input::Validated`]; silence counts as "ignore".
    Validate {
        /// How to answer.
        question: ValidationId,
        /// The bundle.
        bundle: Arc<Bundle>,
    },
    /// Hand the rumors of a bundle to the application. At most once per rumor.
    Deliver {
        /// The bundle.
        bundle: Arc<Bundle>,
        /// The peer whose copy was accepted; `None` for what we published.
        from: Option<PublicKey>,
    },
    /// Tell whoever reads the topic that what was said in a time may be missing: for longer than the delivery window covers no
    /// link relayed it, or the engine was not called, or the wall clock was off.
    Missed {
        /// The topic.
        topic: TopicId,
        /// Since when, Unix milliseconds.
        from_ms: u64,
        /// Until when, Unix milliseconds.
        to_ms: u64,
    },
    /// Stop reading a lane of a link: flow control will slow the sender. The lanes of the living are paused together.
    PauseReading(LinkId, Lane),
    /// Read it again.
    ResumeReading(LinkId, Lane),
    /// Close a link once its control lane is written.
    Close {
        /// Which.
        link: LinkId,
        /// Why; the number is the QUIC error code.
        reason: Reason,
    },
    /// Record durably that positions from `from_ms` to `until_ms` may be used, beside what was recorded before, then answer
    /// with [`Input::Recorded`] or [`Input::RecordFailed`]. There is no other before the answer.
    Record {
        /// Unix milliseconds.
        from_ms: u64,
        /// Unix milliseconds.
        until_ms: u64,
    },
    /// Give the store something to do, and answer with [`Input::Store`]. A driver without a store on a disk has one in memory.
    Store(StoreJob),
    /// The answer to [`Input::Join`]. There is one for each, in their order.
    Joined {
        /// The topic.
        topic: TopicId,
        /// Why it is not joined, if it is not: then nothing has happened.
        result: Result<(), JoinRefusal>,
    },
    /// The answer to [`Input::Admission`]. There is one for each, in their order, after all that follows from it.
    AdmissionChanged {
        /// What it has done, or why it has done nothing.
        result: Result<AdmissionOutcome, AdmissionRefusal>,
    },
    /// The answer to a publish request.
    Published {
        /// Which request.
        publish_id: PublishId,
        /// The rumor, or why there is none.
        result: Result<Rumor, PublishError>,
    },
    /// Something that the application may want to know.
    Event(Event),
    /// The same, of a member.
    Member(MemberEvent),
}

/// One signature to check: `author` over the signed message of `id`.
#[derive(Clone, Copy, Debug)]
pub struct VerifyJob {
    /// The key.
    pub author: PublicKey,
    /// The bundle's id, from which [`SignedHeader::message`](crate::rumor::SignedHeader::message) makes the message.
    pub id: BundleId,
    /// The signature.
    pub signature: Signature,
}

impl VerifyJob {
    pub(super) fn of(signed: &SignedHeader, id: BundleId) -> Self {
        Self { author: signed.header.author, id, signature: signed.signature }
    }
}
