//! The catalogue that the soak draws from, and one attack under way.

use std::sync::Arc;

use tokio::task::JoinSet;
use vouchsafe::SecretKey;
use vouchsafe::rumor::RuleSet;
use vouchsafe_cli::demo::liars;
use vouchsafe_cli::demo::liars::target::Target;
use vouchsafe_cli::demo::plan::{Dice, Kind, LiarPlan};
use vouchsafe_cli::demo::world::Directory;
use vouchsafe_cli::exit::Failure;
use vouchsafe_lab::{deeds, floods};

/// What can be done to the nodes. The first are the demo's liars, who act once and are caught; the rest go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attack {
    Lies(Kind),
    /// Says hello and never reads (B25).
    Deaf,
    /// Announces what does not exist (B29).
    Announces,
    /// Asks for the same again and again (B11).
    Pulls,
    /// Connects and leaves (B30).
    Knocks,
    /// Begins handshakes and never ends them (B30).
    HalfOpen,
    /// Resets its streams, or closes, in the middle of frames (B5, B9).
    Resets,
    /// Joins ever more topics (B27).
    Topics,
    /// Sends back all that it hears, on every lane (B10).
    Repeats,
    /// Stops in the middle of a body (B5).
    Stalls,
    /// Marks what it says as just said (B6).
    FreshHops,
    /// Sends numbers at their largest (B28).
    Largest,
    /// Brings true evidence against ever more authors (B33).
    Evidence,
    /// Has three connections under one key.
    Doubles,
    /// Moves from one address to the next.
    Wanders,
    /// Sends datagrams that are no QUIC.
    Noise,
    /// Serves large bundles that are long past (R3).
    ServesTheExpired,
    /// Takes the places of newcomers with words of ever more keys, dated ahead (R6).
    Crowds,
    /// Sends bundles of many tiny bodies that are long past (R10).
    Crumbs,
    /// Leaves the topic and joins it again without end (R10).
    Wavers,
}

impl Attack {
    const ALL: [Self; 24] = [
        Self::Lies(Kind::Forges),
        Self::Lies(Kind::Floods),
        Self::Lies(Kind::Equivocates),
        Self::Lies(Kind::Malforms),
        Self::Lies(Kind::StaysSilent),
        Self::Deaf,
        Self::Announces,
        Self::Pulls,
        Self::Knocks,
        Self::HalfOpen,
        Self::Resets,
        Self::Topics,
        Self::Repeats,
        Self::Stalls,
        Self::FreshHops,
        Self::Largest,
        Self::Evidence,
        Self::Doubles,
        Self::Wanders,
        Self::Noise,
        Self::ServesTheExpired,
        Self::Crowds,
        Self::Crumbs,
        Self::Wavers,
    ];

    pub(super) fn chosen(dice: &mut Dice) -> Self {
        Self::ALL.get(dice.below(Self::ALL.len())).copied().unwrap_or(Self::Deaf)
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Lies(kind) => kind.name(),
            Self::Deaf => "never reads",
            Self::Announces => "announces nothing real",
            Self::Pulls => "pulls without end",
            Self::Knocks => "connects and leaves",
            Self::HalfOpen => "half-open handshakes",
            Self::Resets => "resets streams",
            Self::Topics => "joins ever more topics",
            Self::Repeats => "repeats all it hears",
            Self::Stalls => "stops in the middle of a body",
            Self::FreshHops => "resets hop budgets",
            Self::Largest => "numbers at their largest",
            Self::Evidence => "evidence against ever more authors",
            Self::Doubles => "one key on three connections",
            Self::Wanders => "moves to other addresses",
            Self::Noise => "noise on the sockets",
            Self::ServesTheExpired => "serves what is long past",
            Self::Crowds => "crowds newcomers out",
            Self::Crumbs => "bundles of crumbs",
            Self::Wavers => "joins and leaves without end",
        }
    }
}

/// Lets an attack loose on some of the nodes that are up. It ends when the set is dropped.
pub(super) fn start(attack: Attack, directory: &Directory, dice: &mut Dice) -> Result<JoinSet<()>, Failure> {
    let mut tasks = JoinSet::new();
    let nodes = directory.honest.len();
    let meets = dice.some_of(nodes, 4, None);
    if let Attack::Lies(kind) = attack {
        let victims = meets.iter().map(|_| dice.below(nodes)).collect();
        let plan = LiarPlan { kind, meets, patience: dice.below(20), victims };
        liars::start_unwatched(SecretKey::generate(), &plan, directory, &mut tasks)?;
        return Ok(tasks);
    }
    let rules = Arc::new(directory.rules.clone());
    for peer in meets.into_iter().filter_map(|at| Target::of(directory.honest.get(at)?)) {
        // As many of one attacker as each takes of the node's time.
        let times = if attack == Attack::HalfOpen { 8 } else { 1 };
        for _ in 0..times {
            tasks.spawn(again(attack, peer, Arc::clone(&rules)));
        }
    }
    Ok(tasks)
}

async fn once(attack: Attack, peer: Target, rules: Arc<RuleSet>) {
    match attack {
        // These are the demo's, which begin on their own.
        Attack::Lies(_) => {}
        Attack::Deaf => deeds::deaf(peer, rules).await,
        Attack::Announces => deeds::announces(peer, rules).await,
        Attack::Pulls => deeds::pulls(peer, rules).await,
        Attack::Knocks => deeds::knocks(peer).await,
        Attack::HalfOpen => deeds::half_open(peer).await,
        Attack::Resets => deeds::resets(peer, rules).await,
        Attack::Topics => deeds::topics(peer, rules).await,
        Attack::Repeats => deeds::repeats(peer, rules).await,
        Attack::Stalls => deeds::stalls(peer, rules).await,
        Attack::FreshHops => deeds::fresh_hops(peer, rules).await,
        Attack::Largest => deeds::largest(peer, rules).await,
        Attack::Evidence => deeds::evidence(peer, rules).await,
        Attack::Doubles => deeds::doubles(peer, rules).await,
        Attack::Wanders => deeds::wanders(peer, rules).await,
        Attack::Noise => deeds::noise(peer).await,
        Attack::ServesTheExpired => floods::serves_the_expired(peer, rules).await,
        Attack::Crowds => floods::crowds(peer, rules).await,
        Attack::Crumbs => floods::crumbs(peer, rules).await,
        Attack::Wavers => floods::wavers(peer, rules).await,
    }
}

/// Under a new key each time, until it is stopped. A refused or ended link is not a reason to give up.
async fn again(attack: Attack, peer: Target, rules: Arc<RuleSet>) {
    loop {
        once(attack, peer, Arc::clone(&rules)).await;
        tokio::time::sleep(deeds::BREATH).await;
    }
}
