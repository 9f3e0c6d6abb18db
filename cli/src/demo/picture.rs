//! Where everybody stands in the picture of one rumor's spread: the publisher in the middle, the others on rings by hop,
//! near the one they have it from; the liars on the outermost ring, near those they are linked with.

use std::f64::consts::TAU;

use super::log::{Log, Told};
use super::plan::Plan;
use super::svg;
use super::tree::Tree;
use crate::svg::Point;

/// Least distance between neighbours on a ring, in pixels: a circle, its number and its time fit.
const APART: f64 = 46.0;
/// Least distance between rings.
const RING: f64 = 92.0;
/// The same for liars, whose labels are words.
const LIARS_APART: f64 = 30.0;

/// An honest node that got the rumor.
pub(super) struct Reached {
    pub(super) node: usize,
    pub(super) hop: usize,
    pub(super) at: Point,
    /// Where it has it from; `None` for the publisher.
    pub(super) from: Option<Point>,
    pub(super) after_ms: f64,
}

pub(super) struct Liar {
    pub(super) number: usize,
    pub(super) kind: super::plan::Kind,
    pub(super) at: Point,
    pub(super) meets: Vec<Point>,
    pub(super) caught: usize,
}

pub(super) struct Picture {
    /// Number of the rumor, from 1, and what it says.
    pub(super) rumor: usize,
    pub(super) text: String,
    pub(super) rings: Vec<f64>,
    pub(super) reached: Vec<Reached>,
    pub(super) missed: Vec<usize>,
    pub(super) liars: Vec<Liar>,
    /// Radius of the ring of liars, or of the outermost if there are none.
    pub(super) radius: f64,
}

/// The picture as SVG; `None` if no rumor was published at all.
pub(super) fn draw(plan: &Plan, log: &Log) -> Option<String> {
    // Of those that reached most, the one that went furthest; of these, the one nearest to the middle of the run, when
    // the liars are at it.
    let middle = log.rumors.len() / 2;
    let published = log.rumors.iter().enumerate().filter(|(_, told)| told.id.is_some());
    let (rumor, told, tree) =
        published.map(|(rumor, told)| (rumor, told, Tree::of(told, &log.directory))).max_by_key(
            |(rumor, _, tree)| (tree.reached(), tree.depth(), std::cmp::Reverse(rumor.abs_diff(middle))),
        )?;
    let angles = angles(&tree);
    let rings = rings(&tree, &angles);
    let place = |node: usize| {
        let hop = tree.hops.get(node).copied().flatten()?;
        Some(on_ring(*rings.get(hop)?, angles[node]))
    };
    let reached: Vec<_> = (0..plan.nodes)
        .filter_map(|node| {
            Some(Reached {
                node,
                hop: tree.hops[node]?,
                at: place(node)?,
                from: tree.parents[node].filter(|_| node != tree.root).and_then(place),
                after_ms: after_ms(told, node),
            })
        })
        .collect();
    let outermost = rings.last().copied().unwrap_or_default();
    let radius = match plan.liars.len() {
        0 => outermost,
        count => (outermost + RING).max(count as f64 * LIARS_APART / TAU),
    };
    Some(svg::render(&Picture {
        rumor: rumor + 1,
        text: crate::text::printable(&told.text),
        missed: (0..plan.nodes).filter(|node| tree.hops[*node].is_none()).collect(),
        liars: liars(plan, log, radius, place),
        rings,
        reached,
        radius,
    }))
}

fn after_ms(told: &Told, node: usize) -> f64 {
    match (told.called, told.receipts.get(node).copied().flatten()) {
        (Some(called), Some((at, _))) => at.saturating_duration_since(called).as_secs_f64() * 1e3,
        _ => 0.0,
    }
}

/// An angle for each node: every subtree gets a sector as wide as it has leaves.
fn angles(tree: &Tree) -> Vec<f64> {
    let nodes = tree.parents.len();
    let mut outward: Vec<_> = (0..nodes).filter(|node| tree.hops[*node].is_some()).collect();
    outward.sort_by_key(|node| tree.hops[*node]);
    let mut leaves = vec![0usize; nodes];
    for &node in outward.iter().rev() {
        leaves[node] = tree.children(node).into_iter().map(|child| leaves[child]).sum::<usize>().max(1);
    }
    let mut sectors = vec![(0.0, TAU); nodes];
    for &node in &outward {
        let (mut start, end) = sectors[node];
        let share = (end - start) / leaves[node].max(1) as f64;
        for child in tree.children(node) {
            let width = share * leaves[child] as f64;
            sectors[child] = (start, start + width);
            start += width;
        }
    }
    sectors.into_iter().map(|(start, end)| f64::midpoint(start, end)).collect()
}

/// Radius of each ring, wide enough for whoever stands on it.
fn rings(tree: &Tree, angles: &[f64]) -> Vec<f64> {
    let mut rings = vec![0.0];
    for hop in 1..=tree.depth() {
        let mut here: Vec<_> =
            (0..angles.len()).filter(|node| tree.hops[*node] == Some(hop)).map(|node| angles[node]).collect();
        here.sort_by(f64::total_cmp);
        let around = here.first().map(|first| first + TAU);
        let next = here.iter().skip(1).copied().chain(around);
        let gap = here.iter().zip(next).map(|(one, other)| other - one).fold(TAU, f64::min);
        // The chord between two neighbours; half a circle apart or more, they can't be in each other's way.
        let wide = if gap >= TAU / 2.0 { 0.0 } else { APART / (2.0 * (gap / 2.0).sin()) };
        let inner = rings.last().copied().unwrap_or_default();
        rings.push((inner + RING).max(wide));
    }
    rings
}

/// Liars evenly around, each as near as that allows to those it meets.
fn liars(plan: &Plan, log: &Log, radius: f64, place: impl Fn(usize) -> Option<Point>) -> Vec<Liar> {
    let mut liars: Vec<(f64, Liar)> = plan
        .liars
        .iter()
        .enumerate()
        .map(|(number, liar)| {
            let meets: Vec<_> = liar.meets.iter().copied().filter_map(&place).collect();
            let (x, y) = meets.iter().fold((0.0, 0.0), |(x, y), point| (x + point.x, y + point.y));
            let caught = log.caught(plan, number).0;
            let liar = Liar { number: number + 1, kind: liar.kind, at: Point::default(), meets, caught };
            (f64::atan2(y, x), liar)
        })
        .collect();
    liars.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    let gap = TAU / liars.len().max(1) as f64;
    let (mut x, mut y) = (0.0, 0.0);
    for (at, (wish, _)) in liars.iter().enumerate() {
        let turn = wish - at as f64 * gap;
        (x, y) = (x + turn.cos(), y + turn.sin());
    }
    let turn = f64::atan2(y, x);
    let settle = |(at, (_, mut liar)): (usize, (f64, Liar))| {
        liar.at = on_ring(radius, turn + at as f64 * gap);
        liar
    };
    liars.into_iter().enumerate().map(settle).collect()
}

fn on_ring(radius: f64, angle: f64) -> Point {
    Point { x: radius * angle.cos(), y: radius * angle.sin() }
}
