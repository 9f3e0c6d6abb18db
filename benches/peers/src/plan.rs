//! What is measured: systems, loads, sizes, numbers of nodes, and in which order.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

/// A gossip library, in one configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub enum System {
    /// This project.
    #[value(name = "vouchsafe")]
    #[serde(rename = "vouchsafe")]
    Vouchsafe,
    /// libp2p-gossipsub, signed, with the limits that throttle it raised.
    #[value(name = "libp2p-tuned")]
    #[serde(rename = "libp2p-tuned")]
    Libp2pTuned,
    /// libp2p-gossipsub, signed, as it comes.
    #[value(name = "libp2p-stock")]
    #[serde(rename = "libp2p-stock")]
    Libp2pStock,
    /// iroh-gossip, which signs nothing.
    #[value(name = "iroh-gossip")]
    #[serde(rename = "iroh-gossip")]
    Iroh,
}

impl System {
    /// In the order in which they are measured.
    pub const ALL: [Self; 4] = [Self::Vouchsafe, Self::Libp2pTuned, Self::Libp2pStock, Self::Iroh];

    /// The name on the command line and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vouchsafe => "vouchsafe",
            Self::Libp2pTuned => "libp2p-tuned",
            Self::Libp2pStock => "libp2p-stock",
            Self::Iroh => "iroh-gossip",
        }
    }

    /// The name in a table: it says what is not like the others.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Iroh => "iroh-gossip (unsigned)",
            other => other.name(),
        }
    }
}

/// How the network is loaded. The name on the command line is the load itself: `paced-250` works as `paced-500` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// One message at a time, and a pause after each.
    Unloaded,
    /// Eight publishers, each this many messages a second, come what may.
    Paced(u32),
    /// This many messages in flight: one is published when another has arrived everywhere.
    Closed(usize),
    /// So many publishers, each as fast as the system lets it.
    Flat(usize),
}

/// The loads that are measured unless others are named.
const LOADS: &str = "unloaded,paced-100,paced-500,paced-1000,closed-64,flat-8,flat-1";

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unloaded => f.write_str("unloaded"),
            Self::Paced(rate) => write!(f, "paced-{rate}"),
            Self::Closed(window) => write!(f, "closed-{window}"),
            Self::Flat(publishers) => write!(f, "flat-{publishers}"),
        }
    }
}

impl FromStr for Load {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || format!("no load is called {text:?}: try one of {LOADS}");
        if text == "unloaded" {
            return Ok(Self::Unloaded);
        }
        let (kind, number) = text.split_once('-').ok_or_else(unknown)?;
        let number: u32 = number.parse().ok().filter(|n| (1..=100_000).contains(n)).ok_or_else(unknown)?;
        match kind {
            "paced" => Ok(Self::Paced(number)),
            "closed" => Ok(Self::Closed(number as usize)),
            "flat" => Ok(Self::Flat(number as usize)),
            _ => Err(unknown()),
        }
    }
}

/// Which measurements to make.
#[derive(Args, Clone, Debug)]
pub struct Plan {
    /// Only these systems (default: all)
    #[arg(long, value_name = "SYSTEM", value_delimiter = ',')]
    only: Vec<System>,
    /// Loads: unloaded, paced-N (8 publishers x N a second), closed-N (N in flight), flat-N (N publishers)
    #[arg(long, value_name = "NAME", value_delimiter = ',', default_value = LOADS)]
    load: Vec<Load>,
    /// Bytes of a message
    #[arg(long, value_delimiter = ',', default_value = "256", value_parser = clap::value_parser!(u32).range(24..=60_000))]
    sizes: Vec<u32>,
    /// Nodes in the network
    #[arg(long, value_delimiter = ',', default_value = "8", value_parser = clap::value_parser!(u16).range(2..=200))]
    nodes: Vec<u16>,
    /// How often everything is measured; tables show medians
    #[arg(long, default_value_t = 1)]
    repeat: usize,
    #[command(flatten)]
    times: Times,
}

/// How long things take.
#[derive(Args, Clone, Copy, Debug)]
pub struct Times {
    /// Seconds of load
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,
    /// Seconds between the last link and the load (gossipsub needs some heartbeats to form its mesh)
    #[arg(long, default_value_t = 8)]
    pub settle: u64,
    /// Seconds without a delivery after which what is missing counts as lost
    #[arg(long, default_value_t = 10)]
    pub patience: u64,
    /// Resident MiB at which publishing stops, to save the machine
    #[arg(long, default_value_t = 12_000)]
    pub rss_limit: u64,
}

/// One measurement.
#[derive(Args, Clone, Copy, Debug)]
pub struct One {
    #[arg(long)]
    pub system: System,
    #[arg(long)]
    pub load: Load,
    #[arg(long)]
    pub nodes: usize,
    #[arg(long)]
    pub size: usize,
    #[command(flatten)]
    pub times: Times,
}

impl One {
    /// Longer than this, and it hangs.
    pub fn deadline(&self) -> Duration {
        let Times { seconds, settle, patience, .. } = self.times;
        // Starting takes seconds; a backlog of a minute is drained, a longer one is not waited for.
        Duration::from_secs(seconds + settle + 2 * patience + 120)
    }

    /// About how long it takes, for the expected end.
    pub fn expected(&self) -> Duration {
        Duration::from_secs(self.times.seconds + self.times.settle + 2)
    }

    /// The arguments that make another process do it.
    pub fn arguments(&self) -> Vec<String> {
        let Times { seconds, settle, patience, rss_limit } = self.times;
        let pairs = [
            ("--system", self.system.name().to_string()),
            ("--load", self.load.to_string()),
            ("--nodes", self.nodes.to_string()),
            ("--size", self.size.to_string()),
            ("--seconds", seconds.to_string()),
            ("--settle", settle.to_string()),
            ("--patience", patience.to_string()),
            ("--rss-limit", rss_limit.to_string()),
        ];
        pairs.into_iter().flat_map(|(name, value)| [name.to_string(), value]).collect()
    }
}

impl Plan {
    /// All measurements. The systems take turns under each load, so that whatever else the machine does meets all of them.
    pub fn all(&self) -> Vec<One> {
        let systems: Vec<_> =
            System::ALL.into_iter().filter(|it| self.only.is_empty() || self.only.contains(it)).collect();
        let mut all = Vec::new();
        for _ in 0..self.repeat {
            for &nodes in &self.nodes {
                for &size in &self.sizes {
                    for &load in &self.load {
                        let (nodes, size) = (usize::from(nodes), size as usize);
                        all.extend(systems.iter().map(|&system| One {
                            system,
                            load,
                            nodes,
                            size,
                            times: self.times,
                        }));
                    }
                }
            }
        }
        all
    }
}
