//! One dialler among a thousand members, a third of whom lie: what they gain by the keys that they make and the addresses that they list.

use super::*;

/// A member, where it says that it is.
struct Listed {
    key: PublicKey,
    addrs: Vec<u16>,
    lies: bool,
}

/// Nobody is at addresses before this one. At this one and those after it are the honest members.
const HONEST_FROM: u16 = 100;
/// Liars who are who they say that they are, are at addresses from here on.
const LIARS_FROM: u16 = 2_000;

/// A dialler and those it may dial. Liars have places for everybody, and so have honest members, unless liars hold all places that are
/// not kept.
struct Crowd {
    config: Config,
    saturated: bool,
    dialler: Dialler<u16>,
    now: Mono,
    all: Vec<Listed>,
    links: BTreeMap<LinkId, PublicKey>,
    next_link: u64,
    /// When an address was dialled that is not its lister's, and which.
    aimed: Vec<(Duration, u16)>,
    sight: Sight,
}

impl Crowd {
    /// Honest members, and then liars with these keys who list these addresses (none: their own).
    fn new(seed: u8, honest: usize, liars: &[PublicKey], listed: &[u16]) -> Self {
        let mut config = wanting(12);
        (config.dialling.feelers, config.expected_nodes) = (0, 1_000);
        let mut crowd = Self {
            dialler: Dialler::new(OWN, NETWORK, &config, &[seed; 32]),
            config,
            saturated: listed.is_empty(),
            now: Mono::default(),
            all: Vec::new(),
            links: BTreeMap::new(),
            next_link: 0,
            aimed: Vec::new(),
            sight: Sight::default(),
        };
        for (addr, number) in (HONEST_FROM..).zip(0..honest) {
            let name = blake3::hash(&[&[seed][..], &number.to_le_bytes()].concat());
            let key = PublicKey::from_bytes(*name.as_bytes());
            crowd.all.push(Listed { key, addrs: vec![addr], lies: false });
        }
        for (addr, key) in (LIARS_FROM..).zip(liars) {
            let addrs = if listed.is_empty() { vec![addr] } else { listed.to_vec() };
            crowd.all.push(Listed { key: *key, addrs, lies: true });
        }
        for member in &crowd.all {
            for addr in &member.addrs {
                let _ = crowd.dialler.suggest(crowd.now, member.key, *addr, Origin::Found);
            }
        }
        crowd
    }

    fn time(&self) -> Now {
        Now { mono: self.now, unix_ms: BEGINS_S * 1_000 + self.now.as_nanos() / 1_000_000 }
    }

    fn elapsed(&self) -> Duration {
        self.now.since(Mono::default())
    }

    fn member(&self, key: &PublicKey) -> &Listed {
        self.all.iter().find(|member| member.key == *key).unwrap()
    }

    fn poll(&mut self) {
        while let Some(order) = self.dialler.poll(self.time(), &self.sight) {
            match order {
                Order::Dial { peer, addr } => self.dialled(peer, addr),
                Order::HangUp { link } => {
                    self.links.remove(&link).unwrap();
                    let lived = Some(Duration::from_secs(3_600));
                    self.dialler.link_down(self.now, link, lived, Ending::Closed, &"hung up");
                }
                Order::KeepAnchors { .. } | Order::Refused { .. } => unreachable!("nobody asked for it"),
            }
        }
    }

    fn dialled(&mut self, peer: PublicKey, addr: u16) {
        let lies = self.member(&peer).lies;
        if lies && addr < LIARS_FROM {
            self.aimed.push((self.elapsed(), addr));
            let there = addr.checked_sub(HONEST_FROM).map(|at| self.all[usize::from(at)].key);
            let how = there.map_or(Ending::Silent, Ending::WrongKey);
            self.dialler.failed(self.now, &peer, how, &"not who was asked for");
            return;
        }
        let unix_s = self.time().unix_ms / 1_000;
        let has_place =
            lies || !self.saturated || self.config.is_hash_selected(&NETWORK, &OWN, &peer, unix_s);
        if !has_place {
            self.dialler.failed(self.now, &peer, Ending::Closed, &"full");
            return;
        }
        self.next_link += 1;
        let link = LinkId(self.next_link);
        if self.dialler.connected(self.now, &peer, link) {
            self.links.insert(link, peer);
        }
    }

    /// Lets time pass as a driver does.
    fn pass(&mut self, time: Duration) {
        let until = self.now.plus(time);
        self.poll();
        while let Some(due) = self.dialler.next_deadline().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.poll();
        }
        self.now = until;
        self.poll();
    }

    fn liars_linked(&self) -> usize {
        self.links.values().filter(|peer| self.member(peer).lies).count()
    }
}

const BEGINS_S: u64 = 1_700_000_000;

/// Keys by number, until there are so many of which `is_good` holds.
fn grind(count: usize, is_good: impl Fn(&PublicKey) -> bool) -> Vec<PublicKey> {
    let keys = (0u64..).map(|number| PublicKey::from_bytes(*blake3::hash(&number.to_be_bytes()).as_bytes()));
    keys.filter(is_good).take(count).collect()
}

/// What part of some victims' links leads to liars after so many hours, if so many of a thousand keys were ground for each victim.
fn ground_share(liars: usize, hours: &[u64]) -> Vec<f64> {
    const VICTIMS: u8 = 4;
    let mut config = wanting(12);
    config.expected_nodes = 1_000;
    let ground = grind(liars, |key| config.is_hash_selected(&NETWORK, &OWN, key, BEGINS_S));
    let mut sums = vec![(0, 0); hours.len()];
    for seed in 0..VICTIMS {
        let mut crowd = Crowd::new(seed, 1_000 - liars, &ground, &[]);
        for (hour, (lying, all)) in hours.iter().zip(&mut sums) {
            let until = Duration::from_secs(hour * 3_600 + 600);
            crowd.pass(until.saturating_sub(crowd.elapsed()));
            *lying += crowd.liars_linked();
            *all += crowd.links.len();
        }
    }
    sums.into_iter().map(|(lying, all)| f64::from(lying as u32) / f64::from(all as u32)).collect()
}

#[test]
fn ground_keys_hold_their_victim_for_a_day_at_most() {
    for (liars, at_first) in [(330, 0.8), (50, 0.5)] {
        let f = liars as f64 / 1_000.0;
        let share = ground_share(liars, &[0, 6, 12, 18, 24, 26]);
        println!("{liars} of 1 000 keys ground: share of liars after 0, 6, 12, 18, 24, 26 h: {share:.2?}");
        // All that they have made is worth something on the first day,
        assert!(share[0] > at_first, "{share:?}");
        // and as much as any keys on the next. (Twelve links of six nodes: chance is worth as much as the 0.05 that are promised.)
        assert!(share[5] < f + 0.1, "{share:?}");
    }
}

/// Dials a second that a third of a thousand members can aim at the first of these addresses, which all of them list: in each of so many
/// periods of ten minutes. If they fail as members, after a minute, they are visited as well.
fn aimed_a_second(listed: &[u16], fails: bool, periods: u64) -> Vec<f64> {
    const NODES: u8 = 3;
    const LIARS: usize = 330;
    let mut counts = vec![0u32; periods as usize];
    for seed in 0..NODES {
        let keys = grind(LIARS, |_| true);
        let mut crowd = Crowd::new(seed, 1_000 - LIARS, &keys, listed);
        crowd.pass(Duration::from_secs(60));
        if fails {
            let now = crowd.now;
            keys.iter().for_each(|key| crowd.dialler.member_failed(now, key));
        }
        crowd.pass(Duration::from_secs(600 * periods - 60));
        assert_eq!(crowd.links.len(), 12, "whom they list stands in nobody's way");
        if let Some(at) = listed[0].checked_sub(HONEST_FROM) {
            let there = crowd.all[usize::from(at)].key;
            let rests = crowd.dialler.rests.address_until(&listed[0], &there, crowd.now);
            assert_eq!(rests, None, "who lives there may be dialled");
        }
        for (at, _) in crowd.aimed.iter().filter(|(_, addr)| *addr == listed[0]) {
            counts[at.as_secs() as usize / 600] += 1;
        }
    }
    // A thousand nodes dial like these.
    counts.into_iter().map(|count| f64::from(count) / f64::from(NODES) * 1_000.0 / 600.0).collect()
}

#[test]
fn liars_aim_few_dials_at_one_address() {
    for listed in [&[1][..], &[1, 2, 3], &[HONEST_FROM], &[HONEST_FROM, HONEST_FROM + 1, HONEST_FROM + 2]] {
        for fails in [false, true] {
            let rates = aimed_a_second(listed, fails, 12);
            println!("listed {listed:?}, fail: {fails}: dials/s in periods of ten minutes {rates:.2?}");
            // One dial of each node in ten minutes, and half as many each time.
            assert!(rates.iter().all(|rate| *rate <= 2.0), "{rates:.2?}");
            let early: f64 = rates[..4].iter().sum();
            let late: f64 = rates[8..].iter().sum();
            assert!(early > 0.0 && late <= early / 2.0, "{rates:.2?}");
        }
    }
}

/// Where each honest member has a network group of its own, and all liars are in three.
fn own_groups(addr: &u16) -> Option<crate::protocol::NetGroup> {
    let [high, low] = addr.to_be_bytes();
    let group = if *addr < LIARS_FROM { [1, high, low] } else { [2, (addr % 3) as u8, 0] };
    Some(crate::protocol::NetGroup::V4(group))
}

/// Where all honest members share one, and each liar has one of its own.
fn one_group(addr: &u16) -> Option<crate::protocol::NetGroup> {
    let [high, low] = addr.to_be_bytes();
    let group = if *addr < LIARS_FROM { [1, 0, 0] } else { [2, high, low] };
    Some(crate::protocol::NetGroup::V4(group))
}

/// No occupant of the upper half of the slots is in a group that has two others.
fn assert_upper_half_is_not_crowded(dialler: &Dialler<u16>) {
    for linked in dialler.links.values() {
        let Some(slot) = linked.slot.filter(|slot| *slot >= 6) else { continue };
        assert!(!dialler.groups_beside(slot).is_crowded(linked.addr.as_ref()), "{linked:?}");
    }
}

#[test]
fn keys_in_three_network_groups_do_not_hold_all_links_however_many_they_are() {
    let keys = grind(4_096, |_| true);
    let mut sums = [0, 0];
    for (counts, sum) in [true, false].into_iter().zip(&mut sums) {
        for seed in 0..4 {
            let mut crowd = Crowd::new(seed, 100, &keys, &[]);
            crowd.saturated = false;
            if counts {
                crowd.dialler.count_groups(own_groups);
            }
            crowd.pass(Duration::from_secs(1_800));
            assert_eq!(crowd.links.len(), 12);
            *sum += crowd.liars_linked();
            if counts {
                assert_upper_half_is_not_crowded(&crowd.dialler);
            }
        }
        println!("groups count: {counts}; {sum} of 48 links lead to liars");
    }
    // Six of twelve links by keys, and in the others two of each of their groups at the most, less where it has some of the six.
    assert!(sums[0] <= 4 * 8 && sums[1] >= 4 * 11, "{sums:?}");
}

#[test]
fn addresses_in_many_groups_hold_half_of_the_links_of_a_network_in_one() {
    // (Of 120 members: of twelve links two are their share.)
    let mut crowd = Crowd::new(3, 100, &grind(20, |_| true), &[]);
    crowd.saturated = false;
    crowd.dialler.count_groups(one_group);
    crowd.pass(Duration::from_secs(1_800));
    let liars = crowd.liars_linked();
    println!("{liars} of {} links lead to liars", crowd.links.len());
    assert_eq!(crowd.links.len(), 12);
    assert!((5..=8).contains(&liars), "{liars}");
}

#[test]
fn addresses_that_are_only_listed_cost_nobody_a_link() {
    // A thousand keys list unused addresses in groups of their own; honest members share one group.
    let mut crowd = Crowd::new(4, 100, &grind(500, |_| true), &[1]);
    fn of(addr: &u16) -> Option<crate::protocol::NetGroup> {
        let [high, low] = addr.to_be_bytes();
        Some(crate::protocol::NetGroup::V4(if *addr >= HONEST_FROM { [1, 0, 0] } else { [3, high, low] }))
    }
    crowd.dialler.count_groups(of);
    crowd.pass(Duration::from_secs(60));
    let before = crowd.links.len();
    let mut least = before;
    for _ in 0..120 {
        crowd.pass(Duration::from_secs(10));
        least = least.min(crowd.links.len());
    }
    assert_eq!((before, least, crowd.liars_linked()), (12, 12, 0));
}

#[test]
fn occupants_of_a_crowded_group_give_way_to_others_once_a_minute() {
    // Those who are there come before those who come later by all but their groups.
    let mut config = wanting(12);
    config.expected_nodes = 1_000;
    let comes_first = |key: &PublicKey| config.is_hash_selected(&NETWORK, &OWN, key, BEGINS_S);
    for seed in 0..4 {
        let mut crowd = Crowd::new(seed, 0, &grind(40, comes_first), &[]);
        crowd.dialler.count_groups(own_groups);
        crowd.pass(Duration::from_secs(60));
        assert_eq!((crowd.links.len(), crowd.liars_linked()), (12, 12), "nobody else is there");
        // Others come.
        for (addr, key) in (HONEST_FROM..).zip(grind(20, |key| !comes_first(key))) {
            crowd.all.push(Listed { key, addrs: vec![addr], lies: false });
            crowd.dialler.suggest(crowd.now, key, addr, Origin::Found).unwrap();
        }
        crowd.saturated = false;
        let (mut gave_way, mut liars) = (Vec::new(), 12);
        for second in 0..1_800 {
            crowd.pass(Duration::from_secs(1));
            if crowd.liars_linked() < liars {
                gave_way.push(second);
            }
            liars = crowd.liars_linked();
        }
        assert!(gave_way.len() >= 3 && crowd.links.len() == 12, "{gave_way:?}");
        assert!(gave_way.windows(2).all(|pair| pair[1] - pair[0] >= 58), "{gave_way:?}");
        assert_upper_half_is_not_crowded(&crowd.dialler);
    }
}
