//! What the soak and the examples share: what attackers do, and what processes take. Nobody else uses it.

pub mod attacks;
pub mod deeds;
pub mod load;
