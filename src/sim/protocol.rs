//! Which protocol the nodes of a simulation run.

use std::fmt;
use std::str::FromStr;

use super::baseline::{Cycle, InfectAndDie, Mesh};
use super::machine::Machine;
use crate::protocol::{Engine, Now, Setup};

/// What all nodes run: the production engine, or something to compare it with.
///
/// As text: `vouchsafe`, `cycle:4`, `infect-and-die:4`, `mesh:8`; the number may be left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// The production engine.
    #[default]
    Vouchsafe,
    /// The classic periodic epidemic: once a second each node that has a rumor tells so many random links, for
    /// log n + constant cycles. Verifies nothing.
    Cycle {
        /// Links told in each cycle.
        fanout: usize,
    },
    /// Each node that hears a rumor for the first time pushes it to so many random links, once. Verifies nothing.
    InfectAndDie {
        /// Links told.
        fanout: usize,
    },
    /// As GossipSub: pushed over a mesh, announced to some others once a second. Verifies nothing.
    Mesh {
        /// Links that belong to the mesh.
        degree: usize,
    },
}

/// What a baseline has if nobody says: the textbook's usual fanout, and a mesh that costs about what GossipSub's does.
const FANOUT: usize = 4;
const DEGREE: usize = 8;

impl Protocol {
    /// One of each kind.
    pub const ALL: [Self; 4] = [
        Self::Vouchsafe,
        Self::Cycle { fanout: FANOUT },
        Self::InfectAndDie { fanout: FANOUT },
        Self::Mesh { degree: DEGREE },
    ];

    pub(super) fn machine(self, setup: Setup, now: Now) -> Box<dyn Machine> {
        let nodes = setup.config.expected_nodes as usize;
        match self {
            Self::Vouchsafe => Box::new(Engine::new(setup, now)),
            Self::Cycle { fanout } => Box::new(Cycle::new(fanout, nodes, setup.author, &setup.seed, now)),
            Self::InfectAndDie { fanout } => {
                Box::new(InfectAndDie::new(fanout, setup.author, &setup.seed, now))
            }
            Self::Mesh { degree } => Box::new(Mesh::new(degree, setup.author, &setup.seed, now)),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vouchsafe => f.write_str("vouchsafe"),
            Self::Cycle { fanout } => write!(f, "cycle:{fanout}"),
            Self::InfectAndDie { fanout } => write!(f, "infect-and-die:{fanout}"),
            Self::Mesh { degree } => write!(f, "mesh:{degree}"),
        }
    }
}

/// Not the name of a protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no protocol is called `{0}`: use vouchsafe, cycle, infect-and-die or mesh; the last three take a number of links from 1 on, as in cycle:4"
)]
pub struct ParseProtocolError(String);

impl FromStr for Protocol {
    type Err = ParseProtocolError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseProtocolError(text.to_owned());
        let (name, number) = match text.split_once(':') {
            Some((name, number)) => (name, Some(number.parse::<usize>().map_err(|_| wrong())?)),
            None => (text, None),
        };
        match (name, number) {
            (_, Some(0)) => Err(wrong()),
            ("vouchsafe", None) => Ok(Self::Vouchsafe),
            ("cycle", fanout) => Ok(Self::Cycle { fanout: fanout.unwrap_or(FANOUT) }),
            ("infect-and-die", fanout) => Ok(Self::InfectAndDie { fanout: fanout.unwrap_or(FANOUT) }),
            ("mesh", degree) => Ok(Self::Mesh { degree: degree.unwrap_or(DEGREE) }),
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for protocol in Protocol::ALL {
            assert_eq!(protocol.to_string().parse(), Ok(protocol));
        }
        assert_eq!("mesh".parse(), Ok(Protocol::Mesh { degree: DEGREE }));
        for wrong in ["", "gossip", "cycle:", "cycle:0", "mesh:x", "vouchsafe:3"] {
            let error = wrong.parse::<Protocol>().unwrap_err().to_string();
            assert!(error.contains("infect-and-die"), "{error}");
        }
    }
}
