//! When somebody asks this process to end.

use std::io;

use crate::exit::Failure;

/// Listens for ctrl-c; for the signal that service managers send; and for the end of the terminal.
#[cfg(unix)]
pub(crate) struct Leave {
    signals: Vec<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Leave {
    /// Starts listening.
    pub(crate) fn listen() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};
        let hangup = Some(SignalKind::hangup()).filter(|hangup| !is_ignored(hangup.as_raw_value()));
        let kinds = [SignalKind::interrupt(), SignalKind::terminate()].into_iter().chain(hangup);
        let signals = kinds.map(signal).collect::<io::Result<_>>().map_err(|error| deaf(&error))?;
        Ok(Self { signals })
    }

    /// Waits for the first of them.
    pub(crate) async fn asked(mut self) -> Result<(), Failure> {
        std::future::poll_fn(|context| {
            let asked = self.signals.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
            if asked { std::task::Poll::Ready(Ok(())) } else { std::task::Poll::Pending }
        })
        .await
    }
}

/// Whether whoever started this process wants it to outlive a signal, as `nohup` does: to listen to it would undo that. Known
/// on Linux only.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// Listens for ctrl-c.
#[cfg(not(unix))]
pub(crate) struct Leave;

#[cfg(not(unix))]
impl Leave {
    pub(crate) fn listen() -> Result<Self, Failure> {
        Ok(Self)
    }

    pub(crate) async fn asked(self) -> Result<(), Failure> {
        tokio::signal::ctrl_c().await.map_err(|error| deaf(&error))
    }
}

fn deaf(error: &io::Error) -> Failure {
    Failure::Failed(format!("signals can't be received: {error}"))
}
