//! Signals of an agent.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Failure;

/// What a signal asks for.
pub(super) enum Asked {
    /// To end.
    Leave,
    /// To read the configuration again.
    Reload,
}

/// Listens for them.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    /// Starts listening: from here on the process does not end without a goodbye.
    pub(super) fn listen() -> Result<Self, Failure> {
        let open = || {
            Ok::<_, io::Error>(Self {
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
                hangup: signal(SignalKind::hangup())?,
            })
        };
        open().map_err(|error| Failure::Failed(format!("signals can't be received: {error}")))
    }

    /// The next one. Cancel safe.
    pub(super) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.interrupt.recv() => Asked::Leave,
            _ = self.terminate.recv() => Asked::Leave,
            _ = self.hangup.recv() => Asked::Reload,
        }
    }
}
