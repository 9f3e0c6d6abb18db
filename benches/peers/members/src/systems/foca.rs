//! foca: SWIM with suspicion. Identities and codec are those of its own example of an agent, which renew themselves when they are
//! declared down; the configuration is that of its presets for a local and a wide network.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use ::foca::{
    AccumulatingRuntime, Codec as _, Config, Foca, Header, Identity, Member, Message, NoCustomBroadcast,
    OwnedNotification, PostcardCodec, State, Timer,
};
use bytes::{BufMut as _, Bytes, BytesMut};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::datagrams::{Datagrams, Happening};
use super::{Aim, Setup, System, Verdict};

/// The member that lies, where one does.
const LIAR: usize = 0;
/// How often a liar refutes what is said of a dead member, and to how many others: as often as honest members gossip on a wide network.
const REFUTES_EVERY: Duration = Duration::from_millis(500);
const REFUTES_TO: usize = 4;
/// When all nodes began, in their identities: any moment would do.
const BEGAN: u64 = 1_800_000_000;

/// Which of its presets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Preset {
    /// `Config::new_lan`
    Lan,
    /// `Config::new_wan`
    Wan,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Id {
    addr: SocketAddr,
    bump: u64,
}

impl Id {
    fn of(node: usize) -> Self {
        let [_, a, b, c] = (node as u32).to_be_bytes();
        Self { addr: SocketAddr::from((Ipv4Addr::new(10, a, b, c), 4433)), bump: BEGAN }
    }

    fn node(&self) -> usize {
        let SocketAddr::V4(addr) = self.addr else { unreachable!("all addresses are of IPv4") };
        let [_, a, b, c] = addr.ip().octets();
        u32::from_be_bytes([0, a, b, c]) as usize
    }
}

impl Identity for Id {
    type Addr = SocketAddr;

    fn renew(&self) -> Option<Self> {
        Some(Self { bump: self.bump + 1, ..self.clone() })
    }

    fn addr(&self) -> SocketAddr {
        self.addr
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        self.bump > adversary.bump
    }
}

type Node = Foca<Id, PostcardCodec, StdRng, NoCustomBroadcast>;

enum Due {
    Node(Timer<Id>),
    /// The liar refutes again, with this incarnation.
    Refute(Id, u16),
}

pub(crate) struct Network {
    nodes: Vec<Node>,
    net: Datagrams<Due>,
    runtime: AccumulatingRuntime<Id>,
    verdicts: Vec<Verdict>,
    dice: StdRng,
    has_liar: bool,
}

impl Network {
    pub(crate) fn new(setup: &Setup, preset: Preset) -> Self {
        let size = NonZeroU32::new(setup.nodes as u32).expect("a network has nodes");
        let mut dice = StdRng::seed_from_u64(setup.seed);
        let config = match preset {
            Preset::Lan => Config::new_lan(size),
            Preset::Wan => Config::new_wan(size),
        };
        let node = |node| {
            let dice = StdRng::seed_from_u64(dice.random());
            Foca::new(Id::of(node), config.clone(), dice, PostcardCodec)
        };
        let mut network = Self {
            nodes: (0..setup.nodes).map(node).collect(),
            net: Datagrams::new(setup.nodes, setup.loss, setup.seed),
            runtime: AccumulatingRuntime::new(),
            verdicts: Vec::new(),
            dice: StdRng::seed_from_u64(setup.seed ^ 1),
            has_liar: !matches!(setup.lies, super::Lies::Nobody),
        };
        // Tables are full from the beginning; the nodes come up within a second.
        for node in 0..setup.nodes {
            network.run_for(Duration::from_secs(1) / size.get());
            let others =
                (0..setup.nodes).filter(|other| *other != node).map(|other| Member::alive(Id::of(other)));
            network.nodes[node].apply_many(others, false, &mut network.runtime).expect("members are taken");
            network.act(node);
        }
        network
    }

    /// Does what a node wants done.
    fn act(&mut self, node: usize) {
        while let Some((to, datagram)) = self.runtime.to_send() {
            self.net.send(node, to.node(), datagram);
        }
        while let Some((time, timer)) = self.runtime.to_schedule() {
            self.net.after(node, time, Due::Node(timer));
        }
        while let Some(news) = self.runtime.to_notify() {
            if let OwnedNotification::MemberDown(id) = news {
                self.verdicts.push(Verdict { at: self.net.now, by: node, of: id.node() });
            }
        }
    }

    /// The liar sends an update of another member in a datagram of its own, as every member does with what it has heard.
    fn forge(&mut self, to: usize, update: Member<Id>) {
        let header = Header {
            src: self.nodes[LIAR].identity().clone(),
            src_incarnation: 0,
            dst: self.nodes[to].identity().clone(),
            message: Message::Gossip,
        };
        let mut datagram = BytesMut::new();
        let mut codec = PostcardCodec;
        codec.encode_header(&header, &mut datagram).expect("memory takes it");
        datagram.put_u16(1);
        codec.encode_member(&update, &mut datagram).expect("memory takes it");
        self.net.send(LIAR, to, datagram.freeze());
    }

    fn any_other(&mut self, than: usize) -> usize {
        loop {
            let node = self.dice.random_range(0..self.nodes.len());
            if node != LIAR && node != than && self.net.is_alive(node) {
                return node;
            }
        }
    }

    fn refute(&mut self, dead: Id, incarnation: u16) {
        for _ in 0..REFUTES_TO {
            let to = self.any_other(dead.node());
            self.forge(to, Member::new(dead.clone(), incarnation, State::Alive));
        }
        self.net.after(LIAR, REFUTES_EVERY, Due::Refute(dead, incarnation.saturating_add(1)));
    }

    fn take(&mut self, node: usize, datagram: &Bytes) {
        // (What a node refuses it says with an error, and goes on: its example logs that.)
        let _ = self.nodes[node].handle_data(datagram, &mut self.runtime);
        self.act(node);
    }
}

impl System for Network {
    fn now(&self) -> Duration {
        self.net.now
    }

    fn run_for(&mut self, time: Duration) {
        let until = self.net.now + time;
        while let Some((node, what)) = self.net.next(until) {
            match what {
                Happening::Datagram(datagram) => self.take(node, &datagram),
                Happening::Timer(Due::Refute(dead, incarnation)) => self.refute(dead, incarnation),
                Happening::Timer(Due::Node(timer)) => {
                    let _ = self.nodes[node].handle_timer(timer, &mut self.runtime);
                    self.act(node);
                }
            }
        }
    }

    fn crash(&mut self, node: usize) {
        self.net.crash(node);
    }

    fn pause(&mut self, node: usize, time: Duration) {
        self.net.pause(node, time);
    }

    fn aim(&mut self, aim: Aim, victim: usize) {
        let id = self.nodes[victim].identity().clone();
        match aim {
            // One datagram to one member: SWIM's "confirm".
            Aim::Fail => {
                let to = self.any_other(victim);
                self.forge(to, Member::new(id, 0, State::Down));
            }
            // SWIM's "alive" with a newer incarnation.
            Aim::Revive => self.refute(id, 1),
        }
    }

    fn lies(&self, node: usize) -> bool {
        self.has_liar && node == LIAR
    }

    fn verdicts(&self) -> Vec<Verdict> {
        self.verdicts.clone()
    }

    fn shows(&self, node: usize, member: usize) -> bool {
        self.nodes[node].iter_members().any(|shown| shown.id().node() == member)
    }

    fn bytes_sent(&self) -> u64 {
        self.net.paths.bytes_sent
    }
}
