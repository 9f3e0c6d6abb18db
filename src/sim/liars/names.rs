//! The strategies by name, for scenarios and command lines.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{
    Adversary, AnnounceLiar, BackDated, Both, Censor, Censored, Custom, EdgeEquivocator, Equivocator,
    Flooder, Forger, HopResetter, Maxima, Me, Parrot, Phantoms, PrefixLiar, PullFlooder, RefusedAgain,
    Replayer, Silent, SkewedTicks, SlotFiller, SlowServer, Staller, StopAndGo, TorsionSigner, WakesUp,
    WrongSignatureFirst,
};

/// Declares the simple strategies once: the variant, its name, what makes it.
macro_rules! liars {
    ($($(#[$doc:meta])* $variant:ident $name:literal => |$me:ident| $make:expr,)*) => {
        /// How liars lie. As text: a name; `a+b` for both at once; `a@10` for honesty until ten seconds after the beginning.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Liar {
            $($(#[$doc])* $variant,)*
            /// Both at once: the second sees what the first sends.
            Both(Box<Liar>, Box<Liar>),
            /// Honest until so long after the beginning, then this (B31).
            From(Duration, Box<Liar>),
            /// A strategy of the application's own. It has a name, but can't be found by it.
            Custom(Custom),
        }

        impl Liar {
            /// Every strategy that is not made of others.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            fn name(&self) -> Option<&'static str> {
                match self {
                    $(Self::$variant => Some($name),)*
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
                    Self::Both(one, other) => Box::new(Both(one.adversary(me), other.adversary(me))),
                    Self::From(after, then) => {
                        Box::new(WakesUp { after: *after, then: then.adversary(me) })
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

liars! {
    /// B1: forwards and serves nothing ([`Silent`]).
    Silent "silent" => |_me| Silent,
    /// B2: drops what the victim says ([`Censor`]).
    CensorAuthor "censor-author" => |_me| Censor::new(Censored::Author),
    /// B2: drops what is said in the topic ([`Censor`]).
    CensorTopic "censor-topic" => |_me| Censor::new(Censored::Topic),
    /// B2: tells the victim nothing ([`Censor`]).
    CensorVictim "censor-victim" => |_me| Censor::new(Censored::Victim),
    /// B3: everything just before the time-out ([`SlowServer`]).
    Slow "slow" => |_me| SlowServer,
    /// B4 (and, under load, B40): announces at once, never serves ([`AnnounceLiar`]).
    Announce "announce" => |_me| AnnounceLiar::default(),
    /// R4: as B4, and repeats what is old where replies are due ([`Parrot`]).
    Parrot "parrot" => |me| Parrot::new(me),
    /// B5: every other reply stops on its way ([`Staller`]).
    Stall "stall" => |_me| Staller::default(),
    /// B6: hop budgets at their largest ([`HopResetter`]).
    Hops "hops" => |_me| HopResetter::default(),
    /// B7: its whole quota, every tick, to all links ([`Flooder`]).
    Flood "flood" => |me| Flooder::new(me, 1),
    /// B7: twice its quota, by using slots again ([`Flooder`]).
    Overflow "overflow" => |me| Flooder::new(me, 2),
    /// B8: bad signatures ([`Forger`]).
    BadSignature "bad-signature" => |me| Forger::new(me, false),
    /// B16: signatures with torsion ([`TorsionSigner`]).
    Torsion "torsion" => |me| TorsionSigner::new(me),
    /// B17: forges in the victim's name ([`Forger`]).
    ForgeVictim "forge-victim" => |me| Forger::new(me, true),
    /// B18: the right id with a wrong signature, first ([`WrongSignatureFirst`]).
    WrongFirst "wrong-signature-first" => |_me| WrongSignatureFirst::default(),
    /// B19: ids with the prefix of others ([`PrefixLiar`]).
    Prefix "prefix" => |_me| PrefixLiar::default(),
    /// B10 and B36: replays what is old ([`Replayer`]).
    Replay "replay" => |me| Replayer::new(me),
    /// B11: pull floods ([`PullFlooder`]).
    PullFlood "pull-flood" => |me| PullFlooder::new(me),
    /// B12: two words at one position, at once ([`Equivocator`]).
    Equivocate "equivocate" => |me| Equivocator::new(me, Duration::ZERO),
    /// B13: the second word a minute later ([`Equivocator`]).
    EquivocateLate "equivocate-late" => |me| Equivocator::new(me, LATE),
    /// B37: conflicts at the edge of a window ([`EdgeEquivocator`]).
    Edge "edge" => |me| EdgeEquivocator::new(me),
    /// B15: ticks of the past and of the future ([`SkewedTicks`]).
    SkewedTicks "skewed-ticks" => |me| SkewedTicks::new(me),
    /// B20 and B32: every inbound place that it can get ([`SlotFiller`]).
    Slots "slots" => |me| SlotFiller::new(me),
    /// B28: numbers at their maximum ([`Maxima`]).
    Maxima "maxima" => |_me| Maxima::default(),
    /// B29: announces what does not exist ([`Phantoms`]).
    Phantoms "phantoms" => |me| Phantoms::new(me),
    /// B31: honest for ten seconds, then silent ([`WakesUp`]).
    Flash "flash" => |_me| WakesUp { after: FLASH, then: Box::new(Silent) },
    /// B38: sends only every other while ([`StopAndGo`]).
    StopAndGo "stop-and-go" => |_me| StopAndGo,
    /// B41: refused ids, announced again and again ([`RefusedAgain`]).
    Refused "refused" => |me| RefusedAgain::new(me),
    /// B42: the quota of a whole window at once ([`BackDated`]).
    BackDated "back-dated" => |me| BackDated::new(me),
}

impl fmt::Display for Liar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Both(one, other) => write!(f, "{one}+{other}"),
            Self::From(after, then) => match &**then {
                Self::Both(one, other) => {
                    write!(f, "{}+{}", Self::From(*after, one.clone()), Self::From(*after, other.clone()))
                }
                then => write!(f, "{then}@{}", after.as_secs_f64()),
            },
            Self::Custom(own) => f.write_str(own.name()),
            simple => f.write_str(simple.name().unwrap_or_default()),
        }
    }
}

impl FromStr for Liar {
    type Err = ParseLiarError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some((one, other)) = text.split_once('+') {
            return Ok(Self::Both(Box::new(one.parse()?), Box::new(other.parse()?)));
        }
        let unknown = || ParseLiarError(text.to_owned());
        if let Some((name, seconds)) = text.split_once('@') {
            let after = seconds.parse().ok().and_then(|after| Duration::try_from_secs_f64(after).ok());
            return Ok(Self::From(after.ok_or_else(unknown)?, Box::new(name.parse()?)));
        }
        Self::ALL.iter().find(|liar| liar.name() == Some(text)).cloned().ok_or_else(unknown)
    }
}

/// No such strategy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseLiarError(String);

impl fmt::Display for ParseLiarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no liar is called {:?}: use one of", self.0)?;
        for (at, liar) in Liar::ALL.iter().enumerate() {
            write!(f, "{} {liar}", if at == 0 { "" } else { "," })?;
        }
        f.write_str("; a+b for both at once; a@SECONDS for one that is honest until then")
    }
}

impl std::error::Error for ParseLiarError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_liar_survives_its_name() {
        for liar in Liar::ALL {
            assert_eq!(&liar.to_string().parse::<Liar>().unwrap(), liar);
        }
        for text in ["slow+announce", "announce@7.5", "hops+silent@10+stall"] {
            assert_eq!(text.parse::<Liar>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_strategy_of_ones_own_has_a_name_and_is_itself_alone() {
        let own = Liar::custom("sulk", |_| Box::new(Silent));
        let both = Liar::From(Duration::from_secs(3), Box::new(own.clone()));
        assert_eq!((own.to_string(), both.to_string()), ("sulk".into(), "sulk@3".into()));
        assert!(format!("{own:?}").contains("sulk"));
        assert_eq!(own, own.clone());
        assert_ne!(own, Liar::custom("sulk", |_| Box::new(Silent)), "another closure may do anything");
        assert!("sulk".parse::<Liar>().is_err());
    }

    #[test]
    fn an_unknown_name_is_answered_with_all_known_ones() {
        for text in ["lazy", "slow+lazy", "slow@soon", "slow@-1", ""] {
            let said = text.parse::<Liar>().unwrap_err().to_string();
            for liar in Liar::ALL {
                assert!(said.contains(&liar.to_string()), "{said}");
            }
        }
    }
}
