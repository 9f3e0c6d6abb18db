//! `vouchsafe agent` from outside: real processes on loopback, asked over their sockets.
#![cfg(unix)]

mod commands;
mod config;
mod crash;
mod demo;
mod documents;
mod handlers;
mod hostile;
mod liars;
mod load;
mod requests;
mod service;
mod slow;
mod topics;
mod world;
