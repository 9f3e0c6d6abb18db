//! What a store on a disk costs: append, page, scan, expiry, a commit of one, opening again after a kill; bytes written and on disk. And what
//! it costs that as many authors as there are bundles are over together.
//!
//! `cargo bench --bench store [-- BUNDLES [FOLDER]]`: 100 000 bundles of 480 B from 16 authors by default, in groups of 1 000. Bytes written
//! are what Linux counts for this process (`/proc/self/io`); elsewhere they read 0.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use vouchsafe::protocol::keeping::{Arrival, Cursor, Forget, Group, Keep, Keeping, Range, Show};
use vouchsafe::rumor::{Bundle, NetworkId, Position, Previous, RuleSet, Topic, seal_after};
use vouchsafe::store::{RedbStore, Store};
use vouchsafe::{PublicKey, SecretKey};

const AUTHORS: u8 = 16;
const GROUP: usize = 1000;

fn written() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    io.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.parse().ok()).unwrap_or(0)
}

fn rules() -> RuleSet {
    Topic::named("bench").bind(NetworkId::of("bench")).expect("rules")
}

fn open(folder: &PathBuf) -> RedbStore {
    let mut store = RedbStore::open(folder).expect("a store");
    let room = Keeping {
        bytes: u64::MAX,
        shared: u64::MAX,
        authors: u64::MAX,
        judged_by: None,
        recent_from: u64::MAX,
        latest: u64::MAX,
    };
    store.open(&rules(), &room).expect("a topic");
    store
}

/// Chains of the authors. One of each is signed and the rest carry its signature: a store verifies none.
struct Authors {
    keys: Vec<PublicKey>,
    first: Bundle,
    last: Vec<Option<Previous>>,
    said: u64,
}

impl Authors {
    fn new() -> Self {
        let secrets: Vec<_> = (0..AUTHORS).map(|seed| SecretKey::from_seed(&[seed; 32])).collect();
        let at = Position { tick: 0, slot: 0 };
        let body = Bytes::from(vec![b'x'; 258]);
        let first = seal_after(&secrets[0], rules().id(), None, at, &[body]).expect("a bundle");
        let keys = secrets.iter().map(SecretKey::public).collect();
        Self { keys, first, last: vec![None; usize::from(AUTHORS)], said: 0 }
    }

    fn next(&mut self) -> Keep {
        let author = (self.said % u64::from(AUTHORS)) as usize;
        let mut signed = *self.first.signed_header();
        let header = &mut signed.header;
        (header.author, header.prev) = (self.keys[author], self.last[author]);
        (header.tick, header.first_slot) =
            (1_000_000 + self.said / 1024, (self.said / u64::from(AUTHORS) % 64) as u16);
        let mut encoded = signed.encode().to_vec();
        encoded.extend_from_slice(&self.first.encoded()[encoded.len()..]);
        let bundle = Bundle::decode(encoded.into()).expect("a bundle");
        self.last[author] = Some(Previous::of(&bundle));
        self.said += 1;
        Keep { bundle: Arc::new(bundle), arrival: Arrival::Live, show: Show::Now }
    }

    fn group(&mut self, count: usize) -> Vec<Keep> {
        (0..count).map(|_| self.next()).collect()
    }
}

fn line(what: &str, count: u64, took: Duration, from: u64) {
    let each = took.as_secs_f64() * 1e6 / count.max(1) as f64;
    println!(
        "{what:<28} {count:>9} {each:>10.1} us each {:>9.1} MB written",
        (written() - from) as f64 / 1e6
    );
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let bundles: usize =
        arguments.next().map_or(100_000, |count| count.parse().expect("a number of bundles"));
    let temporary = tempfile::tempdir().expect("a folder");
    let folder = arguments.next().map_or_else(|| temporary.path().join("store"), PathBuf::from);
    let mut authors = Authors::new();
    let mut store = open(&folder);
    let topic = rules().id();

    let (mut took, from, mut raw, mut slowest) = (Duration::ZERO, written(), 0u64, Duration::ZERO);
    for _ in 0..bundles / GROUP {
        let keeps = authors.group(GROUP);
        raw += keeps.iter().map(|keep| keep.bundle.encoded().len() as u64).sum::<u64>();
        let begun = Instant::now();
        store.keep(&Group { keeps: &keeps, ..Group::default() }).expect("kept");
        took += begun.elapsed();
        slowest = slowest.max(begun.elapsed());
    }
    line("append, groups of 1000", bundles as u64, took, from);
    let on_disk = std::fs::metadata(folder.join("store.redb")).expect("a file").len();
    let ratio = |bytes: u64| bytes as f64 / raw as f64;
    println!(
        "store_writes: {:.1} MB of bundles, {:.2} times written, {:.2} times on disk, slowest commit {slowest:.0?}",
        raw as f64 / 1e6,
        ratio(written() - from),
        ratio(on_disk)
    );

    let (reader, mut ranges) = (store.reader(), Vec::new());
    for author in &authors.keys {
        ranges.push(Range { author: *author, from: (0, 0), upto: Position { tick: u64::MAX, slot: 0 } });
    }
    let (from, begun, mut read) = (written(), Instant::now(), 0u64);
    for range in ranges {
        let mut range = range;
        loop {
            let page = reader.page(&topic, &[range], 256 << 10).expect("a page");
            read += page.bundles.len() as u64;
            range.from = page.next[0];
            if page.bundles.is_empty() || range.from > (range.upto.tick, 0) {
                break;
            }
        }
    }
    line("page, 256 KiB", read, begun.elapsed(), from);

    let (from, begun, mut read, mut cursor) = (written(), Instant::now(), 0u64, Cursor::START);
    loop {
        let scan = reader.scan(&topic, cursor, 256 << 10).expect("a scan");
        read += scan.items.len() as u64;
        cursor = scan.next;
        if !scan.more {
            break;
        }
    }
    line("scan, 256 KiB", read, begun.elapsed(), from);

    let (from, mut took) = (written(), Duration::ZERO);
    for _ in 0..100 {
        let keeps = authors.group(1);
        let begun = Instant::now();
        store.keep(&Group { keeps: &keeps, ..Group::default() }).expect("kept");
        took += begun.elapsed();
    }
    line("commit of 1", 100, took, from);

    // The file as a kill leaves it: copied while it is open.
    let killed = temporary.path().join("killed");
    std::fs::create_dir(&killed).expect("a folder");
    for name in ["store.redb", "store.lock"] {
        std::fs::copy(folder.join(name), killed.join(name)).expect("a copy");
    }
    let (from, begun) = (written(), Instant::now());
    drop(open(&killed));
    line("open after a kill", 1, begun.elapsed(), from);

    let begun = Instant::now();
    let report = store.check().expect("a report");
    assert_eq!(report.count, 0, "{report}");
    line("check", report.topics[0].size.bundles, begun.elapsed(), written());

    let (from, begun, mut calls, mut slowest) = (written(), Instant::now(), 0u64, Duration::ZERO);
    loop {
        let call = Instant::now();
        let more = store.forget(&topic, Forget::Below(u64::MAX)).expect("forgotten");
        (calls, slowest) = (calls + 1, slowest.max(call.elapsed()));
        if !more {
            break;
        }
    }
    line("expiry", bundles as u64, begun.elapsed(), from);
    println!("expiry: {calls} calls, the slowest {slowest:.0?}");
    drop(store);
    many_authors(&mut authors, bundles, &temporary.path().join("many"));
}

/// Each bundle is of an author of its own, and all are over at once.
fn many_authors(authors: &mut Authors, count: usize, folder: &PathBuf) {
    let mut store = open(folder);
    let (from, mut took, mut slowest) = (written(), Duration::ZERO, Duration::ZERO);
    for group in 0..count / GROUP {
        let one = |number: usize| {
            let number = (group * GROUP + number) as u64;
            // No store verifies a key: any 32 bytes will do.
            authors.keys[0] = PublicKey::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes());
            (authors.last[0], authors.said) = (None, u64::from(AUTHORS) * 1_000_000);
            authors.next()
        };
        let keeps: Vec<_> = (0..GROUP).map(one).collect();
        let begun = Instant::now();
        store.keep(&Group { keeps: &keeps, ..Group::default() }).expect("kept");
        took += begun.elapsed();
        slowest = slowest.max(begun.elapsed());
    }
    line("append, an author each", count as u64, took, from);
    println!("append, an author each: slowest commit {slowest:.0?}");
    let (from, begun, mut calls) = (written(), Instant::now(), 0u64);
    let (mut slowest, mut most, mut more) = (Duration::ZERO, 0, true);
    while more {
        let (call, before) = (Instant::now(), written());
        more = store.forget(&rules().id(), Forget::Below(u64::MAX)).expect("forgotten");
        slowest = slowest.max(call.elapsed());
        (calls, most) = (calls + 1, most.max(written() - before));
    }
    line("expiry, an author each", count as u64, begun.elapsed(), from);
    println!(
        "expiry, an author each: {calls} calls, the slowest {slowest:.0?}, at most {:.2} MB",
        most as f64 / 1e6
    );
}
