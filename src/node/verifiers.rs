//! Verifier threads: signatures are checked off the loop that owns the engine, with whatever is queued.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::jobs::Jobs;
use crate::protocol::VerifyJob;
use crate::rumor::SignedHeader;
use crate::verify::{Item, Verifier};

/// Threads that check signatures. Several nodes of one process may share a pool; each hands it at most as many batches
/// at once as the pool has threads, so what waits here is bounded by nodes times threads.
///
/// ```no_run
/// # async fn f() -> Result<(), vouchsafe::SpawnError> {
/// # use vouchsafe::{Node, VerifierPool};
/// let pool = VerifierPool::new(2);
/// let one = Node::with_state("one").verifiers(pool.clone()).spawn().await?;
/// let other = Node::with_state("other").verifiers(pool).spawn().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct VerifierPool {
    /// The threads end with its last copy.
    batches: Jobs<(Vec<VerifyJob>, Answer)>,
    threads: usize,
}

type Answer = Box<dyn FnOnce(Vec<bool>) + Send>;

impl VerifierPool {
    /// Starts `threads` threads, at least one. One thread verifies some 60 000 bundles a second in batches
    /// (docs/performance.md), each of up to 64 rumors.
    pub fn new(threads: usize) -> Self {
        let threads = threads.max(1);
        let batches: Jobs<(Vec<VerifyJob>, Answer)> = Jobs::new();
        for _ in 0..threads {
            let taker = batches.taker();
            // Here and not in the thread, so that where it fails the caller notices.
            let mut verifier = Verifier::new();
            std::thread::spawn(move || {
                for (jobs, answer) in taker {
                    // What goes wrong with the batch of one node must not take the thread from all others.
                    let done = catch_unwind(AssertUnwindSafe(|| answer(verify(&mut verifier, &jobs))));
                    if done.is_err() {
                        verifier = Verifier::new();
                    }
                }
            });
        }
        Self { batches, threads }
    }

    /// How many threads it has.
    pub const fn threads(&self) -> usize {
        self.threads
    }

    pub(super) fn submit(&self, jobs: Vec<VerifyJob>, answer: Answer) {
        self.batches.give((jobs, answer));
    }
}

impl Default for VerifierPool {
    /// Half of the processors: the other half moves bytes.
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self::new(processors / 2)
    }
}

/// A signature that comes alone to an idle node is checked by the node's own loop: waking a verifier and being woken by
/// it takes about as long as the check. Where several come within a while, they go to the pool, which makes batches of
/// them.
#[derive(Debug, Default)]
pub(super) struct InlineVerifier {
    verifier: Verifier,
    last: Option<Instant>,
}

/// Signatures that come closer together than this are not alone. So the loop spends a twentieth of its time on checks at most
/// (some 50 us each), whatever peers do, and a node that takes in more than a thousand bundles a second batches all of them.
const ALONE: Duration = Duration::from_millis(1);

impl InlineVerifier {
    /// The verdict, if there is one job and it is alone.
    pub(super) fn verify(&mut self, jobs: &[VerifyJob], idle: bool, now: Instant) -> Option<bool> {
        let alone = self.last.replace(now).is_none_or(|last| now.duration_since(last) >= ALONE);
        let [job] = jobs else { return None };
        let message = SignedHeader::message(&job.id);
        let item = Item { key: &job.author, message: &message, signature: &job.signature };
        (alone && idle).then(|| self.verifier.verify_one(item))
    }
}

fn verify(verifier: &mut Verifier, jobs: &[VerifyJob]) -> Vec<bool> {
    let messages: Vec<_> = jobs.iter().map(|job| SignedHeader::message(&job.id)).collect();
    let items: Vec<_> = jobs
        .iter()
        .zip(&messages)
        .map(|(job, message)| Item { key: &job.author, message, signature: &job.signature })
        .collect();
    verifier.verify_batch(&items)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;
    use crate::rumor::BundleId;

    fn submit(pool: &VerifierPool, jobs: &[VerifyJob], say: impl FnOnce(Vec<bool>) + Send + 'static) {
        pool.submit(jobs.to_vec(), Box::new(say));
    }

    #[test]
    fn a_panicking_or_unread_answer_costs_no_thread() {
        let (key, id) = (SecretKey::from_seed(&[1; 32]), BundleId::from_bytes([2; 32]));
        let good = VerifyJob { author: key.public(), id, signature: key.sign(&SignedHeader::message(&id)) };
        let bad = VerifyJob { id: BundleId::from_bytes([3; 32]), ..good };
        let pool = VerifierPool::new(1);
        submit(&pool, &[good], |_| std::panic::resume_unwind(Box::new("a fault of ours")));
        let (gone, _) = std::sync::mpsc::channel();
        submit(&pool, &[good], move |verdicts| gone.send(verdicts).unwrap_or_default());
        let (answer, answered) = std::sync::mpsc::channel();
        submit(&pool, &[good, bad], move |verdicts| answer.send(verdicts).unwrap_or_default());
        // What was submitted is still answered when nobody can submit any more.
        drop(pool);
        assert_eq!(answered.recv(), Ok(vec![true, false]));
    }

    #[test]
    fn the_loop_checks_what_comes_alone_and_nothing_else() {
        let (key, id) = (SecretKey::from_seed(&[1; 32]), BundleId::from_bytes([2; 32]));
        let good = VerifyJob { author: key.public(), id, signature: key.sign(&SignedHeader::message(&id)) };
        let bad = VerifyJob { id: BundleId::from_bytes([3; 32]), ..good };
        let mut lone = InlineVerifier::default();
        let mut now = Instant::now();
        assert_eq!(lone.verify(&[good], true, now), Some(true));
        assert_eq!(lone.verify(&[good], true, now + ALONE / 2), None, "too soon after the last");
        now += ALONE * 2;
        assert_eq!(lone.verify(&[bad], true, now), Some(false));
        now += ALONE;
        assert_eq!(lone.verify(&[good, good], true, now), None, "a batch is the pool's");
        now += ALONE;
        assert_eq!(lone.verify(&[good], false, now), None, "something else waits for the loop");
    }
}
