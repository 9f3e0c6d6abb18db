//! Hostile peers against real nodes, over real QUIC on loopback.
//!
//! Each test has a victim, an honest pair that must not notice, and a liar with valid TLS that sends what it likes. The
//! names are those of the attack they answer.
#![cfg(feature = "sim")]

mod admission;
mod adversaries;
mod authors;
mod connections;
mod crashes;
mod dialling;
mod floods;
mod forgery;
mod frames;
mod isolation;
mod liar;
mod members;
mod processes;
mod scene;
mod stalls;
mod stores;
mod streams;
mod windows;
