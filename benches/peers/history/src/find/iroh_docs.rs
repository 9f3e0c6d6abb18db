//! iroh-docs: ranges of entries, each with a sum of their hashes, over the messages of its own protocol: encoded and framed as it does,
//! and without a network. An entry is its author's and its document's signature over a key, a hash, a length and a time. It comes in the
//! messages that find it; the contents that its hash names come as blobs, which is no part of this.

use std::time::Duration;

use ::iroh_docs::store::Store;
use ::iroh_docs::{
    Author, ContentStatus, Entry, NamespaceSecret, ProtocolMessage, Record, RecordIdentifier, SignedEntry,
    SyncOutcome,
};
use anyhow::ensure;

use super::{Cost, Found, Outcome};
use crate::items::{self, AUTHORS, BYTES, Difference};
use crate::process::cpu;

/// What its codec puts around a message: a length, and which one it is; with the first one, whose document.
const PREFIX: u64 = 5;
const DOCUMENT: u64 = 32;
const PEER: [u8; 32] = [9; 32];

fn entries(namespace: &NamespaceSecret, count: usize) -> anyhow::Result<Vec<SignedEntry>> {
    let authors: Vec<_> = (0..AUTHORS).map(|author| Author::from_bytes(&[author as u8 + 1; 32])).collect();
    let first = super::ours::first_second(count)?;
    let entry = |item: items::Item| {
        let author = &authors[item.author];
        let id = RecordIdentifier::new(namespace.id(), author.id(), (item.number as u64).to_be_bytes());
        let hash = blake3::hash(item.body().as_bytes());
        let (second, within) = item.when();
        // Microseconds.
        let time = (first + second) * 1_000_000 + u64::from(within);
        let record = Record::new((*hash.as_bytes()).into(), BYTES as u64, time);
        SignedEntry::from_entry(Entry::new(id, record), namespace, author)
    };
    Ok(items::all(count).map(entry).collect())
}

struct Side {
    store: Store,
    /// Keeps its file.
    _folder: Option<tempfile::TempDir>,
}

impl Side {
    async fn new<'a>(
        namespace: &NamespaceSecret,
        in_folder: bool,
        entries: impl Iterator<Item = &'a SignedEntry>,
    ) -> anyhow::Result<Self> {
        let folder = in_folder.then(tempfile::tempdir).transpose()?;
        let mut store = match &folder {
            Some(folder) => Store::persistent(folder.path().join("docs.redb"))?,
            None => Store::memory(),
        };
        let mut replica = store.new_replica(namespace.clone())?;
        for entry in entries {
            replica.insert_remote_entry(entry.clone(), PEER, ContentStatus::Complete).await?;
        }
        store.close_replica(namespace.id());
        store.flush()?;
        Ok(Self { store, _folder: folder })
    }

    fn len(&mut self, namespace: &NamespaceSecret) -> anyhow::Result<usize> {
        Ok(self.store.get_many(namespace.id(), ::iroh_docs::store::Query::all())?.count())
    }
}

async fn compare(difference: Difference, count: usize, in_folder: bool) -> Outcome {
    let namespace = NamespaceSecret::from_bytes(&[7; 32]);
    let entries = entries(&namespace, count)?;
    let some = items::all(count).zip(&entries).filter(|(item, _)| !difference.lacks(item, count));
    let mut lacking = Side::new(&namespace, in_folder, some.map(|(_, entry)| entry)).await?;
    let mut whole = Side::new(&namespace, in_folder, entries.iter()).await?;
    let (mut cost, before) = (Cost::default(), cpu());
    let mut outcomes = [SyncOutcome::default(), SyncOutcome::default()];
    {
        let (mut asker, mut answerer) =
            (lacking.store.open_replica(&namespace.id())?, whole.store.open_replica(&namespace.id())?);
        let mut question = Some(postcard::to_allocvec(&asker.sync_initial_message()?)?);
        cost.up += DOCUMENT;
        while let Some(asked) = question {
            cost.up += PREFIX + asked.len() as u64;
            cost.rounds += 1;
            let asked: ProtocolMessage = postcard::from_bytes(&asked)?;
            let answer = answerer.sync_process_message(asked, PEER, &mut outcomes[0]).await?;
            let Some(answer) = answer else { break };
            let answer = postcard::to_allocvec(&answer)?;
            cost.down += PREFIX + answer.len() as u64;
            let answer: ProtocolMessage = postcard::from_bytes(&answer)?;
            let next = asker.sync_process_message(answer, PEER, &mut outcomes[1]).await?;
            question = next.as_ref().map(postcard::to_allocvec).transpose()?;
        }
    }
    // It commits half a second after the first change, at the latest.
    lacking.store.flush()?;
    whole.store.flush()?;
    cost.cpu = cpu().saturating_sub(before).max(Duration::from_nanos(1));
    ensure!(lacking.len(&namespace)? == count, "{} of {count} entries have come", lacking.len(&namespace)?);
    Ok(Some(Found { known: cost, come: None }))
}

pub(super) fn run(difference: Difference, count: usize, in_folder: bool) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(compare(difference, count, in_folder))
}
