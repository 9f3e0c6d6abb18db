//! What a run comes to: the figures, and what is wrong if something is.

use super::liars::Fate;
use super::log::Log;
use super::plan::Plan;
use super::tree::Tree;

#[derive(Clone, Debug)]
pub(super) struct Figures {
    pub(super) nodes: usize,
    pub(super) liars: usize,
    pub(super) rumors: usize,
    /// Deliveries to honest nodes other than the publisher, of those that were owed. 1 is all.
    pub(super) coverage: f64,
    /// Copies of bundles that came over links between honest nodes, for each that was the first to be accepted.
    pub(super) copies_per_delivery: f64,
    pub(super) hops_max: usize,
    /// From the publish call to the receiving application, milliseconds.
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    /// Offences found by honest nodes.
    pub(super) offences: usize,
    /// Authors convicted by every honest node.
    pub(super) convicted: usize,
    /// Pairs of honest nodes of which one banned or convicted the other.
    pub(super) false_bans: usize,
    /// Honest members that every honest node shows as here.
    pub(super) members: usize,
    /// Pairs of honest nodes of which one has shown the other as failed.
    pub(super) false_failures: usize,
    /// Signs of life that liars made up, and honest nodes found out.
    pub(super) fakes: u64,
}

impl Figures {
    pub(super) fn of(plan: &Plan, log: &Log) -> Self {
        let mut millis = Vec::with_capacity(log.delivered);
        for told in &log.rumors {
            let Some(called) = told.called else { continue };
            let others = told.receipts.iter().enumerate().filter(|(node, _)| *node != told.publisher);
            millis.extend(
                others
                    .filter_map(|(_, receipt)| *receipt)
                    .map(|(at, _)| at.saturating_duration_since(called).as_secs_f64() * 1e3),
            );
        }
        millis.sort_by(f64::total_cmp);
        let owed = log.rumors.len() * (plan.nodes - 1);
        Self {
            nodes: plan.nodes,
            liars: plan.liars.len(),
            rumors: log.rumors.len(),
            coverage: log.delivered as f64 / owed.max(1) as f64,
            copies_per_delivery: log.copies.received as f64 / log.copies.first.max(1) as f64,
            hops_max: log.rumors.iter().map(|told| Tree::of(told, &log.directory).depth()).max().unwrap_or(0),
            p50_ms: percentile(&millis, 50),
            p99_ms: percentile(&millis, 99),
            offences: log.offences.len(),
            convicted: log.convicted.values().filter(|nodes| nodes.len() == plan.nodes).count(),
            false_bans: log.false_bans.len(),
            members: log.shown.iter().copied().min().unwrap_or(0),
            false_failures: log.false_failures.len(),
            fakes: log.fakes,
        }
    }
}

/// Nearest rank: the least value that at least this share of all values do not exceed.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0.0)
}

/// All that must not be; empty if the promises held.
pub(super) fn faults(plan: &Plan, log: &Log, figures: &Figures) -> Vec<String> {
    let mut faults = Vec::new();
    faults.extend(log.refused.iter().take(3).cloned());
    let lacking = log.rumors.len() * (plan.nodes - 1) - log.delivered;
    if lacking > 0 {
        let lost = if log.missed > 0 {
            format!(" (the demo itself read too slowly and missed {} items: use fewer nodes)", log.missed)
        } else {
            String::new()
        };
        faults.push(format!("{lacking} deliveries to honest nodes are missing{lost}"));
    }
    if log.repeated > 0 {
        faults.push(format!("{} rumors were delivered twice to the same node", log.repeated));
    }
    if figures.false_bans > 0 {
        faults.push(format!("{} honest nodes were banned or convicted by honest nodes", figures.false_bans));
    }
    if figures.false_failures > 0 || figures.members < plan.nodes {
        faults.push(format!(
            "of {} honest members every honest node shows {}; {} were shown as failed",
            plan.nodes, figures.members, figures.false_failures
        ));
    }
    let forged = log.forged();
    if forged > 0 {
        faults.push(format!("{forged} forged rumors were delivered"));
    }
    for (number, liar) in plan.liars.iter().enumerate() {
        let (caught, must) = log.caught(plan, number);
        if caught < must {
            let unmet = log.fates[number].iter().find_map(|fate| match fate {
                Fate::NotMet { node, why } => Some(format!("; it did not reach node {node}: {why}")),
                _ => None,
            });
            faults.push(format!(
                "liar {} ({}) was caught by {caught} of {must} nodes{}",
                number + 1,
                liar.kind.name(),
                unmet.unwrap_or_default()
            ));
        }
        let let_in = |fate: &&Fate| matches!(fate, Fate::CameBack { refused: false, .. });
        if let Some(Fate::CameBack { node, .. }) = log.fates[number].iter().find(let_in) {
            faults.push(format!("liar {} was let in again by node {node}, which had banned it", number + 1));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let hundred: Vec<_> = (1..=100).map(f64::from).collect();
        assert_eq!((percentile(&hundred, 50), percentile(&hundred, 99)), (50.0, 99.0));
        assert_eq!((percentile(&[7.0], 99), percentile(&[], 50)), (7.0, 0.0));
    }
}
