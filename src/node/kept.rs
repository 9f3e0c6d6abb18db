//! What store and position log have told, on its way to the engine.

use super::actor::Actor;
use super::keeper::Told;
use super::message::Message;
use super::outside::Outside;
use crate::protocol::{Event, Input};
use crate::store::{PositionLog, PositionLogError};

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
                Told::Recorded { until_ms, result } => {
                    let answer = self.recording.by_store(until_ms, result);
                    answer.into_iter().for_each(|answer| self.handle(answer));
                }
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

    /// Has a record made of positions from `from_ms` to `until_ms`, wherever there is a disk to make it on.
    pub(super) fn record(&mut self, from_ms: u64, until_ms: u64) {
        let store = self.keeper.record(until_ms);
        let log = self.parts.position_log.clone().map(|position_log| {
            let (inbox, outside) = (self.parts.inbox_in.clone(), self.parts.outside.clone());
            tokio::task::spawn_blocking(move || {
                let result = record(&outside, &position_log, from_ms, until_ms);
                if let Some(inbox) = inbox.upgrade() {
                    // An error means that the node ends.
                    let _ = inbox.blocking_send(Message::Recorded { until_ms, result });
                }
            })
        });
        self.recording.begin(from_ms, until_ms, store, log);
    }

    /// The position log is written, or not.
    pub(super) fn recorded(&mut self, until_ms: u64, result: Result<(), PositionLogError>) {
        let answer = self.recording.by_log(until_ms, result.map_err(|error| error.to_string()));
        answer.into_iter().for_each(|answer| self.handle(answer));
    }
}

fn record(
    outside: &Outside,
    position_log: &PositionLog,
    from_ms: u64,
    until_ms: u64,
) -> Result<(), PositionLogError> {
    outside.before_record().map_err(|source| position_log.io(source))?;
    position_log.record(from_ms, until_ms)
}
