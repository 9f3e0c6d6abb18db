//! An actor and the honest engine behind it: a whole hostile peer but for its links.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use super::{Acquaintance, Actor, Liar, Outgoing, Plot};
use crate::key::{PublicKey, SecretKey};
use crate::protocol::{
    Action, Config, DownReason, Engine, FRAME_OVERHEAD, Input, LinkId, MemberSetup, Mono, Now, Setup,
    UsedPositions, Validation,
};
use crate::rumor::SignedHeader;
use crate::store::{MemoryStore, Store as _, serve};
use crate::verify::verify_single;
use crate::wire::{Lane, Reason};

/// What an [`Impostor`] wants done.
#[derive(Clone, Debug)]
pub enum Step {
    /// Send a frame now.
    Send {
        /// To where.
        link: LinkId,
        /// On which stream.
        lane: Lane,
        /// Kind and content.
        payload: Bytes,
    },
    /// Close a link.
    Close {
        /// Which.
        link: LinkId,
        /// Why.
        reason: Reason,
    },
    /// Dial a node.
    Dial(PublicKey),
}

/// A hostile peer without its links: an [`Engine`] that knows nothing of it, and an [`Actor`] between that and the links.
///
/// Its driver calls it as an engine is called, and does what [`Impostor::poll`] returns. Frames that the adversary delays
/// wait inside.
#[derive(Debug)]
pub struct Impostor {
    engine: Engine,
    store: MemoryStore,
    actor: Actor,
    /// How much faster than the true one the adversary's clock runs.
    haste: u32,
    /// Frames that were delayed, by when they leave and how many were before them.
    delayed: BTreeMap<(Mono, u64), Outgoing>,
    steps: VecDeque<Step>,
    lies: u64,
}

impl Impostor {
    /// A hostile peer whose node key and author key are `key`, in the topic of the plot and without links. It is no member.
    pub fn new(liar: &Liar, key: SecretKey, plot: Plot, now: Now, seed: u64) -> Self {
        Self::build(liar, key, plot, now, seed, None)
    }

    /// The same, and a member of its network, which says this of itself.
    pub fn member(liar: &Liar, key: SecretKey, plot: Plot, now: Now, seed: u64, says: MemberSetup) -> Self {
        Self::build(liar, key, plot, now, seed, Some(says))
    }

    fn build(
        liar: &Liar,
        key: SecretKey,
        plot: Plot,
        now: Now,
        seed: u64,
        says: Option<MemberSetup>,
    ) -> Self {
        let rules = plot.rules.clone();
        let mut bytes = [0x3c; 32];
        bytes.iter_mut().zip(seed.to_le_bytes()).for_each(|(byte, of_seed)| *byte = of_seed);
        let setup = Setup {
            network: rules.network(),
            node: key.public(),
            author: key.clone(),
            position_log: UsedPositions::fresh(),
            seed: bytes,
            config: Config::default(),
        };
        let mut store = MemoryStore::new(seed | 1);
        // Memory fails at nothing.
        let _ = store.start(&key.public());
        let engine = match says {
            Some(says) => Engine::new(setup, now).with_members(key.clone(), says),
            None => Engine::new(setup, now),
        };
        let mut this = Self {
            engine,
            store,
            actor: Actor::new(liar, key, plot, now, seed),
            haste: 1,
            delayed: BTreeMap::new(),
            steps: VecDeque::new(),
            lies: 0,
        };
        this.input(now, Input::Join { rules, deliver: true, validate: false, keep: Default::default() });
        this
    }

    /// Lets the adversary's clock run so many times faster than the true one, at least once. What a simulated liar does in a
    /// minute is then done in seconds. Its engine and the delays of its frames keep to the true time.
    #[must_use]
    pub fn hurried(mut self, haste: u32) -> Self {
        self.haste = haste.max(1);
        self
    }

    /// How often it has sent, changed, delayed or withheld a frame where an honest node would not have.
    pub const fn lies(&self) -> u64 {
        self.lies
    }

    /// The engine behind it.
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// A link is up.
    pub fn link_up(&mut self, now: Now, link: LinkId, peer: PublicKey, dialled: bool, rtt: Duration) {
        self.actor.meet(Acquaintance { link, peer, rtt, accomplice: false });
        self.input(now, Input::LinkUp { link, peer, dialled, remote: None });
    }

    /// A link is gone.
    pub fn link_down(&mut self, now: Now, link: LinkId, why: DownReason) {
        self.actor.part(link);
        self.delayed.retain(|_, frame| frame.link != link);
        self.input(now, Input::LinkDown { link, offence: None, why });
    }

    /// A frame has come in.
    pub fn frame(&mut self, now: Now, link: LinkId, lane: Lane, payload: Bytes) {
        let said = self.actor.incoming(self.seal_now(now), link, lane, &payload);
        self.lie(now, said);
        self.input(now, Input::Frame { link, lane, payload });
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Now) {
        let (said, dials) = self.actor.wake(self.seal_now(now));
        self.lie(now, said);
        self.steps.extend(dials.into_iter().map(Step::Dial));
        while let Some(first) = self.delayed.first_entry().filter(|first| first.key().0 <= now.mono) {
            let Outgoing { link, lane, payload, .. } = first.remove();
            self.steps.push_back(Step::Send { link, lane, payload });
        }
        self.input(now, Input::Tick);
    }

    /// The next thing to do, or `None` when there is nothing more before the next call or deadline.
    pub fn poll(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    /// When to call [`Impostor::tick`] again at the latest.
    pub fn next_deadline(&self) -> Option<Mono> {
        let wake = self.actor.next_wake().map(|at| {
            // Rounded up, or it would be called a nanosecond too early for ever.
            Mono::from_nanos(at.as_nanos().div_ceil(u64::from(self.haste)))
        });
        let delayed = self.delayed.keys().next().map(|(at, _)| *at);
        wake.into_iter().chain(delayed).chain(self.engine.next_deadline()).min()
    }

    /// The time as the adversary sees it.
    fn seal_now(&self, now: Now) -> Now {
        Now { mono: Mono::from_nanos(now.mono.as_nanos().saturating_mul(u64::from(self.haste))), ..now }
    }

    fn lie(&mut self, now: Now, frames: Vec<Outgoing>) {
        self.lies = self.lies.saturating_add(frames.len() as u64);
        self.send(now, frames);
    }

    fn send(&mut self, now: Now, frames: Vec<Outgoing>) {
        for frame in frames {
            if frame.delay.is_zero() {
                let Outgoing { link, lane, payload, .. } = frame;
                self.steps.push_back(Step::Send { link, lane, payload });
            } else {
                let at = now.mono.plus(frame.delay);
                let number = self.delayed.last_key_value().map_or(0, |((_, number), _)| number + 1);
                self.delayed.insert((at, number), frame);
            }
        }
    }

    /// Hands the engine an input, and does what it asks for: whatever is not a matter of links succeeds at once.
    fn input(&mut self, now: Now, input: Input) {
        self.engine.handle(now, input);
        while let Some(action) = self.engine.poll() {
            match action {
                Action::Send { link, lane, frame } => {
                    let bytes = frame.len() + FRAME_OVERHEAD;
                    let sent = self.actor.outgoing(self.seal_now(now), link, lane, frame.clone());
                    let honest = matches!(&sent[..], [one] if one.link == link
                        && one.lane == lane
                        && one.payload == frame
                        && one.delay.is_zero());
                    self.lies = self.lies.saturating_add(u64::from(!honest));
                    self.send(now, sent);
                    self.engine.handle(now, Input::Written { link, lane, bytes });
                }
                Action::Verify { batch, jobs } => {
                    let genuine = jobs.iter().map(|job| {
                        verify_single(&job.author, &SignedHeader::message(&job.id), &job.signature)
                    });
                    let verdicts = genuine.collect();
                    self.engine.handle(now, Input::Verdicts { batch, verdicts });
                }
                Action::Validate { question, .. } => {
                    self.engine.handle(now, Input::Validated { question, verdict: Validation::Accept });
                }
                Action::Record { from_ms, until_ms } => {
                    self.engine.handle(now, Input::Recorded { from_ms, until_ms });
                }
                Action::Store(job) => {
                    if let Some(answer) = serve(&mut self.store, job, now.unix_ms) {
                        self.engine.handle(now, Input::Store(answer));
                    }
                }
                Action::Close { link, reason } => self.steps.push_back(Step::Close { link, reason }),
                _ => {}
            }
        }
    }
}
