//! A job of the engine, done: the same for the driver of a node, the simulator and tests.

use super::{Reader, Store, StoreError};
use crate::protocol::keeping::{
    Forgotten, Found, Group, Kept, LaterThan, Query, Range, StoreAnswer, StoreJob, StoreTrouble,
};
use crate::rumor::{Position, TopicId};

impl From<&StoreError> for StoreTrouble {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::NoRoom(_) => Self::NoRoom,
            StoreError::NotOpen => Self::NotOpen,
            StoreError::Damaged(_) | StoreError::Closed => Self::Damaged,
            other => Self::Io(other.to_string()),
        }
    }
}

/// Does one job, and gives the answer, where the job has one. A driver that commits several bundles together, or that reads from
/// threads of their own, does those jobs itself.
pub fn serve(store: &mut dyn Store, job: StoreJob, now_ms: u64) -> Option<StoreAnswer> {
    match job {
        StoreJob::Open { rules, keeping } => {
            let opened = store.open(&rules, &keeping).map(Box::new).map_err(|error| (&error).into());
            Some(StoreAnswer::Opened { topic: rules.id(), opened })
        }
        StoreJob::Keep { keep, .. } => {
            let group = Group { keeps: std::slice::from_ref(&keep), record: None, now_ms };
            let kept = match store.keep(&group) {
                Ok(kept) => Ok(kept.into_iter().next().unwrap_or(Kept::NotOpen)),
                Err(error) => Err((&error).into()),
            };
            Some(StoreAnswer::Kept { keep, kept })
        }
        // What can't be shown, or rested, is looked at again when the store is opened next, or asked for once more.
        StoreJob::Release { topic, at } => {
            let _ = store.release(&topic, &at);
            None
        }
        StoreJob::Rest { topic, holes } => {
            let _ = store.rest(&topic, &holes);
            None
        }
        StoreJob::Remember(evidence) => {
            let _ = store.remember(&evidence);
            None
        }
        StoreJob::Forget { topic, what } => {
            let left = store.forget(&topic, what).and_then(|more| left(&*store.reader(), &topic, more));
            Some(StoreAnswer::Forgot { topic, what, left: left.map_err(|error| (&error).into()) })
        }
        StoreJob::Look { look, query } => {
            let found = self::look(&*store.reader(), query).map_err(|error| (&error).into());
            Some(StoreAnswer::Looked { look, found })
        }
    }
}

/// What is left of a topic after a step of removing.
///
/// # Errors
/// Of the disk.
pub fn left(reader: &dyn Reader, topic: &TopicId, more: bool) -> Result<Forgotten, StoreError> {
    Ok(Forgotten { more, floor: reader.page(topic, &[], 0)?.floor, size: reader.size(topic)? })
}

/// Whether something is held of an author in a stretch: a page of no bytes has one bundle, if there is any.
fn later(reader: &dyn Reader, topic: &TopicId, at: &LaterThan) -> Result<bool, StoreError> {
    let Some(last) = at.before.checked_sub(1) else { return Ok(false) };
    let from = (at.position.tick, u32::from(at.position.slot).saturating_add(1));
    let upto = Position { tick: last, slot: u16::MAX };
    let page = reader.page(topic, &[Range { author: at.author, from, upto }], 0)?;
    Ok(!page.bundles.is_empty())
}

/// Answers a question.
///
/// # Errors
/// Of the disk, and for a topic that was never opened.
pub fn look(reader: &dyn Reader, query: Query) -> Result<Found, StoreError> {
    Ok(match query {
        Query::Held { topic, at } => Found::Held(reader.held(&topic, &at)?),
        Query::Page { topic, ranges, max_bytes } => Found::Page(reader.page(&topic, &ranges, max_bytes)?),
        Query::Later { topic, at } => {
            Found::Later(at.iter().map(|at| later(reader, &topic, at)).collect::<Result<_, _>>()?)
        }
        Query::Before { topic, at } => Found::Before(reader.before(&topic, &at)?),
        Query::Live { topic, after, max_bytes } => {
            Found::Live(reader.live(&topic, after.as_ref(), max_bytes)?)
        }
        Query::Over { joined, now_ms } => Found::Over(reader.over(&joined, now_ms)?),
        Query::Unmet { topic, after, count } => Found::Unmet(reader.unmet(&topic, after.as_ref(), count)?),
    })
}
