//! The engine among its kind and among liars, in a deterministic world: see `world.rs`. One theme a file.
#![allow(dead_code, reason = "helpers of tests to come")]

mod check;
mod hostile;
mod node;
mod world;

mod equivocation;
mod forgery;
mod limits;
mod spread;
mod windows;
