//! What the attackers of the soak and of the example `hostile_cost` do. Nobody else uses it.

pub mod deeds;
pub mod floods;
