//! The figures for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::figures::Figures;
use super::liars::Fate;
use super::log::Log;
use super::plan::{Catch, Kind, Plan};

/// One line, with the fields in the order of the help text.
pub(super) fn json(figures: &Figures) -> String {
    format!(
        concat!(
            r#"{{"nodes":{},"liars":{},"rumors":{},"coverage":{:?},"copies_per_delivery":{:.3},"hops_max":{},"#,
            r#""p50_ms":{:.3},"p99_ms":{:.3},"offences":{},"convicted":{},"false_bans":{},"members":{},"#,
            r#""false_failures":{},"fakes":{}}}"#
        ),
        figures.nodes,
        figures.liars,
        figures.rumors,
        figures.coverage,
        figures.copies_per_delivery,
        figures.hops_max,
        figures.p50_ms,
        figures.p99_ms,
        figures.offences,
        figures.convicted,
        figures.false_bans,
        figures.members,
        figures.false_failures,
        figures.fakes,
    )
}

/// Writing into a `String` can't fail, hence the ignored results.
pub(super) fn table(plan: &Plan, log: &Log, figures: &Figures) -> String {
    let mut out = String::new();
    let owed = log.rumors.len() * (plan.nodes - 1);
    let _ = writeln!(
        out,
        "network       {} honest nodes, {} liars, fanout {}, {} honest links, seed {}",
        figures.nodes, figures.liars, plan.fanout, log.links, plan.seed
    );
    let _ = writeln!(
        out,
        "members       {} of {} are known to every honest node, found from one address",
        figures.members, figures.nodes
    );
    let _ = writeln!(
        out,
        "coverage      {:.2} %  ({} of {owed} deliveries of {} rumors)",
        figures.coverage * 100.0,
        log.delivered,
        figures.rumors
    );
    let _ = writeln!(out, "copies        {:.2} for each delivery", figures.copies_per_delivery);
    let _ = writeln!(out, "hops          {} at most", figures.hops_max);
    let _ = writeln!(
        out,
        "latency       p50 {:.1} ms, p99 {:.1} ms, from the publish call to the receiver",
        figures.p50_ms, figures.p99_ms
    );
    let _ = writeln!(out, "offences      {}  (each closed a link and banned a key)", figures.offences);
    let mut kinds: BTreeMap<_, usize> = BTreeMap::new();
    log.offences.iter().for_each(|(_, _, offence)| *kinds.entry(*offence).or_default() += 1);
    for (offence, count) in kinds {
        let _ = writeln!(out, "              {count} x {offence}");
    }
    let _ = writeln!(out, "convicted     {}  (authors, by every honest node)", figures.convicted);
    let _ = writeln!(out, "false bans    {}", figures.false_bans);
    let _ = writeln!(
        out,
        "false fails   {}  ({} made-up signs of life were found out)",
        figures.false_failures, figures.fakes
    );
    let _ = writeln!(out, "forged        {}  (delivered to anybody)", log.forged());
    if plan.liars.is_empty() {
        return out;
    }
    let _ = writeln!(out, "\nliar  what it did                                what became of it");
    for (number, liar) in plan.liars.iter().enumerate() {
        let (did, became) = (deed(liar.kind), became(plan, log, number));
        let _ = writeln!(out, "{:>4}  {did:<42} {became}", number + 1);
    }
    out
}

const fn deed(kind: Kind) -> &'static str {
    match kind {
        Kind::Forges => "forged rumors in the name of others",
        Kind::Floods => "flooded: twice its quota",
        Kind::Equivocates => "equivocated: two stories to two halves",
        Kind::Malforms => "replayed old rumors, sent malformed frames",
        Kind::LiesAboutMembers => "made up signs of life of the members",
        Kind::StaysSilent => "stayed silent: took all, passed on nothing",
    }
}

fn became(plan: &Plan, log: &Log, number: usize) -> String {
    let (caught, must) = log.caught(plan, number);
    let Some(liar) = plan.liars.get(number) else { return String::new() };
    match liar.kind.catch() {
        Some(Catch::Conviction) => format!("convicted by {caught} of {must} nodes, by its own signatures"),
        Some(Catch::Offence) => {
            let refused = log.fates[number]
                .iter()
                .filter(|fate| matches!(fate, Fate::CameBack { refused: true, .. }))
                .count();
            format!("banned by {caught} of the {must} it met; came back, refused by {refused}")
        }
        None if liar.kind == Kind::LiesAboutMembers && log.false_failures.is_empty() => {
            "nothing to convict it of; nobody failed for it".to_owned()
        }
        None => {
            let closed = log.fates[number].iter().filter(|fate| matches!(fate, Fate::Closed { .. })).count();
            match closed {
                _ if log.delivered < log.owed(plan) => "nothing to convict it of".to_owned(),
                0 => "nothing to convict it of; nobody missed a rumor for it".to_owned(),
                closed => format!("nothing to convict it of; {closed} links to it were closed"),
            }
        }
    }
}
