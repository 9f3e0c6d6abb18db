//! The attacks, one theme a file, and their register.
//!
//! | File | Attacks (rows of docs/attacks.md) |
//! |---|---|
//! | `withhold` | silence, censorship (B1, B2) |
//! | `serve` | announce and serve late, badly or never (B3, B4, B5, B38, R4) |
//! | `numbers` | hop budgets and other numbers at their largest (B6, B28) |
//! | `flood` | much of what is allowed, and more (B7, B11, B29) |
//! | `stale` | what is old, early or refused (B10, B15, B36, B41, B42) |
//! | `forge` | signatures (B8, B16, B17, B18) and ids (B19) |
//! | `equivocate` | two words at one position, now, late, at the edge of a window (B12, B13, B37) |
//! | `topics` | joins without end, changes of mind (B27, R10) |
//! | `accuse` | true evidence without end (B33) |
//! | `crowd` | ever more authors (R6) |
//! | `expired` | large or tiny, and long past (R3, R10) |
//! | `history` | what they have of the past, hand over and ask for (C2 to C8, C18, Y1) |
//! | `members` | signs of life kept, held back, repeated and made up (A1 to A15) |
//! | `combine` | two at once; from a moment on (B31); every inbound place (B20, B32) |
//!
//! An attack is added by its file, its line here, and its entry below.

mod accuse;
mod combine;
mod crowd;
mod equivocate;
mod expired;
mod flood;
mod forge;
mod history;
mod members;
mod numbers;
mod serve;
mod stale;
mod topics;
mod withhold;

use std::time::Duration;

use super::custom::Custom;
use super::{Adversary, Me};

/// The register of attacks: for each the variant, its name, and what makes it.
macro_rules! attacks {
    ($(#[doc = $about:literal] $variant:ident $name:literal => |$me:ident| $make:expr,)*) => {
        /// How liars lie. As text: a name; `a+b` for both at once; `a@10` for honesty until ten seconds after the beginning.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Liar {
            $(#[doc = $about] $variant,)*
            /// Both at once: the second sees what the first sends.
            Both(Box<Liar>, Box<Liar>),
            /// Honest until so long after the beginning, then this (B31).
            From(Duration, Box<Liar>),
            /// An attack of the application's own. It has a name, but can't be found by it.
            Custom(Custom),
        }

        impl Liar {
            /// Every attack that is not made of others.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name, if it is one of [`Liar::ALL`].
            pub fn name(&self) -> Option<&'static str> {
                match self {
                    $(Self::$variant => Some($name),)*
                    Self::Both(..) | Self::From(..) | Self::Custom(_) => None,
                }
            }

            /// The rows of docs/attacks.md that it is about and what it does, in a line, if it is one of [`Liar::ALL`].
            pub fn about(&self) -> Option<&'static str> {
                match self {
                    $(Self::$variant => Some($about.trim_ascii()),)*
                    Self::Both(..) | Self::From(..) | Self::Custom(_) => None,
                }
            }

            /// A new liar of this kind.
            pub fn adversary(&self, me: &mut Me) -> Box<dyn Adversary> {
                match self {
                    $(Self::$variant => {
                        let $me = me;
                        Box::new($make)
                    })*
                    Self::Both(one, other) => Box::new(combine::Both(one.adversary(me), other.adversary(me))),
                    Self::From(after, then) => {
                        Box::new(combine::WakesUp { after: *after, then: then.adversary(me) })
                    }
                    Self::Custom(own) => own.adversary(me),
                }
            }
        }
    };
}

/// When a [`Liar::Flash`] turns: ten seconds after the beginning.
const FLASH: Duration = Duration::from_secs(10);
/// How long a late equivocator waits: its position is then old, but still inside the window.
const LATE: Duration = Duration::from_secs(60);

attacks! {
    /// B1: forwards and serves nothing.
    Silent "silent" => |_me| withhold::Silent,
    /// B2: drops what the victim says.
    CensorAuthor "censor-author" => |_me| withhold::Censor::new(withhold::Censored::Author),
    /// B2: drops what is said in the topic.
    CensorTopic "censor-topic" => |_me| withhold::Censor::new(withhold::Censored::Topic),
    /// B2: tells the victim nothing.
    CensorVictim "censor-victim" => |_me| withhold::Censor::new(withhold::Censored::Victim),
    /// B3: everything just before the time-out.
    Slow "slow" => |_me| serve::SlowServer,
    /// B4 (and, under load, B40): announces at once, never serves.
    Announce "announce" => |_me| serve::AnnounceLiar::default(),
    /// R4: as B4, and repeats what is old where replies are due.
    Parrot "parrot" => |me| serve::Parrot::new(me),
    /// B5: every other reply stops on its way.
    Stall "stall" => |_me| serve::Staller::default(),
    /// B6: hop budgets at their largest.
    Hops "hops" => |_me| numbers::HopResetter::default(),
    /// B7: its whole quota, every tick, to all links.
    Flood "flood" => |me| flood::Flooder::new(me, 1),
    /// B7: twice its quota, by using slots again.
    Overflow "overflow" => |me| flood::Flooder::new(me, 2),
    /// B8: bad signatures.
    BadSignature "bad-signature" => |me| forge::Forger::new(me, false),
    /// B16: signatures with torsion.
    Torsion "torsion" => |me| forge::TorsionSigner::new(me),
    /// B17: forges in the victim's name.
    ForgeVictim "forge-victim" => |me| forge::Forger::new(me, true),
    /// B18: the right id with a wrong signature, first.
    WrongFirst "wrong-signature-first" => |_me| forge::WrongSignatureFirst::default(),
    /// B19: ids with the prefix of others.
    Prefix "prefix" => |_me| forge::PrefixLiar::default(),
    /// B10 and B36: replays what is old.
    Replay "replay" => |me| stale::Replayer::new(me),
    /// B11: pull floods.
    PullFlood "pull-flood" => |me| flood::PullFlooder::new(me),
    /// B12: two words at one position, at once.
    Equivocate "equivocate" => |me| equivocate::Equivocator::new(me, Duration::ZERO),
    /// B13: the second word a minute later.
    EquivocateLate "equivocate-late" => |me| equivocate::Equivocator::new(me, LATE),
    /// B37: conflicts at the edge of a window.
    Edge "edge" => |me| equivocate::EdgeEquivocator::new(me),
    /// B15: ticks of the past and of the future.
    SkewedTicks "skewed-ticks" => |me| stale::SkewedTicks::new(me),
    /// B20 and B32: every inbound place that it can get.
    Slots "slots" => |me| combine::SlotFiller::new(me),
    /// B28: numbers at their maximum.
    Maxima "maxima" => |_me| numbers::Maxima::default(),
    /// B29: announces what does not exist.
    Phantoms "phantoms" => |me| flood::Phantoms::new(me),
    /// B31: honest for ten seconds, then silent.
    Flash "flash" => |_me| combine::WakesUp { after: FLASH, then: Box::new(withhold::Silent) },
    /// B38: sends only every other while.
    StopAndGo "stop-and-go" => |_me| serve::StopAndGo,
    /// B41: refused ids, announced again and again.
    Refused "refused" => |me| stale::RefusedAgain::new(me),
    /// B42: the quota of a whole window at once.
    BackDated "back-dated" => |me| stale::BackDated::new(me),
    /// B27: joins ever more topics.
    Topics "topics" => |me| topics::TopicFlooder::new(me),
    /// B33: true evidence against ever more authors.
    Accuse "accuse" => |me| accuse::Accuser::new(me),
    /// R3: large bundles that are long past, announced and served.
    Expired "expired" => |me| expired::ServesTheExpired::new(me),
    /// R6: words of ever more keys, dated ahead.
    Crowd "crowd" => |me| crowd::Crowd::new(me),
    /// R10: bundles of crumbs that are long past.
    Crumbs "crumbs" => |me| expired::Crumbs::new(me),
    /// C2: says "same" to whatever it is asked of the past.
    Echo "echo" => |_me| history::Echo::default(),
    /// C3: leaves bundles out of each page of the past.
    Gappy "gappy" => |_me| history::Gappy::default(),
    /// C4: lists heads that do not exist.
    Invent "invent" => |_me| history::Inventor::default(),
    /// C5: splits what it is asked of the past without end.
    Split "split" => |_me| history::Splitter::default(),
    /// C6: hands over a bundle of the past in nine seconds.
    Trickle "trickle" => |_me| history::Trickle,
    /// C6: says what it has of the past, and hands over nothing.
    Withhold "withhold" => |_me| history::Withholder,
    /// Y1: answers about the past just before it is too late.
    Laggard "laggard" => |_me| history::Laggard,
    /// Z: says that it keeps nothing of the past, and has the same beside.
    Floor "floor" => |_me| history::FloorLiar,
    /// C18: says without end that it has more.
    Hint "hint" => |me| history::Hinter::new(me),
    /// C7 and C8: asks for as much of the past as a frame can, again and again.
    AskFlood "ask-flood" => |me| history::AskFlooder::new(me),
    /// A7: passes on nobody's signs of life but its own.
    Mute "mute" => |_me| members::Mute,
    /// A8: passes signs of life on when their lease is nearly over.
    HoldPulses "hold-pulses" => |_me| members::Holder::default(),
    /// A15: says again what it has heard of those who have gone.
    Revive "revive" => |me| members::Reviver::new(me),
    /// A1: makes up signs of life.
    BogusPulses "bogus-pulses" => |me| members::Bogus::new(me),
    /// A33: says something else of itself ten times a second.
    Restless "restless" => |me| members::Restless::new(me),
    /// R10: leaves the topic and joins it again, without end.
    Waver "waver" => |me| topics::Waverer::new(me),
}
