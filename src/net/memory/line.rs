//! One connection: what each end knows, and what is under way between them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::lock;
use super::pipe::{Flow, Pipe};
use crate::net::limits::{BIDI_STREAMS, IDLE_TIMEOUT, KEEP_ALIVE, UNI_STREAMS};
use crate::net::transport::Ended;

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Dialled,
    Accepted,
}

impl End {
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Dialled => Self::Accepted,
            Self::Accepted => Self::Dialled,
        }
    }
}

/// Names one direction of a stream.
pub(super) type PipeId = u64;

/// A stream that the other end has begun: what comes, and, if both write, what goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begun {
    pub(super) comes: PipeId,
    pub(super) goes: Option<PipeId>,
}

impl Begun {
    const fn kind(self) -> Kind {
        if self.goes.is_some() { Kind::BothWays } else { Kind::OneWay }
    }
}

/// Who writes on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    OneWay,
    BothWays,
}

/// What one end tells the other.
#[derive(Debug)]
enum Told {
    Begun(Begun),
    Flow(PipeId, Flow),
    /// A stream that the other end has begun is over.
    Over(Kind),
    /// So many streams may be open.
    Allows(Kind, u32),
    Closed(u32, Bytes),
}

/// Streams of one kind that an end may begin.
#[derive(Debug)]
struct Quota {
    most: u32,
    open: u32,
}

/// What one end knows.
#[derive(Debug)]
struct Side {
    closed: Option<Ended>,
    one_way: Quota,
    both_ways: Quota,
    /// Begun by the other end and not taken yet. As many as this end allows.
    begun_one_way: VecDeque<Begun>,
    begun_both_ways: VecDeque<Begun>,
    came: u64,
}

impl Side {
    const fn new() -> Self {
        Self {
            closed: None,
            // What a connection begins with.
            one_way: Quota { most: UNI_STREAMS, open: 0 },
            both_ways: Quota { most: BIDI_STREAMS, open: 0 },
            begun_one_way: VecDeque::new(),
            begun_both_ways: VecDeque::new(),
            came: 0,
        }
    }

    const fn quota(&mut self, kind: Kind) -> &mut Quota {
        match kind {
            Kind::OneWay => &mut self.one_way,
            Kind::BothWays => &mut self.both_ways,
        }
    }

    const fn begun(&mut self, kind: Kind) -> &mut VecDeque<Begun> {
        match kind {
            Kind::OneWay => &mut self.begun_one_way,
            Kind::BothWays => &mut self.begun_both_ways,
        }
    }
}

/// One connection. A task carries what is under way, until both ends have closed it.
#[derive(Debug)]
pub(super) struct Line {
    state: Mutex<State>,
    /// There is something to carry.
    sent: Notify,
    /// Streams begin or end, or the connection does.
    changed: Notify,
}

/// What is known of a connection.
#[derive(Debug)]
pub(super) struct State {
    dialled: Side,
    accepted: Side,
    pipes: HashMap<PipeId, Pipe>,
    next: PipeId,
    /// In order of arrival. What is written has room in the window of its stream, and the rest is a few words for each stream or chunk.
    under_way: VecDeque<(Instant, End, Told)>,
    delay: Duration,
    /// Since when nothing passes.
    cut: Option<Instant>,
    /// When each end tells the other that it is there.
    alive: Instant,
    woken: Vec<Waker>,
    is_sent: bool,
    is_changed: bool,
}

impl Line {
    /// One that has just begun, and who carries it.
    pub(super) fn begin(delay: Duration) -> Arc<Self> {
        let now = Instant::now();
        let state = State {
            dialled: Side::new(),
            accepted: Side::new(),
            pipes: HashMap::new(),
            next: 0,
            under_way: VecDeque::new(),
            delay,
            cut: None,
            alive: now + KEEP_ALIVE,
            woken: Vec::new(),
            is_sent: false,
            is_changed: false,
        };
        let line = Arc::new(Self { state: Mutex::new(state), sent: Notify::new(), changed: Notify::new() });
        tokio::spawn(carry(Arc::clone(&line)));
        line
    }

    /// Does something to it, and wakes who waited for that.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = lock(&self.state);
        let done = act(&mut state);
        let woken = std::mem::take(&mut state.woken);
        let (sent, changed) = (std::mem::take(&mut state.is_sent), std::mem::take(&mut state.is_changed));
        // A waker is foreign code: it may ask us something.
        drop(state);
        woken.into_iter().for_each(Waker::wake);
        if sent {
            self.sent.notify_one();
        }
        if changed {
            self.changed.notify_waiters();
        }
        done
    }

    /// Waits until `look` finds something.
    pub(super) async fn until<T>(&self, mut look: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if let Some(found) = self.with(&mut look) {
                return found;
            }
            changed.await;
        }
    }

    /// Whether anything passes from now on.
    pub(super) fn passes(&self, passes: bool) {
        self.with(|state| state.passes(passes, Instant::now()));
    }

    /// Ends it at one end, which tells the other.
    pub(super) fn close(&self, end: End, code: u32, words: &[u8]) {
        self.with(|state| state.close(end, code, words));
    }
}

/// Carries what is under way.
async fn carry(line: Arc<Line>) {
    while let Some(next) = line.with(|state| state.carry(Instant::now())) {
        tokio::select! {
            () = sleep_until(next) => {}
            () = line.sent.notified() => {}
        }
    }
}

impl State {
    const fn side(&mut self, end: End) -> &mut Side {
        match end {
            End::Dialled => &mut self.dialled,
            End::Accepted => &mut self.accepted,
        }
    }

    /// Why it has ended, as one end sees it.
    pub(super) fn lost(&self, end: End) -> Option<Ended> {
        match end {
            End::Dialled => self.dialled.closed.clone(),
            End::Accepted => self.accepted.closed.clone(),
        }
    }

    /// Packets that have come, or what stands for them.
    pub(super) fn came(&mut self, end: End) -> u64 {
        self.side(end).came
    }

    pub(super) fn pipe(&mut self, id: PipeId) -> Option<&mut Pipe> {
        self.pipes.get_mut(&id)
    }

    /// `from` tells the other end something.
    fn tell(&mut self, from: End, told: Told) {
        if self.lost(from).is_some() {
            return;
        }
        let due = Instant::now() + self.delay;
        self.under_way.push_back((due, from.other(), told));
        self.is_sent = true;
    }

    /// The end that writes or reads a pipe tells the other of it.
    pub(super) fn flow(&mut self, from: End, id: PipeId, flow: Flow) {
        self.tell(from, Told::Flow(id, flow));
    }

    /// Begins a stream, if there is a place for it.
    pub(super) fn open(&mut self, end: End, kind: Kind) -> Option<Result<Begun, Ended>> {
        if let Some(why) = self.lost(end) {
            return Some(Err(why));
        }
        let quota = self.side(end).quota(kind);
        if quota.open >= quota.most {
            return None;
        }
        quota.open += 1;
        let goes = self.begin_pipe();
        let comes = (kind == Kind::BothWays).then(|| self.begin_pipe());
        // As the other end sees it.
        let begun = Begun { comes: goes, goes: comes };
        self.tell(end, Told::Begun(begun));
        Some(Ok(begun))
    }

    fn begin_pipe(&mut self) -> PipeId {
        let id = self.next;
        self.next = id.wrapping_add(1);
        self.pipes.insert(id, Pipe::new());
        id
    }

    /// Takes a stream that the other end has begun.
    pub(super) fn accept(&mut self, end: End, kind: Kind) -> Option<Result<Begun, Ended>> {
        let next = self.side(end).begun(kind).pop_front().map(Ok);
        next.or_else(|| self.lost(end).map(Err))
    }

    /// A stream that this end has accepted is over.
    pub(super) fn is_over(&mut self, end: End, kind: Kind) {
        self.tell(end, Told::Over(kind));
    }

    /// How many streams the other end may have open.
    pub(super) fn allow(&mut self, end: End, kind: Kind, most: u32) {
        self.tell(end, Told::Allows(kind, most));
    }

    /// One end of a pipe is not held any more.
    pub(super) fn let_go(&mut self, id: PipeId) {
        if let Some(pipe) = self.pipes.get_mut(&id) {
            pipe.held_by = pipe.held_by.saturating_sub(1);
            if pipe.held_by == 0 {
                self.pipes.remove(&id);
            }
        }
    }

    fn close(&mut self, end: End, code: u32, words: &[u8]) {
        self.tell(end, Told::Closed(code, Bytes::copy_from_slice(words)));
        self.end(end, Ended::ByUs);
    }

    /// It is over for one end.
    fn end(&mut self, end: End, why: Ended) {
        if self.lost(end).is_some() {
            return;
        }
        self.side(end).closed = Some(why);
        self.woken.extend(self.pipes.values_mut().flat_map(Pipe::waiting));
        (self.is_sent, self.is_changed) = (true, true);
    }

    fn passes(&mut self, passes: bool, now: Instant) {
        if passes == self.cut.is_none() {
            return;
        }
        self.cut = (!passes).then_some(now);
        // What was lost meanwhile is sent again.
        let due = now + self.delay;
        self.under_way.iter_mut().for_each(|(at, ..)| *at = due.max(*at));
        self.is_sent = true;
    }

    /// Lets arrive what is due, and says when to look again; `None` when both ends have closed it.
    fn carry(&mut self, now: Instant) -> Option<Instant> {
        if let Some(since) = self.cut {
            let dead = since + IDLE_TIMEOUT;
            if dead <= now {
                self.end(End::Dialled, Ended::TimedOut);
                self.end(End::Accepted, Ended::TimedOut);
            }
            return (!self.is_closed()).then_some(dead);
        }
        while self.under_way.front().is_some_and(|(due, ..)| *due <= now) {
            if let Some((_, to, told)) = self.under_way.pop_front() {
                self.arrives(to, told);
            }
        }
        if self.is_closed() {
            return None;
        }
        if self.alive <= now {
            self.alive = now + KEEP_ALIVE;
            self.dialled.came += 1;
            self.accepted.came += 1;
        }
        Some(self.under_way.front().map_or(self.alive, |(due, ..)| self.alive.min(*due)))
    }

    fn is_closed(&self) -> bool {
        self.dialled.closed.is_some() && self.accepted.closed.is_some()
    }

    fn arrives(&mut self, to: End, told: Told) {
        if self.lost(to).is_some() {
            return;
        }
        self.side(to).came += 1;
        match told {
            Told::Begun(begun) => {
                self.side(to).begun(begun.kind()).push_back(begun);
                self.is_changed = true;
            }
            Told::Flow(id, flow) => {
                let all_is_here = matches!(flow, Flow::Finished);
                let waiting = self.pipes.get_mut(&id).and_then(|pipe| pipe.arrives(flow));
                self.woken.extend(waiting);
                if all_is_here {
                    self.flow(to, id, Flow::Arrived);
                }
            }
            Told::Over(kind) => {
                let quota = self.side(to).quota(kind);
                quota.open = quota.open.saturating_sub(1);
                self.is_changed = true;
            }
            Told::Allows(kind, most) => {
                self.side(to).quota(kind).most = most;
                self.is_changed = true;
            }
            Told::Closed(code, words) => self.end(to, Ended::ByPeer { code: code.into(), words }),
        }
    }

    /// What is under way or waits, counted: for tests of bounds.
    #[cfg(test)]
    pub(super) fn waits(&self) -> usize {
        self.under_way.len() + self.pipes.values().map(Pipe::chunks).sum::<usize>()
    }

    /// Directions of streams that are not over.
    #[cfg(test)]
    pub(super) fn pipes(&self) -> usize {
        self.pipes.len()
    }
}
