//! How long a frame is under way.

use std::time::Duration;

use super::dice::Dice;

/// One-way delay of a link. Drawn once per link; `jitter` of a scenario is drawn for each frame.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Latency {
    /// The same for all links.
    Fixed(Duration),
    /// Nodes lie at random places of a square; delay grows with distance between these two bounds. The model
    /// has 5 to 130 ms.
    Geometric {
        /// Between neighbours.
        least: Duration,
        /// Between opposite corners.
        most: Duration,
    },
    /// Nodes are dealt evenly to regions; `table[a][b]` is the delay from region `a` to region `b`.
    Regions(Vec<Vec<Duration>>),
}

impl Latency {
    /// From 5 to 130 ms by distance.
    pub const GEOMETRIC: Self =
        Self::Geometric { least: Duration::from_millis(5), most: Duration::from_millis(130) };

    /// Places a node.
    pub(super) fn place(&self, node: usize, dice: &mut Dice) -> (f64, f64) {
        match self {
            // The region, as a whole number.
            Self::Regions(table) => ((node % table.len().max(1)) as f64, 0.0),
            _ => (dice.unit(), dice.unit()),
        }
    }

    /// Delay between two places.
    pub(super) fn between(&self, from: (f64, f64), to: (f64, f64)) -> Duration {
        match self {
            Self::Fixed(delay) => *delay,
            Self::Geometric { least, most } => {
                let distance = (from.0 - to.0).hypot(from.1 - to.1) / std::f64::consts::SQRT_2;
                *least + most.saturating_sub(*least).mul_f64(distance)
            }
            Self::Regions(table) => {
                table.get(from.0 as usize).and_then(|row| row.get(to.0 as usize)).copied().unwrap_or_default()
            }
        }
    }
}
