//! The queue of the verifier pool.

use loom::sync::mpsc;
use loom::thread::{self, JoinHandle};

use crate::jobs::Jobs;
use crate::model;

/// A thread that takes jobs to the end, or at most `most`, and then says which.
fn take(jobs: &Jobs<u32>, most: usize) -> JoinHandle<Vec<u32>> {
    let taker = jobs.taker();
    thread::spawn(move || taker.take(most).collect())
}

fn sorted(takers: impl IntoIterator<Item = JoinHandle<Vec<u32>>>) -> Vec<u32> {
    let mut all: Vec<_> = takers.into_iter().flat_map(|taker| taker.join().unwrap()).collect();
    all.sort_unstable();
    all
}

#[test]
fn each_job_is_taken_once_and_all_takers_end() {
    model(|| {
        let jobs = Jobs::new();
        let takers = [take(&jobs, usize::MAX), take(&jobs, usize::MAX)];
        for job in 0..3 {
            jobs.give(job);
        }
        drop(jobs);
        assert_eq!(sorted(takers), [0, 1, 2]);
    });
}

#[test]
fn several_give_and_the_last_to_go_ends_it() {
    model(|| {
        let jobs = Jobs::new();
        let taker = take(&jobs, usize::MAX);
        let other = jobs.clone();
        let giver = thread::spawn(move || other.give(1));
        jobs.give(0);
        drop(jobs);
        assert_eq!(sorted([taker]), [0, 1]);
        giver.join().unwrap();
    });
}

#[test]
fn all_takers_that_wait_for_nothing_end() {
    model(|| {
        let jobs = Jobs::new();
        let takers = [take(&jobs, usize::MAX), take(&jobs, usize::MAX)];
        drop(jobs);
        assert_eq!(sorted(takers), []);
    });
}

#[test]
fn a_giver_that_waits_for_its_jobs_gets_them_done() {
    model(|| {
        let jobs = Jobs::new();
        let (done, answers) = mpsc::channel();
        let takers = [(); 2].map(|()| {
            let (taker, done) = (jobs.taker(), done.clone());
            thread::spawn(move || taker.for_each(|job: u32| done.send(job).unwrap()))
        });
        jobs.give(0);
        jobs.give(1);
        let answered = [answers.recv().unwrap(), answers.recv().unwrap()];
        assert_eq!(answered.iter().sum::<u32>(), 1);
        drop(jobs);
        takers.into_iter().for_each(|taker| taker.join().unwrap());
    });
}

/// As one whose thread dies of a job.
#[test]
fn a_taker_that_is_gone_holds_up_no_other() {
    model(|| {
        let jobs = Jobs::new();
        let takers = [take(&jobs, 1), take(&jobs, usize::MAX)];
        for job in 0..3 {
            jobs.give(job);
        }
        drop(jobs);
        assert_eq!(sorted(takers), [0, 1, 2]);
    });
}
