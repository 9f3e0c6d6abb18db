//! The lines of stdin, from a thread of their own: a read of a terminal can't be cancelled, and must not hold up the
//! end of the program.

use std::io;

use tokio::sync::mpsc;

use crate::lines::{Line, next_line};

/// Lines that wait to be published. Then the thread stops reading, and whoever writes into the pipe has to wait.
const WAITING: usize = 64;

/// Starts reading. The channel ends with stdin, or with the first error.
pub(super) fn lines(max: usize) -> mpsc::Receiver<io::Result<Line>> {
    let (out, lines) = mpsc::channel(WAITING);
    std::thread::spawn(move || {
        let mut input = io::stdin().lock();
        while let Some(line) = next_line(&mut input, max).transpose() {
            let failed = line.is_err();
            if out.blocking_send(line).is_err() || failed {
                return;
            }
        }
    });
    lines
}
