//! The command from outside: what it prints, what it refuses, and its exit codes.

mod demo;
mod files;
mod inspect;
mod keygen;
mod node;
mod run;
mod usage;
mod verify;
