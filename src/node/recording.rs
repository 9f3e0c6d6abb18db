//! Records of used positions, before they are used: in the position log, in the store, or in both.
//!
//! Where there is a position log its answer counts, since the application has asked for it by name. The store is asked beside it, and is
//! waited for, but may fail: at the next start the later of both holds. Without a position log the store's answer counts.

use tokio::task::JoinHandle;

use crate::protocol::Input;

/// The record that is being made. The engine asks for one at a time.
#[derive(Default)]
pub(super) struct Recording {
    under_way: Option<UnderWay>,
    /// Writes the position log, or has written it.
    task: Option<JoinHandle<()>>,
}

struct UnderWay {
    from_ms: u64,
    until_ms: u64,
    log: Answer,
    store: Answer,
}

/// What one of the two has said.
enum Answer {
    /// It is not there.
    Absent,
    Waits,
    Is(Result<(), String>),
}

impl Recording {
    /// A record is asked of the store, if `store` says so, and of the position log, by this task.
    pub(super) fn begin(&mut self, from_ms: u64, until_ms: u64, store: bool, log: Option<JoinHandle<()>>) {
        let waits = |there| if there { Answer::Waits } else { Answer::Absent };
        let (store, by_log) = (waits(store), waits(log.is_some()));
        self.under_way = Some(UnderWay { from_ms, until_ms, log: by_log, store });
        if log.is_some() {
            self.task = log;
        }
    }

    /// The position log has answered. Gives the answer to the engine, once there is one.
    pub(super) fn by_log(&mut self, until_ms: u64, result: Result<(), String>) -> Option<Input> {
        self.of(until_ms)?.log = Answer::Is(result);
        self.answer()
    }

    /// The store has answered.
    pub(super) fn by_store(&mut self, until_ms: u64, result: Result<(), String>) -> Option<Input> {
        self.of(until_ms)?.store = Answer::Is(result);
        self.answer()
    }

    /// Waits until no more is written to the position log.
    pub(super) async fn end(&mut self) {
        if let Some(task) = self.task.take() {
            // An error means that the runtime goes down.
            let _ = task.await;
        }
    }

    fn answer(&mut self) -> Option<Input> {
        let under_way = self.under_way.take_if(|under_way| {
            !matches!(under_way.log, Answer::Waits) && !matches!(under_way.store, Answer::Waits)
        })?;
        let UnderWay { from_ms, until_ms, log, store } = under_way;
        let result = match (log, store) {
            (Answer::Is(result), _) | (_, Answer::Is(result)) => result,
            _ => return None,
        };
        Some(match result {
            Ok(()) => Input::Recorded { from_ms, until_ms },
            Err(why) => Input::RecordFailed { why },
        })
    }

    fn of(&mut self, until_ms: u64) -> Option<&mut UnderWay> {
        self.under_way.as_mut().filter(|under_way| under_way.until_ms == until_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(log: Answer, store: Answer) -> Option<Result<u64, String>> {
        let under_way = Some(UnderWay { from_ms: 1, until_ms: 9, log, store });
        match (Recording { under_way, task: None }).answer()? {
            Input::Recorded { from_ms: 1, until_ms } => Some(Ok(until_ms)),
            Input::RecordFailed { why } => Some(Err(why)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn both_are_waited_for_and_the_position_log_decides() {
        use Answer::{Absent, Is, Waits};
        let no = |why: &str| Is(Err(why.into()));
        assert_eq!(answer(Is(Ok(())), Waits), None, "the store might be the only one at the next start");
        assert_eq!(answer(Waits, Is(Ok(()))), None);
        assert_eq!(answer(Is(Ok(())), Is(Ok(()))), Some(Ok(9)));
        assert_eq!(answer(Is(Ok(())), no("full")), Some(Ok(9)), "a full store silences nobody who has a log");
        assert_eq!(answer(no("gone"), Is(Ok(()))), Some(Err("gone".into())));
        assert_eq!(answer(Absent, Is(Ok(()))), Some(Ok(9)));
        assert_eq!(answer(Absent, no("full")), Some(Err("full".into())));
        assert_eq!(answer(Is(Ok(())), Absent), Some(Ok(9)));
    }
}
