//! One simulated node: a machine, what may twist its words, its line out, and the ends of its links.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::dialling::Dialling;
use super::machine::Machine;
use super::queue::NodeIndex;
use super::uplink::Uplink;
use crate::adversary::Actor;
use crate::key::{PublicKey, SecretKey};
use crate::protocol::{Input, LinkId, Now};
use crate::store::MemoryStore;
use crate::wire::{Lane, Reason};

#[derive(Debug)]
pub(super) struct Node {
    pub(super) machine: Box<dyn Machine>,
    pub(super) secret: SecretKey,
    pub(super) key: PublicKey,
    /// `None` for honest nodes.
    pub(super) twist: Option<Box<Actor>>,
    /// Ends of its links, by their number at this node (from 0, never reused).
    pub(super) ends: Vec<End>,
    pub(super) dialling: Dialling,
    /// Running: neither crashed nor gone.
    pub(super) alive: bool,
    /// Where it is, for latencies.
    pub(super) place: (f64, f64),
    /// On which side of a partition it is.
    pub(super) side: u32,
    /// Its clock ahead of true time, milliseconds.
    pub(super) skew_ms: i64,
    pub(super) uplink: Uplink,
    /// The earliest wake that is planned for it, nanoseconds.
    pub(super) wake: u64,
    pub(super) bytes_out: u64,
    /// Until when its position log says that it may have spoken, Unix milliseconds.
    pub(super) recorded: crate::rumor::Spans,
    /// What it keeps of kept topics; made when it is first asked.
    pub(super) store: Option<MemoryStore>,
    /// Counts restarts.
    pub(super) life: u32,
    pub(super) troubles: Troubles,
    /// Until when its process stands still, nanoseconds.
    pub(super) still_until: u64,
    /// Other ends of the links that it had when it crashed, with the links' numbers there.
    pub(super) orphans: Vec<(NodeIndex, LinkId)>,
    /// What its transport has taken and its machine has not been told of.
    pub(super) written: Vec<(LinkId, Lane, usize)>,
    pub(super) written_bytes: usize,
}

/// What is wrong with a node.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Troubles {
    /// Its clock has stepped by so much, milliseconds.
    pub(super) stepped_ms: i64,
    /// How long a record takes.
    pub(super) record_takes: Duration,
    pub(super) record_fails: bool,
    /// If it asks validators, how long they think.
    pub(super) thinks: Option<Duration>,
    /// It has left the topic.
    pub(super) left: bool,
    /// Nobody can dial it.
    pub(super) hidden: bool,
}

/// A machine is told what its transport has taken with its next input, or when it is so much: telling it after each
/// frame would double the calls that a frame costs. Far less than the credit of a lane, which would hold it up.
const TELL_WRITTEN: usize = 32 * 1024;

/// One end of a link.
#[derive(Debug)]
pub(super) struct End {
    pub(super) peer: NodeIndex,
    /// The number of the other end at the peer.
    pub(super) there: LinkId,
    pub(super) delay: Duration,
    pub(super) dialled: bool,
    /// Its dialler ordered it.
    pub(super) ordered: bool,
    pub(super) up: bool,
    /// Nanoseconds.
    pub(super) up_since: u64,
    /// When the last frame of each lane arrives: streams keep their order.
    pub(super) last: [u64; Lane::COUNT],
    /// Nothing arrives here before: after a partition, what was lost is sent again, and the rest waits for it.
    pub(super) late: u64,
    /// Lanes that the machine does not read.
    pub(super) paused: [bool; Lane::COUNT],
    /// What has come since, in order: on the lanes of the living, of the history, and of the system.
    pub(super) unread: [VecDeque<(Lane, Bytes)>; 3],
    /// Of each lane, how many bytes of that.
    pub(super) unread_bytes: [usize; Lane::COUNT],
    /// Closed at this end, with a goodbye that is not written yet, for this reason.
    pub(super) closing: Option<Reason>,
}

impl End {
    pub(super) const fn new(peer: NodeIndex, there: LinkId, delay: Duration, dialled: bool) -> Self {
        Self {
            peer,
            there,
            delay,
            dialled,
            ordered: false,
            up: false,
            up_since: 0,
            last: [0; Lane::COUNT],
            late: 0,
            paused: [false; Lane::COUNT],
            unread: [const { VecDeque::new() }; 3],
            unread_bytes: [0; Lane::COUNT],
            closing: None,
        }
    }

    /// Whether a lane is read.
    pub(super) fn reads(&self, lane: Lane) -> bool {
        self.paused.get(lane.index()) == Some(&false)
    }

    /// Where frames of a lane wait: those of lanes that are paused together keep their order.
    pub(super) const fn queue_of(lane: Lane) -> usize {
        match lane {
            Lane::Control | Lane::Rumors | Lane::Replies => 0,
            Lane::History => 1,
            Lane::System => 2,
        }
    }

    /// What waits with a lane.
    pub(super) fn unread_with(&mut self, lane: Lane) -> Option<&mut VecDeque<(Lane, Bytes)>> {
        self.unread.get_mut(Self::queue_of(lane))
    }

    /// Whether something waits that is read when its turn comes.
    pub(super) fn reads_on(&self) -> bool {
        let waits = |lane| self.unread.get(Self::queue_of(lane)).is_some_and(|unread| !unread.is_empty());
        Lane::ALL.into_iter().any(|lane| self.reads(lane) && waits(lane))
    }

    fn forget_unread(&mut self) {
        self.paused = [false; Lane::COUNT];
        self.unread.iter_mut().for_each(VecDeque::clear);
        self.unread_bytes = [0; Lane::COUNT];
    }
}

impl Node {
    pub(super) fn is_honest(&self) -> bool {
        self.twist.is_none()
    }

    /// Whether so much is written that the machine may be waiting to hear of it.
    pub(super) const fn owes_room(&self) -> bool {
        self.written_bytes >= TELL_WRITTEN
    }

    /// Tells the machine what its transport has taken.
    pub(super) fn report_written(&mut self, now: Now) {
        self.written_bytes = 0;
        for (link, lane, bytes) in self.written.drain(..) {
            self.machine.handle(now, Input::Written { link, lane, bytes });
        }
    }

    pub(super) fn end(&self, link: LinkId) -> Option<&End> {
        self.ends.get(usize::try_from(link.0).ok()?).filter(|end| end.up)
    }

    pub(super) fn end_mut(&mut self, link: LinkId) -> Option<&mut End> {
        self.any_end_mut(link).filter(|end| end.up)
    }

    /// Also one that is not up yet, or no longer.
    pub(super) fn any_end_mut(&mut self, link: LinkId) -> Option<&mut End> {
        self.ends.get_mut(usize::try_from(link.0).ok()?)
    }

    /// Takes a link down at this end; `None` if it was.
    pub(super) fn shut(&mut self, link: LinkId) -> Option<&End> {
        if let Some(twist) = &mut self.twist {
            twist.part(link);
        }
        let end = self.end_mut(link)?;
        end.up = false;
        end.forget_unread();
        Some(end)
    }

    /// Takes all links down at this end; gives their other ends.
    pub(super) fn shut_all(&mut self) -> Vec<(NodeIndex, LinkId)> {
        let mut others = Vec::new();
        let knows = |end: &End| end.up || end.closing.is_some();
        for (link, end) in (0..).map(LinkId).zip(&mut self.ends).filter(|(_, end)| knows(end)) {
            (end.up, end.closing) = (false, None);
            end.forget_unread();
            others.push((end.peer, end.there));
            if let Some(twist) = &mut self.twist {
                twist.part(link);
            }
        }
        others
    }

    /// The number that its next link has.
    pub(super) fn next_link(&self) -> LinkId {
        LinkId(self.ends.len() as u64)
    }

    pub(super) fn links(&self) -> Vec<LinkId> {
        let up = self.ends.iter().enumerate().filter(|(_, end)| end.up);
        up.map(|(at, _)| LinkId(at as u64)).collect()
    }

    pub(super) fn has_link_to(&self, peer: NodeIndex) -> bool {
        self.ends.iter().any(|end| end.up && end.peer == peer)
    }
}
