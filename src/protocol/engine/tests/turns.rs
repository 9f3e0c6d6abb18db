//! Whatever fills a line, nobody else's words stand still behind it: flows take turns; and
//! what one author has said stays in order.

use super::hostile::bundle;
use super::world::World;
use crate::protocol::Config;
use crate::rumor::{Authors, Topic};

/// A relay with a line of so many bytes a second publishes as fast as it may, while its neighbour says a word a second.
/// Gives how many of sixty words came out at the far end, and the slowest, in milliseconds.
fn words_through_a_busy_relay(bandwidth: u64) -> (usize, u64) {
    let mut world = World::new(41);
    let words = world.topic(&Topic::named("words"));
    let busy = world.topic(&Topic::named("busy").max_body(16_384));
    for _ in 0..3 {
        world.node_with(|spec| spec.config = Config::default());
    }
    world.connect(0, 1);
    let line = world.connect(1, 2);
    world.run(300);
    world.wires[line].bandwidth = bandwidth;
    let (mut said, mut asked) = (Vec::new(), 0);
    for second in 0..60 {
        let body = format!("word {second}");
        world.publish(0, &words, &body);
        said.push((body, world.millis()));
        for _ in 0..100 {
            while asked < world.nodes[1].published.len() + 16 {
                world.publish(1, &busy, [7; 12_000]);
                asked += 1;
            }
            world.run(10);
        }
    }
    world.run(3_000);
    let heard = |(body, said): &(String, u64)| {
        let word = world.nodes[2].delivered.iter().find(|rumor| rumor.body == body.as_bytes())?;
        Some(word.at / 1_000_000 - said)
    };
    let took: Vec<_> = said.iter().filter_map(heard).collect();
    println!(
        "{bandwidth} B/s: {} words, {:?} ms, {} bodies",
        took.len(),
        took.iter().max(),
        world.nodes[2].delivered.len()
    );
    (took.len(), took.into_iter().max().unwrap_or(u64::MAX))
}

#[test]
fn relayed_rumors_cross_a_line_that_the_relay_fills_with_its_own() {
    for bandwidth in [100_000, 250_000, 500_000] {
        let (words, slowest) = words_through_a_busy_relay(bandwidth);
        assert_eq!(words, 60, "{bandwidth} B/s");
        // What is with the transport goes first: 256 KiB at most.
        let line = 256 * 1024 * 1_000 / bandwidth;
        assert!(slowest < line + 500, "{bandwidth} B/s: {slowest} ms");
    }
}

/// A node that was away while an author said so many words catches up over so many links, all up at once. Gives what it heard.
fn catches_up(words: usize, links: usize) -> Vec<String> {
    let mut world = World::new(42);
    let rules = world.topic(&Topic::named("t").slots_per_tick(200));
    world.nodes(4);
    for other in 1..3 {
        world.connect(0, other);
    }
    world.run(300);
    for number in 0..words {
        world.publish(0, &rules, format!("{number:0>4}"));
        world.run(20);
    }
    world.run(2_000);
    for node in 0..links {
        world.connect(node, 3);
    }
    world.run(10_000);
    world.nodes[3].heard()
}

#[test]
fn rumors_of_one_author_are_caught_up_in_order() {
    // A few, more than a link is asked for at once, and more than one frame of announcements.
    for words in [30, 200, 600] {
        for links in [1, 2] {
            let heard = catches_up(words, links);
            assert_eq!(heard.len(), words, "{words} words over {links} links");
            let late = heard.windows(2).filter(|two| two[0] > two[1]).count();
            println!("{words} words over {links} links: {late} out of order");
            assert!(
                late == 0 || links > 1 && words > 64,
                "{words} words over {links} links: {late} out of order"
            );
        }
    }
}

#[test]
fn a_listed_topic_crosses_a_line_that_an_open_topic_floods() {
    // Given a relay, a reader, a line of 20 kB/s a lane, and in an open topic a thousand lone words a second, each under a new key.
    let mut world = World::new(43);
    let open = world.topic(&Topic::named("open"));
    let author = world.liar(1);
    let listed = world.topic(&Topic::named("listed").authors(Authors::Listed(vec![author.public()])));
    world.nodes(2);
    let line = world.connect(0, 1);
    let (flood, quiet) = (world.hostile(0), world.hostile(0));
    world.run(300);
    world.wires[line].bandwidth = 20_000;
    let (mut keys, mut said) = (1_000, Vec::new());
    for second in 0..30 {
        let body = format!("word {second}");
        let word = bundle(&author, &listed, world.tick(&listed), 0, &[&body]);
        world.pushes(quiet, &[&word]);
        said.push((body, world.millis()));
        for _ in 0..100 {
            let tick = world.tick(&open);
            let words: Vec<_> =
                (keys..keys + 10).map(|n| bundle(&world.liar(n), &open, tick, 0, &["lone"])).collect();
            keys += 10;
            world.pushes(flood, &words.iter().collect::<Vec<_>>());
            world.run(10);
        }
    }
    world.run(10_000);
    // Then all of the listed topic's words arrive, behind what is with the transport.
    let took = said.iter().filter_map(|(body, said)| {
        let word = world.nodes[1].delivered.iter().find(|rumor| rumor.body == body.as_bytes())?;
        Some(word.at / 1_000_000 - said)
    });
    let took: Vec<_> = took.collect();
    println!(
        "{} of 30 words, slowest {:?} ms, of {} in all",
        took.len(),
        took.iter().max(),
        world.nodes[1].delivered.len()
    );
    assert_eq!(took.len(), 30);
}

#[test]
fn pushes_that_wait_too_long_are_announced() {
    // Given a relay with a slow line, over which more is relayed than it takes.
    let mut world = World::new(44);
    let rules = world.topic(&Topic::named("t").max_body(16_384));
    for _ in 0..2 {
        world.node_with(|spec| spec.config = Config::default());
    }
    world.connect(0, 1);
    let reader = world.hostile(1);
    world.run(300);
    let wire = world.hostiles[reader].wire;
    world.wires[wire].bandwidth = 50_000;
    for number in 0..80 {
        world.publish(0, &rules, format!("{number:0>10000}"));
        world.run(25);
    }
    // Then the reader hears of what still waits, within a second of the last.
    world.run(1_000);
    let announced = world.nodes[1].counters().push_degraded;
    assert!(announced > 20, "{announced}");
    let heard = |frame: &crate::wire::Frame| match frame {
        crate::wire::Frame::Announce(announced) => announced.items.len(),
        _ => 0,
    };
    let told: usize = world.hostiles[reader].frames.iter().map(heard).sum();
    assert!(told as u64 >= announced, "{told} of {announced}");
}
