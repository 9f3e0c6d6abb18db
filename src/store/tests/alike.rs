//! Both stores give the same answers to the same calls.

use std::path::Path;

use super::state::any_cell;
use super::*;
use crate::protocol::keeping::{Cursor, Forget, Range};
use crate::rumor::{Evidence, Previous};
use crate::store::{MemoryStore, RedbStore};

/// Bundles of three authors, with forks, conflicts, and previous ones that nobody sealed.
fn pool(dice: &mut Dice, rules: &RuleSet) -> Vec<Arc<Bundle>> {
    let mut all = Vec::new();
    for author in 1..=3 {
        let (mut own, mut tick, mut slot) = (Vec::<Arc<Bundle>>::new(), 10, 0u16);
        for number in 0..40 {
            match dice.percent(50) {
                true => (tick, slot) = (tick + 1 + dice.below(2) as u64, dice.below(4) as u16),
                false => slot += 3 + dice.below(3) as u16,
            }
            // In three of a hundred cases over what was said before.
            let at = if dice.percent(3) && slot > 3 { at(tick, slot - 3) } else { at(tick, slot) };
            let prev = match dice.below(10) {
                0 => None,
                1 => invented(dice, Position { tick: at.tick - 1, slot: 50 }),
                2 if own.len() > 3 => previous(&own[own.len() - 1 - dice.below(3)]),
                3 => own.last().map(|last| Previous {
                    position: super::at(last.header().tick - 1, 9),
                    ..Previous::of(last)
                }),
                _ => own.last().and_then(|last| previous(last)),
            };
            let body = |dice: &mut Dice, body| match rules.kind().is_state() {
                true => any_cell(dice),
                false => format!("{number} {body} {author}"),
            };
            let bodies: Vec<_> = (0..1 + dice.below(3)).map(|number| body(dice, number)).collect();
            let bodies: Vec<_> = bodies.iter().map(String::as_str).collect();
            let prev = prev.filter(|prev| prev.position < at);
            own.push(bundle(rules, author, at, prev, &bodies));
        }
        all.append(&mut own);
    }
    all
}

fn disk(folder: &Path, incarnation: u64) -> RedbStore {
    RedbStore::open_as(folder.into(), incarnation).unwrap()
}

#[test]
fn memory_and_disk_answer_alike() {
    for seed in 0..12 {
        let dice = &mut Dice::new(seed);
        let state = Topic::named("state").state(1 + dice.below(9) as u32);
        let rules = [rules("one"), state.bind(NetworkId::of("stores")).unwrap()];
        let folder = tempfile::tempdir().unwrap();
        let (mut memory, mut redb) = (MemoryStore::new(1001), disk(folder.path(), 1001));
        let pools = [pool(dice, &rules[0]), pool(dice, &rules[1])];
        let (mut cursors, mut reopened) = (vec![Cursor::START, Cursor { incarnation: 99, sequence: 0 }], 0);
        for step in 0..150 {
            // Calls each, and compares what they say.
            macro_rules! both {
                ($store:ident => $call:expr) => {{
                    let $store = &mut memory;
                    let one = $call;
                    let $store = &mut redb;
                    let other = $call;
                    assert_eq!(format!("{one:?}"), format!("{other:?}"), "seed {seed}, step {step}");
                    one
                }};
            }
            let which = dice.below(2);
            let (topic, pool) = (rules[which].id(), &pools[which]);
            let mut any = || Arc::clone(&pool[dice.below(pool.len())]);
            let (one, other) = (any(), any());
            let (author, position) = (one.header().author, one.header().position());
            match if step < 2 { 99 } else { dice.below(23) } {
                0..=9 => {
                    let mut keeps: Vec<_> =
                        (0..1 + dice.below(12)).map(|_| live(&pool[dice.below(pool.len())])).collect();
                    for keep in &mut keeps {
                        keep.arrival =
                            [Arrival::Own, Arrival::Live, Arrival::Late { below: dice.percent(50) }]
                                [dice.below(3)];
                        keep.show = match dice.below(6) {
                            0 => Show::Held,
                            1 => Show::Rejected { by: dice.below(3) as u32 },
                            _ => Show::Now,
                        };
                    }
                    let record = dice.percent(20).then(|| (key(1), dice.next() % 1000));
                    let group = Group { keeps: &keeps, record, now_ms: step };
                    drop(both!(store => store.keep(&group)));
                }
                10 => drop(both!(store => store.release(&topic, &[(author, position)]))),
                11 => drop(both!(store => store.forget(&topic, Forget::Below(position.tick.min(20))))),
                12 if dice.percent(30) => drop(both!(store => store.forget(&topic, Forget::DownTo(3000)))),
                13 => drop(both!(store => store.forget(&topic, Forget::Held(author)))),
                14 if dice.percent(20) => drop(both!(store => store.forget(&topic, Forget::Author(author)))),
                15 => drop(both!(store => store.forget(&topic, Forget::Rotten(author, position)))),
                16 if dice.percent(5) => drop(both!(store => store.forget(&topic, Forget::Topic))),
                17 => {
                    if let Ok(holes) = both!(store => store.reader().unmet(&topic, None, 3)) {
                        let holes: Vec<_> = holes.into_iter().map(|hole| (hole, step)).collect();
                        drop(both!(store => store.rest(&topic, &holes)));
                    }
                }
                18 => {
                    if let Ok(evidence) = Evidence::new(*one.signed_header(), *other.signed_header()) {
                        drop(both!(store => store.remember(&evidence)));
                    }
                }
                19 if dice.percent(30) => {
                    reopened += 1;
                    memory = memory.reopened(2000 + step);
                    drop(redb);
                    redb = disk(folder.path(), 2000 + step);
                    drop(both!(store => store.start(&key(2))));
                }
                20 => drop(both!(store => store.check())),
                21 => {
                    let dead = Forget::Dead { killer_before: position.tick };
                    drop(both!(store => store.forget(&topic, dead)));
                }
                99 => drop(both!(store => store.open(&rules[step as usize], &ROOM))),
                _ => {
                    let keeping = Keeping { bytes: 2000 + dice.next() % 20_000, judged_by: Some(1), ..ROOM };
                    drop(both!(store => store.open(&rules[which], &keeping)));
                }
            }
            let after = cursors[dice.below(cursors.len())];
            let max = dice.below(2000);
            if let Ok(scan) = both!(store => store.reader().scan(&topic, after, max)) {
                cursors.push(scan.next);
            }
            if let Ok(live) = both!(store => store.reader().live(&topic, None, max)) {
                let last = live.items.last().map(|item| item.head);
                drop(both!(store => store.reader().live(&topic, last.as_ref(), max)));
            }
            let range = |of: &Bundle| Range {
                author: of.header().author,
                from: (of.header().tick, of.header().first_slot.into()),
                upto: other.header().position(),
            };
            drop(both!(store => store.reader().page(&topic, &[range(&one), range(&other)], max)));
            drop(both!(store => store.reader().history(&topic, &range(&one), max)));
            drop(both!(store => store.reader().find(&topic, &author, position)));
            drop(both!(store => store.reader().frontier(&topic, &author, 3)));
            let asked = [(author, position, one.id()), (author, position, other.id())];
            drop(both!(store => store.reader().held(&topic, &asked)));
            drop(both!(store => store.reader().unmet(&topic, None, 50)));
            let places: Vec<_> = (0..3).map(|author| (key(author), at(10 + step % 30, 4))).collect();
            drop(both!(store => store.reader().before(&topic, &places)));
            drop(both!(store => store.reader().size(&topic)));
        }
        let report = redb.check().unwrap();
        assert_eq!(report.count, 0, "seed {seed}: {report}");
        assert!(reopened > 0 || seed > 0, "it was never opened again");
    }
}
