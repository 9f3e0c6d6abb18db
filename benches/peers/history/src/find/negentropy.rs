//! negentropy: ranges of ids, each with a sum of them, as messages without a transport. It finds ids; items are others' business.
//! Both sides have their ids in its own sorted vector before anything is measured.

use ::negentropy::{Id, Negentropy, NegentropyStorageVector};
use anyhow::ensure;

use super::{Cost, Found, Outcome, timed};
use crate::items::{self, Difference, Item};

fn id_of(item: &Item) -> Id {
    Id::from_byte_array(*blake3::hash(item.body().as_bytes()).as_bytes())
}

fn side(items: impl Iterator<Item = Item>) -> anyhow::Result<NegentropyStorageVector> {
    let mut storage = NegentropyStorageVector::new();
    for item in items {
        storage.insert(item.when().0, id_of(&item))?;
    }
    storage.seal()?;
    Ok(storage)
}

pub(super) fn run(difference: Difference, count: usize) -> Outcome {
    let whole = side(items::all(count))?;
    let lacking = side(items::all(count).filter(|item| !difference.lacks(item, count)))?;
    let mut known = Cost::default();
    let (mut have, mut need) = (Vec::new(), Vec::new());
    // No limit on the length of a message: with one there are more round trips.
    let mut asker = Negentropy::borrowed(&lacking, 0)?;
    let mut answerer = Negentropy::borrowed(&whole, 0)?;
    let mut question = Some(timed(&mut known.cpu, || asker.initiate())?);
    while let Some(asked) = question {
        known.up += asked.len() as u64;
        known.rounds += 1;
        let answer = timed(&mut known.cpu, || answerer.reconcile(&asked))?;
        known.down += answer.len() as u64;
        question = timed(&mut known.cpu, || asker.reconcile_with_ids(&answer, &mut have, &mut need))?;
    }
    ensure!(have.is_empty() && need.len() == difference.len(count), "it has found {} ids", need.len());
    Ok(Some(Found { known, come: None }))
}
