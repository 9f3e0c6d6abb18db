//! The engine among its kind and among liars, in a deterministic world: see `world.rs`. One theme a file.

mod check;
mod clocks;
mod hostile;
mod node;
mod world;

mod asked;
mod author_prices;
mod backlog;
mod bill;
mod capacity;
mod chain;
mod charges;
mod debts;
mod duplicates;
mod equivocation;
mod evidence;
mod forgery;
mod history;
mod impostors;
mod keeping;
mod limits;
mod malformed;
mod own;
mod passing;
mod property;
mod pulls;
mod questions;
mod shapes;
mod slow;
mod spread;
mod state;
mod topics;
mod turns;
mod windows;
