//! A bar that tells how far a long run is and when it will end.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use vouchsafe::sim::Progress;

/// How finely the bar knows one run.
const FINE: u64 = 1_000;

pub struct Bar {
    bar: ProgressBar,
    done: u64,
}

impl Bar {
    /// For so many runs. On stderr, and only if it is a terminal.
    pub fn new(runs: usize, show: bool) -> Self {
        let target = if show { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(runs as u64 * FINE), target);
        let style = ProgressStyle::with_template("{elapsed:>4} {wide_bar} {percent:>3} %, {eta} left, {msg}");
        let bar = match style {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        };
        // So that the clock moves while a step takes long.
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, done: 0 }
    }

    pub fn begin(&self, what: String) {
        self.bar.set_message(what);
    }

    pub fn show(&self, progress: Progress) {
        self.part(progress.elapsed.as_secs_f64() / progress.expected.as_secs_f64().max(f64::MIN_POSITIVE));
    }

    /// How far the run is, 0 to 1.
    pub fn part(&self, part: f64) {
        self.bar.set_position(self.done * FINE + (part * FINE as f64).min(FINE as f64) as u64);
    }

    pub fn one_done(&mut self) {
        self.done += 1;
        self.bar.set_position(self.done * FINE);
    }

    /// Counts a run that need not be made, and that says nothing about how long the others take.
    pub fn one_kept(&mut self) {
        self.one_done();
        self.bar.reset_eta();
    }

    /// Does something on the terminal while the bar is out of the way.
    pub fn aside<T>(&self, what: impl FnOnce() -> T) -> T {
        self.bar.suspend(what)
    }

    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}
