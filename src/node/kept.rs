//! What the store has told, on its way to the engine.

use super::actor::Actor;
use super::keeper::Told;
use crate::protocol::{Event, Input};

impl Actor {
    /// The store has told something.
    pub(super) fn on_kept(&mut self) {
        let told = self.keeper.told();
        self.on_told(told);
    }

    pub(super) fn on_told(&mut self, told: Vec<Told>) {
        for told in told {
            match told {
                Told::Store { answer, .. } => {
                    // First: who is answered because of it reads its own writes.
                    self.tell_views(&answer);
                    self.handle(Input::Store(answer));
                }
                Told::Recorded { until_ms, result } => self.recorded_by_store(until_ms, result),
            }
        }
    }

    /// Those who read the past are told whose words they read.
    pub(super) fn note_conviction(&self, event: &Event) {
        if let Event::Convicted { evidence } = event {
            let engine = &self.parts.engine;
            let remembered = || engine.convicted().into_iter().map(|(author, _)| author).collect();
            self.convicted.insert(evidence.author(), remembered);
        }
    }
}
