//! What the attackers of the soak and of the example `hostile_cost` do. Nobody else uses it.

pub mod attacks;
pub mod deeds;
