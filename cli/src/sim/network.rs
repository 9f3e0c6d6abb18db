//! The flags that every kind of simulation has: the network and what is said in it. And the experiment that they make.

use std::time::Duration;

use vouchsafe::rumor::MAX_BODY;
use vouchsafe::sim::{Churn, Experiment, Latency, Placement, Scenario, Start, Topology};
use vouchsafe::{Guarantee, Topic};

use super::{flags, shape};
use crate::exit::Failure;

/// Half of the slots that an honest node has in a second: nobody waits for a slot, so that delays are the network's.
const PER_NODE: f64 = 32.0;

/// A simulated network and its rumors
#[derive(clap::Args)]
pub struct Network {
    /// Nodes in all, liars included
    #[arg(long, value_name = "N", allow_hyphen_values = true, default_value = "1000", value_parser = flags::nodes)]
    pub nodes: usize,
    /// Links that each node dials; about as many are dialled by others
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..=48))]
    links: u16,
    /// Rumors that honest nodes publish, in turn
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rumors: u32,
    /// Rumors a second in the whole network
    #[arg(long, value_name = "R", allow_hyphen_values = true, default_value = "10", value_parser = flags::rate)]
    rate: f64,
    /// Bytes of a rumor (300, 16k; k is 1024)
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true, default_value = "300", value_parser = flags::size)]
    size: usize,
    /// One-way delay of links, milliseconds: geometric (5 to 130, by distance), A-B, N for all, or table:FILE with a
    /// row for each region (- is stdin); each frame takes up to 2 ms more, at random
    #[arg(long, value_name = "DELAY", allow_hyphen_values = true, default_value = "geometric", value_parser = flags::latency)]
    latency: Latency,
    /// Chance of a frame to be lost once; it arrives after a retransmission
    #[arg(long, value_name = "PART", allow_hyphen_values = true, default_value = "0", value_parser = flags::fraction)]
    loss: f64,
    /// Who has a link to whom: random, regular, hub[:N] (all dial these too), small-world[:PERCENT], or edges:FILE
    /// with two numbers a line (- is stdin)
    #[arg(long, value_name = "KIND", allow_hyphen_values = true, default_value = "random", value_parser = shape::topology)]
    topology: Topology,
    /// Where liars sit: random, cut (where the network is narrowest), or around[:NODE] (all its neighbours but one first)
    #[arg(long, value_name = "PLACE", allow_hyphen_values = true, default_value = "random", value_parser = shape::placement)]
    placement: Placement,
    /// Honest nodes that leave and that come, each second: R for both, or LEAVE:JOIN
    #[arg(long, value_name = "R", allow_hyphen_values = true, value_parser = shape::churn)]
    churn: Option<Churn>,
    /// Begin without a link: every node dials within the first second
    #[arg(long)]
    cold: bool,
    /// Honest nodes that each liar dials a second, for every inbound place it can get (the adversary slots does so by itself)
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=1_000))]
    grasp: u16,
    /// Bytes a second that a node can send (500k, 2M; k is 1024, M is 1024k); without it there is no limit
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true, value_parser = flags::uplink)]
    uplink: Option<u64>,
    /// Deliver only after this time, and neither of two conflicting rumors (2s, 500ms)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = flags::hold_back)]
    hold_back: Option<Duration>,
    /// Most difference of a clock from true time (10s)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, default_value = "0s", value_parser = flags::duration)]
    clock_spread: Duration,
    /// Go on for so long after the last delivery (2s); longer for liars that act late
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = flags::duration)]
    tail: Option<Duration>,
    /// Decides everything that is left to chance
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 1)]
    seed: u64,
}

impl Network {
    /// The experiment, so far without liars. Of its nodes `honest` at the least are honest; `lying` is whether others may be.
    pub fn experiment(&self, honest: usize, lying: bool) -> Result<Experiment, Failure> {
        let (nodes, rate) = (self.nodes, self.rate);
        let most = honest as f64 * PER_NODE;
        if rate > most {
            return Err(Failure::Usage(format!(
                "--rate {rate}: {honest} honest nodes have slots for some {most} rumors a second; give at most that, or more nodes"
            )));
        }
        let mut topic = Topic::named("simulation").max_body(MAX_BODY);
        if let Some(delay) = self.hold_back {
            topic = topic.guarantee(Guarantee::HoldBack(delay));
        }
        let scenario = Scenario {
            nodes,
            links: self.links.into(),
            latency: self.latency.clone(),
            loss: self.loss,
            uplink: self.uplink,
            topology: self.topology.clone(),
            placement: self.placement,
            churn: self.churn,
            start: if self.cold { Start::Cold } else { Start::Linked },
            grasping: self.grasp.into(),
            clock_spread: self.clock_spread,
            topic,
            seed: self.seed,
            ..Scenario::default()
        };
        shape::check(&scenario, lying)?;
        let usual = Experiment::default();
        let tail = self.tail.unwrap_or(usual.tail);
        Ok(Experiment { scenario, rumors: self.rumors as usize, rate, size: self.size, tail, ..usual })
    }
}
