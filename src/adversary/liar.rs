//! The attacks by name, for scenarios and command lines.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::attacks::Liar;

impl Liar {
    /// The same by a liar that passes nothing on and serves nothing beside: its engine says hello, and no more.
    #[must_use]
    pub fn silently(self) -> Self {
        Self::Both(Box::new(Self::Silent), Box::new(self))
    }
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
        let own = Liar::custom("sulk", |me| Liar::Silent.adversary(me));
        let both = Liar::From(Duration::from_secs(3), Box::new(own.clone()));
        assert_eq!((own.to_string(), both.to_string()), ("sulk".into(), "sulk@3".into()));
        assert!(format!("{own:?}").contains("sulk"));
        assert_eq!(own, own.clone());
        assert_ne!(
            own,
            Liar::custom("sulk", |me| Liar::Silent.adversary(me)),
            "another closure may do anything"
        );
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
