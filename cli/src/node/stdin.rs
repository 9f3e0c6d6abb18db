//! The lines of stdin, from a thread of their own: a read of a terminal can't be cancelled, and must not hold up the
//! end of the program.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use crate::lines::{Line, next_line};

/// Lines that wait to be published. Then the thread stops reading, and whoever writes into the pipe has to wait.
const WAITING: usize = 64;

/// The lines that were read. They end with stdin, or with the first error.
pub(super) struct Lines {
    lines: mpsc::Receiver<io::Result<Line>>,
    unsaid: Unsaid,
}

/// How many lines were read and not yet published.
#[derive(Clone, Default)]
pub(super) struct Unsaid(Arc<AtomicU64>);

impl Unsaid {
    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Lines {
    /// Starts reading.
    pub(super) fn read(max: usize) -> Self {
        let (out, lines) = mpsc::channel(WAITING);
        let unsaid = Unsaid::default();
        let read = unsaid.clone();
        std::thread::spawn(move || {
            let mut input = io::stdin().lock();
            while let Some(line) = next_line(&mut input, max).transpose() {
                let failed = line.is_err();
                if matches!(&line, Ok(Line::Whole(line)) if !line.is_empty()) {
                    read.0.fetch_add(1, Ordering::Relaxed);
                }
                if out.blocking_send(line).is_err() || failed {
                    return;
                }
            }
        });
        Self { lines, unsaid }
    }

    pub(super) async fn next(&mut self) -> Option<io::Result<Line>> {
        self.lines.recv().await
    }

    /// What was read and not yet published, whatever becomes of this.
    pub(super) fn unsaid(&self) -> Unsaid {
        self.unsaid.clone()
    }

    /// One of them was published, or its author told that it will not be.
    pub(super) fn settled(&self) {
        self.unsaid.0.fetch_sub(1, Ordering::Relaxed);
    }
}
