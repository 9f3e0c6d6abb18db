//! The systems under test, behind one small trait.
//!
//! Each file starts `nodes` nodes in this process, on loopback QUIC, in one topic, waits until their links are up, and
//! hands whatever they deliver to the meter.

pub mod iroh;
pub mod libp2p;
pub mod vouchsafe;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::load::Offered;
use crate::meter::Meter;
use crate::plan::System;

/// Why a measurement could not be made.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Links that are not up by then never will be.
const READY: Duration = Duration::from_secs(60);
/// Deliveries that a reader may fall behind by, where the system lets the application say so. More than a second of the
/// highest rate measured: a loss is then the network's and not the reader's.
const READER_CAPACITY: usize = 1 << 17;

/// What all systems are given.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub system: System,
    pub nodes: usize,
    /// Bytes of a message.
    pub size: usize,
}

/// A running network of one system. Dropping it may leave tasks behind: a process measures one network.
pub trait Mesh: Send + Sync + Sized + 'static {
    /// Starts the nodes and waits for their links.
    fn start(setup: Setup, meter: Arc<Meter>) -> impl Future<Output = Result<Self, Failure>> + Send;

    /// Publishes at `node` and comes back when the system has taken the messages, or has said no. `offered` is told of each;
    /// the answer is whether all were taken.
    fn publish(
        &self,
        node: usize,
        bodies: Vec<Bytes>,
        offered: &Offered,
    ) -> impl Future<Output = bool> + Send;

    /// Copies that came in for each delivery, 1 at best; `None` if the system does not tell.
    fn copies(&self, deliveries: u64) -> impl Future<Output = Option<f64>> + Send;
}
