//! The thread that answers clients. It has a runtime of its own: however many clients there are, none of their tasks stands in a queue
//! before those of the node.

use std::io;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// By how much the thread is nicer than those of the node: where both want a processor, it gets a tenth. (Guess: enough for clients that
/// wait, and too little to keep a rumor waiting.)
#[cfg(target_os = "linux")]
const NICER: i32 = 10;
/// Threads for what waits for a disk: lists of keys are all that is written there.
const BLOCKING: usize = 4;
/// How long what waits for a disk may take at the end.
const LAST: Duration = Duration::from_secs(1);

/// The thread, which ends with this.
pub(super) struct Thread {
    handle: Handle,
    ends: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
}

impl Thread {
    pub(super) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(BLOCKING).build()?;
        let handle = runtime.handle().clone();
        let (ends, end) = oneshot::channel();
        let (done, ended) = oneshot::channel();
        std::thread::Builder::new().name("interface".to_owned()).spawn(move || {
            step_back();
            // An error says that nobody holds it any more: the same.
            let _ = runtime.block_on(end);
            runtime.shutdown_timeout(LAST);
            // Nobody may wait for it.
            let _ = done.send(());
        })?;
        Ok(Self { handle, ends, ended })
    }

    /// Where its tasks are spawned.
    pub(super) const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Ends it, with all tasks that are still there.
    pub(super) async fn end(self) {
        drop(self.ends);
        // An error says that it has ended already.
        let _ = self.ended.await;
    }
}

/// Lets the other threads go first. On Linux this is of one thread; elsewhere it would be of the whole process.
fn step_back() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICER) {
        tracing::debug!(%error, "the thread of the interface runs with the priority of the others");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn clients_are_answered_by_a_thread_that_lets_the_node_go_first() {
        let own = || rustix::process::getpriority_process(None).unwrap();
        let thread = Thread::start().unwrap();
        let of_thread = thread.handle().spawn(async move { own() }).await.unwrap();
        assert_eq!(of_thread, (own() + NICER).min(19));
        let waits = thread.handle().spawn(std::future::pending::<()>());
        thread.end().await;
        assert!(waits.await.unwrap_err().is_cancelled());
    }
}
