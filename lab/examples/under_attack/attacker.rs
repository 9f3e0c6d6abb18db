//! The hostile side: a process that keeps one link to each victim busy with one kind of lie, as fast as it is read.

use std::error::Error;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::time::sleep;
use vouchsafe::net::BarePeer;
use vouchsafe::rumor::{Bundle, BundleId, HEADER_LEN, RuleSet, seal};
use vouchsafe::wire::{self, FrameWriter, Hello, Lane, MAX_BUNDLES_PER_FRAME, MAX_IDS_PER_FRAME};
use vouchsafe::{NetworkId, PeerAddr, Position, PublicKey, SecretKey};

use crate::network::{NETWORK, topic};

/// How far back its rumors are dated at most: well inside of what everybody relays.
const BACK: u64 = 60;
/// Rumors of one author before it says a second thing at a position that it has used, which convicts it.
const BEFORE_EQUIVOCATING: u16 = 63;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attack {
    /// The same 64 valid rumors, again and again.
    Duplicates,
    /// A signature that does not hold, and, when that has closed the link, the next under a new key.
    Forged,
    /// Valid rumors of one author, one a signature, at every position of the last minute.
    Valid,
    /// The same, but each author soon exceeds its quota: two rumors at one position. Then comes the next author.
    OverBudget,
    /// Announcements of what does not exist.
    Announcements,
}

impl Attack {
    pub(crate) const ALL: [Self; 5] =
        [Self::Duplicates, Self::Forged, Self::Valid, Self::OverBudget, Self::Announcements];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Duplicates => "duplicates",
            Self::Forged => "forged",
            Self::Valid => "valid",
            Self::OverBudget => "over-budget",
            Self::Announcements => "announcements",
        }
    }

    /// What rises at the victims if it works.
    pub(crate) const fn counter(self) -> &'static str {
        match self {
            Self::Duplicates => "duplicates",
            Self::Forged => "offences",
            Self::Valid => "verified",
            Self::OverBudget => "convictions",
            Self::Announcements => "wants_refused",
        }
    }
}

impl FromStr for Attack {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = Self::ALL.map(Self::name).join(", ");
        let known = Self::ALL.into_iter().find(|attack| attack.name() == text);
        known.ok_or(format!("no attack is called {text:?}: there are {names}"))
    }
}

/// Attacks until it is killed. The arguments are the attack and the victims.
pub(crate) fn run(mut arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let attack: Attack = arguments.next().unwrap_or_default().parse()?;
    let victims = arguments.map(|text| text.parse()).collect::<Result<Vec<PeerAddr>, _>>()?;
    let victims: Vec<_> = victims.iter().filter_map(|peer| Some((peer.key, peer.socket()?))).collect();
    let rules = topic().bind(NetworkId::of(NETWORK))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut links = tokio::task::JoinSet::new();
        for victim in victims {
            let rules = rules.clone();
            links.spawn(async move {
                loop {
                    // Errors mean that the victim has closed the link, or refused it: so again, under a new key.
                    if attack_one(attack, victim, &rules).await.is_err() {
                        sleep(Duration::from_millis(1)).await;
                    }
                }
            });
        }
        links.join_all().await;
    });
    Ok(())
}

/// One link, until it ends. It reads what it is sent all the while: who does not would be closed for that alone.
async fn attack_one(
    attack: Attack,
    (victim, addr): (PublicKey, SocketAddr),
    rules: &RuleSet,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut link = BarePeer::connect(&SecretKey::generate(), victim, addr).await?;
    let mut lanes = Lanes::open(link.quinn(), rules).await?;
    tokio::select! {
        ended = lie(attack, &mut lanes, rules) => ended?,
        () = async { while link.recv_frame().await.is_some() {} } => {}
    }
    if attack == Attack::Forged {
        link.closed().await;
    }
    Ok(())
}

async fn lie(attack: Attack, lanes: &mut Lanes, rules: &RuleSet) -> Result<(), quinn::WriteError> {
    let mut rumors = Rumors::new(rules);
    match attack {
        Attack::Duplicates => {
            let frame = frame(&rumors.some(MAX_BUNDLES_PER_FRAME));
            loop {
                lanes.send(Lane::Rumors, &frame).await?;
            }
        }
        Attack::Forged => {
            let mut payload = frame(&rumors.some(1)).to_vec();
            // In R, behind kind, hop budget and header: another point, or none.
            payload[2 + HEADER_LEN] ^= 1;
            lanes.send(Lane::Rumors, &payload).await
        }
        Attack::Valid => loop {
            lanes.send(Lane::Rumors, &frame(&rumors.some(16))).await?;
        },
        Attack::OverBudget => loop {
            let mut bundles = rumors.some(usize::from(BEFORE_EQUIVOCATING));
            bundles.push(rumors.again());
            lanes.send(Lane::Rumors, &frame(&bundles)).await?;
            rumors = Rumors::new(rules);
        },
        Attack::Announcements => {
            let mut seed = *rumors.key.public().as_bytes();
            loop {
                seed = *blake3::hash(&seed).as_bytes();
                let mut id = seed;
                let items = (0..MAX_IDS_PER_FRAME as u64).map(|n| {
                    id[..8].copy_from_slice(&n.to_le_bytes());
                    (BundleId::from_bytes(id), 9)
                });
                let items: Vec<_> = items.collect();
                lanes.send(Lane::Control, &wire::announce(&rules.id(), &items)).await?;
            }
        }
    }
}

/// The streams of a link, apart from what reads, so that writing and reading can wait at the same time.
struct Lanes(Vec<quinn::SendStream>);

impl Lanes {
    /// A proper beginning: all lanes, and hello.
    async fn open(
        connection: &quinn::Connection,
        rules: &RuleSet,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let mut lanes = Self(Vec::new());
        for lane in Lane::ALL {
            let mut stream = connection.open_uni().await?;
            stream.write_all(&[lane as u8]).await?;
            lanes.0.push(stream);
        }
        let hello = Hello {
            network: *rules.network().as_bytes(),
            clock_ms: unix_ms(),
            topics: vec![*rules.id().as_bytes()],
            ..Hello::default()
        };
        lanes.send(Lane::Control, &wire::hello(&hello)).await?;
        Ok(lanes)
    }

    /// Waits for the victim to read.
    async fn send(&mut self, lane: Lane, payload: &[u8]) -> Result<(), quinn::WriteError> {
        let Some(stream) = self.0.get_mut(lane.index()) else { return Ok(()) };
        stream.write_all(&(payload.len() as u32).to_le_bytes()).await?;
        stream.write_all(payload).await
    }
}

fn frame(bundles: &[Bundle]) -> Bytes {
    let mut writer = FrameWriter::with_capacity(0);
    bundles.iter().for_each(|bundle| writer.push(1, bundle));
    writer.finish()
}

/// Valid rumors of one author, as small as can be, each under a signature of its own: the dearest for the victim.
struct Rumors<'a> {
    key: SecretKey,
    rules: &'a RuleSet,
    tick: u64,
    slot: u16,
}

impl<'a> Rumors<'a> {
    fn new(rules: &'a RuleSet) -> Self {
        Self { key: SecretKey::generate(), rules, tick: rules.tick_len().tick_at(unix_ms()) - BACK, slot: 0 }
    }

    fn some(&mut self, count: usize) -> Vec<Bundle> {
        (0..count).map(|_| self.next(b"a")).collect()
    }

    fn next(&mut self, body: &'static [u8]) -> Bundle {
        if self.slot == self.rules.slots_per_tick() {
            (self.tick, self.slot) = (self.tick + 1, 0);
        }
        let at = Position { tick: self.tick, slot: self.slot };
        self.slot += 1;
        seal(&self.key, self.rules.id(), at, &[Bytes::from_static(body)]).expect("a good position and body")
    }

    /// Another rumor at the last position.
    fn again(&mut self) -> Bundle {
        self.slot -= 1;
        self.next(b"b")
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as u64
}
