//! Gaps without a world: who takes whose place, who is asked, who is struck.

use super::*;
use crate::protocol::check::Recount;
use crate::rumor::{BundleId, Position};
use crate::wire::Head;

fn now(millis: u64) -> Mono {
    Mono::from_nanos(1_000_000_000_000 + millis * 1_000_000)
}

fn key(author: u64) -> PublicKey {
    PublicKey::from_bytes(*blake3::hash(&author.to_le_bytes()).as_bytes())
}

fn missing(author: u64, tick: u64) -> Missing {
    let id = BundleId::from_bytes(*blake3::hash(&(author * 1_000_000 + tick).to_be_bytes()).as_bytes());
    Missing::of_head(&Head { tick, slot: 3, author: key(author), id })
}

fn hole(author: u64, tick: u64) -> Hole {
    let (author, position, id) = missing(author, tick).place();
    let namer = Position { tick: tick + 1, slot: 0 };
    Hole { author, position, id, namer, since_ms: 0, rests_until_ms: 0, below: false }
}

fn links(slots: &[u8]) -> LinkSet {
    let mut links = LinkSet::default();
    slots.iter().for_each(|slot| links.insert(Slot(*slot)));
    links
}

fn add(gaps: &mut Gaps, author: u64, tick: u64) -> bool {
    gaps.add_hole(hole(author, tick), now(0), false, now(0))
}

fn claim(gaps: &mut Gaps, author: u64, tick: u64, slot: u8) -> Claimed {
    gaps.claim(missing(author, tick), Slot(slot), false, now(0))
}

impl Gaps {
    /// All that a link claims has come.
    fn forget_claims(&mut self, slot: u8) {
        for gap in self.gaps.keys().copied().collect::<Vec<_>>() {
            if self.gaps[&gap].claimed_by == links(&[slot]) {
                self.close(&gap, now(0));
            }
        }
    }
}

fn sound(gaps: &Gaps) {
    let mut recount = Recount::default();
    gaps.check(&mut recount);
    assert_eq!(recount.complaints(), Vec::<String>::new());
}

#[test]
fn holes_of_one_author_and_of_all_are_bounded() {
    for (listed, most) in [(false, HOLES_OF_AUTHOR), (true, HOLES_OF_LISTED)] {
        let mut gaps = Gaps::new(listed);
        let taken = (0..1_000).filter(|tick| add(&mut gaps, 1, *tick)).count();
        assert_eq!((taken, gaps.has_beyond()), (most, true));
        (2..2_000).for_each(|author| (0..9).for_each(|tick| _ = add(&mut gaps, author, tick)));
        assert_eq!(gaps.holes(), MAX_HOLES);
        sound(&gaps);
        // Links still have places for what they list.
        assert_eq!(claim(&mut gaps, 1, 5_000, 1), Claimed::New);
    }
}

#[test]
fn the_hole_that_failed_most_often_leaves_for_another_of_its_author() {
    let mut gaps = Gaps::new(false);
    (0..8).for_each(|tick| assert!(add(&mut gaps, 1, tick)));
    add(&mut gaps, 2, 0);
    for (tick, fails) in [(3, 2), (5, 1)] {
        for slot in 0..fails {
            gaps.asks(&missing(1, tick), Slot(slot), now(0));
            gaps.is_passed(&missing(1, tick), Slot(slot), false);
        }
    }
    assert!(add(&mut gaps, 1, 50) && add(&mut gaps, 1, 51) && !add(&mut gaps, 1, 52));
    assert!(!gaps.has(&missing(1, 3)) && !gaps.has(&missing(1, 5)) && gaps.has(&missing(1, 4)));
    assert!(gaps.has(&missing(2, 0)) && gaps.has_beyond());
    sound(&gaps);
}

#[test]
fn claims_take_places_of_their_teller_and_of_nobody_else() {
    let mut gaps = Gaps::new(false);
    for slot in 0..30 {
        let taken = (0..200).filter(|tick| claim(&mut gaps, u64::from(slot), *tick, slot) == Claimed::New);
        assert_eq!(taken.count(), MAX_CLAIMS, "link {slot}");
    }
    // An author of whom thirty links invent heads has all its holes all the same.
    assert!((1_000..1_008).all(|tick| add(&mut gaps, 1, tick)));
    sound(&gaps);
    gaps.forget_link(Slot(7));
    assert_eq!((gaps.claims_of(Slot(7)), gaps.len()), (0, 29 * MAX_CLAIMS + 8));
    assert_eq!(claim(&mut gaps, 1, 7_777, 41), Claimed::New);
    sound(&gaps);
}

#[test]
fn where_all_links_list_too_much_each_has_its_share() {
    let mut gaps = Gaps::new(false);
    for slot in 0..128u8 {
        (0..200).for_each(|tick| _ = claim(&mut gaps, u64::from(slot), tick, slot));
        sound(&gaps);
    }
    assert_eq!(gaps.len(), CLAIM_PLACES);
    let least = (0..128).map(|slot| gaps.claims_of(Slot(slot))).min().unwrap();
    assert!(least >= CLAIM_PLACES / 128 - 1, "{least}");
    // Who had to make room has listed something that is not asked for.
    (0..128).for_each(|slot| gaps.forget_claims(slot));
    assert!(!gaps.have_all_of(Slot(0)) && gaps.have_all_of(Slot(127)));
    (0..128u8).for_each(|slot| (0..200).for_each(|tick| _ = claim(&mut gaps, u64::from(slot), tick, slot)));
    // And holes have theirs.
    (1_000..2_000).for_each(|author| (0..9).for_each(|tick| _ = add(&mut gaps, author, tick)));
    assert_eq!(gaps.holes(), MAX_HOLES);
    sound(&gaps);
}

#[test]
fn what_several_links_list_is_one_gap_with_a_claim_of_each() {
    let mut gaps = Gaps::new(false);
    assert_eq!(claim(&mut gaps, 1, 9, 1), Claimed::New);
    assert_eq!([1, 2].map(|slot| claim(&mut gaps, 1, 9, slot)), [Claimed::Joined; 2]);
    assert_eq!((gaps.len(), gaps.claims_of(Slot(1)), gaps.claims_of(Slot(2))), (1, 1, 1));
    // Another slot, or another author under the same id, is another gap.
    let head = Head { tick: 9, slot: 4, author: key(1), id: missing(1, 9).id() };
    assert_eq!(gaps.claim(Missing::of_head(&head), Slot(1), false, now(0)), Claimed::New);
    // Named by a held bundle it takes no place of a link any more.
    assert!(add(&mut gaps, 1, 9));
    assert_eq!((gaps.holes(), gaps.claims_of(Slot(2))), (1, 0));
    sound(&gaps);
}

#[test]
fn a_claim_is_asked_of_its_tellers_and_a_hole_of_all() {
    let mut gaps = Gaps::new(false);
    claim(&mut gaps, 1, 9, 1);
    claim(&mut gaps, 1, 9, 2);
    add(&mut gaps, 2, 9);
    let keepers = links(&[1, 3, 4]);
    assert_eq!(gaps.candidates(&missing(1, 9), &keepers), links(&[1]));
    assert_eq!(gaps.candidates(&missing(2, 9), &keepers), keepers);
    gaps.asks(&missing(2, 9), Slot(3), now(0));
    assert_eq!(gaps.due(now(0)), [missing(1, 9)], "who is asked for it is waited for");
    gaps.is_passed(&missing(2, 9), Slot(3), false);
    assert_eq!(gaps.candidates(&missing(2, 9), &keepers), links(&[1, 4]));
    assert_eq!(gaps.settle(&missing(2, 9), &keepers), Fate::GoesOn);
}

#[test]
fn when_nobody_is_left_a_claim_is_forgotten_and_a_hole_rests() {
    let mut gaps = Gaps::new(false);
    claim(&mut gaps, 1, 9, 1);
    add(&mut gaps, 2, 9);
    for (gap, slots) in [(missing(1, 9), vec![1]), (missing(2, 9), vec![1, 2])] {
        for slot in slots {
            assert_eq!(gaps.settle(&gap, &links(&[1, 2])), Fate::GoesOn);
            gaps.asks(&gap, Slot(slot), now(0));
            assert_eq!(gaps.settle(&gap, &links(&[])), Fate::GoesOn, "it is being asked for");
            gaps.is_left(&gap, Slot(slot));
        }
    }
    assert!(!gaps.has_unasked_claims());
    assert!(!gaps.have_all_of(Slot(1)) && !gaps.have_all_of(Slot(2)));
    assert_eq!(gaps.settle(&missing(1, 9), &links(&[1, 2])), Fate::Forgotten);
    assert!(!gaps.have_all_of(Slot(2)), "there is a hole");
    assert_eq!(gaps.settle(&missing(2, 9), &links(&[1, 2])), Fate::Rests(hole(2, 9)));
    assert!(!gaps.have_all_of(Slot(1)) && gaps.have_all_of(Slot(2)), "what was forgotten has not come");
    gaps.asks_anew(Slot(1));
    assert!(gaps.have_all_of(Slot(1)));
    assert_eq!((gaps.len(), gaps.has_beyond()), (0, true));
    // What is older than all that links keep rests as well, and holds no place.
    add(&mut gaps, 3, 9);
    assert_eq!(gaps.settle(&missing(3, 9), &links(&[])), Fate::Rests(hole(3, 9)));
    sound(&gaps);
}

#[test]
fn who_passed_what_another_brings_is_struck_and_who_has_no_such_ticks_is_not() {
    let mut gaps = Gaps::new(false);
    let gap = missing(2, 9);
    add(&mut gaps, 2, 9);
    for (slot, excused) in [(1, false), (2, true)] {
        gaps.asks(&gap, Slot(slot), now(0));
        gaps.is_passed(&gap, Slot(slot), excused);
    }
    gaps.asks(&gap, Slot(3), now(0));
    gaps.is_left(&gap, Slot(3));
    gaps.asks(&gap, Slot(4), now(10_000));
    gaps.comes(&gap, Slot(4));
    // A page that is over says nothing about what came with it.
    gaps.is_passed(&gap, Slot(4), false);
    let closed = gaps.close(&gap, now(11_000)).unwrap();
    assert_eq!((closed.by(), closed.was_hole()), (Some(Slot(4)), true));
    assert_eq!(closed.struck(), links(&[1, 3]), "the slow one as well, since another was quick");
}

#[test]
fn who_was_slow_where_all_are_is_not_struck() {
    let mut gaps = Gaps::new(false);
    let gap = missing(2, 9);
    add(&mut gaps, 2, 9);
    gaps.asks(&gap, Slot(3), now(0));
    gaps.is_left(&gap, Slot(3));
    gaps.asks(&gap, Slot(4), now(2_000));
    gaps.comes(&gap, Slot(4));
    assert!(gaps.close(&gap, now(9_000)).unwrap().struck().is_empty());
    // What comes by itself strikes nobody.
    add(&mut gaps, 2, 9);
    gaps.asks(&gap, Slot(3), now(0));
    gaps.is_passed(&gap, Slot(3), false);
    assert!(gaps.close(&gap, now(1)).unwrap().struck().is_empty());
}

#[test]
fn what_came_and_is_not_kept_has_failed() {
    let mut gaps = Gaps::new(false);
    let gap = missing(1, 9);
    claim(&mut gaps, 1, 9, 1);
    gaps.asks(&gap, Slot(1), now(0));
    gaps.comes(&gap, Slot(1));
    assert!(gaps.due(now(0)).is_empty() && gaps.has_unasked_claims());
    gaps.is_not_kept(&gap, Slot(1), now(0));
    assert_eq!(gaps.settle(&gap, &links(&[1])), Fate::Forgotten);
    // A judge that had no time says nothing about the link.
    claim(&mut gaps, 1, 9, 1);
    gaps.asks(&gap, Slot(1), now(0));
    gaps.comes(&gap, Slot(1));
    gaps.is_put_off(&gap, now(60_000));
    assert_eq!(gaps.settle(&gap, &links(&[1])), Fate::GoesOn);
    assert_eq!((gaps.due(now(59_999)), gaps.next_due(now(0))), (vec![], Some(now(60_000))));
    assert_eq!(gaps.due(now(60_000)), [gap]);
}

/// Of two links that bring the same forged copy one is judged, and that is the copy that came first.
#[test]
fn what_is_not_kept_is_missing_again_whoever_else_has_sent_it() {
    let mut gaps = Gaps::new(false);
    let gap = missing(2, 9);
    add(&mut gaps, 2, 9);
    gaps.asks(&gap, Slot(1), now(0));
    gaps.is_left(&gap, Slot(1));
    gaps.asks(&gap, Slot(2), now(1_000));
    gaps.comes(&gap, Slot(2));
    gaps.comes(&gap, Slot(1));
    gaps.is_not_kept(&gap, Slot(2), now(2_000));
    assert_eq!(gaps.due(now(2_000)), [gap]);
    assert_eq!(gaps.candidates(&gap, &links(&[1, 2, 3])), links(&[3]));
}

#[test]
fn a_long_absence_is_one_range_and_stretches_do_not_overlap() {
    let mut gaps = Gaps::new(false);
    let held = Some(Position { tick: 50, slot: 7 });
    let mark = |tick, slot| Mark { tick, slot };
    claim(&mut gaps, 1, 900, 1);
    let from = |gaps: &Gaps, tick, slot, held| gaps.from(&missing(1, tick), Slot(slot), held, 20);
    assert_eq!(from(&gaps, 900, 1, held), mark(50, 8));
    assert_eq!(from(&gaps, 900, 1, None), mark(20, 0));
    // What the same link is asked for before it, and holes, end the stretch; another link's word does not.
    claim(&mut gaps, 1, 300, 2);
    assert_eq!(from(&gaps, 900, 1, held), mark(50, 8));
    claim(&mut gaps, 1, 300, 1);
    assert_eq!(from(&gaps, 900, 1, held), mark(300, 4));
    add(&mut gaps, 1, 600);
    assert_eq!(from(&gaps, 900, 1, held), mark(600, 4));
    assert_eq!(from(&gaps, 900, 3, held), mark(600, 4));
    // The position itself is inside, whatever we hold there.
    assert_eq!(from(&gaps, 900, 1, Some(Position { tick: 900, slot: 3 })), mark(900, 3));
    gaps.asks(&missing(1, 900), Slot(1), now(0));
    gaps.stands(&missing(1, 900), Slot(1), mark(800, 65_536));
    assert_eq!(from(&gaps, 900, 1, held), mark(800, 65_536));
    assert_eq!(gaps.due(now(0)).len(), 3, "it is asked on from there");
}

#[test]
fn what_may_have_been_added_to_the_past_comes_last_and_what_failed_comes_later() {
    let mut gaps = Gaps::new(false);
    gaps.claim(missing(1, 1), Slot(1), true, now(0));
    gaps.claim(missing(1, 2), Slot(1), false, now(5));
    gaps.claim(missing(1, 3), Slot(1), false, now(1));
    add(&mut gaps, 1, 4);
    add(&mut gaps, 1, 5);
    gaps.asks(&missing(1, 5), Slot(1), now(0));
    gaps.is_left(&missing(1, 5), Slot(1));
    assert_eq!(gaps.due(now(9)), [4, 3, 2, 5, 1].map(|tick| missing(1, tick)));
    assert!(gaps.is_below(&missing(1, 1)) && !gaps.is_below(&missing(1, 2)));
}

#[test]
fn what_is_over_and_what_the_convicted_said_is_not_missing() {
    let mut gaps = Gaps::new(false);
    for author in [1, 2] {
        add(&mut gaps, author, 5);
        claim(&mut gaps, author, 50, 1);
    }
    gaps.raise(6);
    assert_eq!((gaps.len(), gaps.holes(), gaps.claims_of(Slot(1))), (2, 0, 2));
    gaps.silence(&key(1));
    assert!(gaps.has(&missing(2, 50)));
    assert_eq!((gaps.len(), gaps.claims_of(Slot(1))), (1, 1));
    sound(&gaps);
}

#[test]
fn who_keeps_the_topic_no_more_is_not_asked_again_when_it_does() {
    let mut gaps = Gaps::new(false);
    claim(&mut gaps, 1, 9, 1);
    add(&mut gaps, 2, 9);
    add(&mut gaps, 2, 8);
    gaps.asks(&missing(2, 9), Slot(1), now(0));
    gaps.forget_keeper(Slot(1));
    assert_eq!((gaps.len(), gaps.claims_of(Slot(1))), (2, 0));
    assert_eq!(gaps.candidates(&missing(2, 9), &links(&[1, 2])), links(&[2]));
    assert_eq!(gaps.candidates(&missing(2, 8), &links(&[1, 2])), links(&[1, 2]), "it was not asked for that");
    assert_eq!(gaps.settle(&missing(2, 9), &links(&[1])), Fate::Rests(hole(2, 9)));
    sound(&gaps);
}

#[test]
fn a_link_that_is_gone_leaves_nothing_behind() {
    let mut gaps = Gaps::new(false);
    claim(&mut gaps, 1, 9, 1);
    claim(&mut gaps, 1, 9, 2);
    claim(&mut gaps, 1, 8, 1);
    add(&mut gaps, 2, 9);
    gaps.asks(&missing(1, 9), Slot(1), now(0));
    gaps.asks(&missing(2, 9), Slot(1), now(0));
    gaps.forget_link(Slot(1));
    assert_eq!(gaps.len(), 2);
    assert_eq!(gaps.due(now(0)), [missing(2, 9), missing(1, 9)]);
    // Whoever has its place next was asked for nothing.
    assert_eq!(gaps.candidates(&missing(2, 9), &links(&[1])), links(&[1]));
    sound(&gaps);
}
