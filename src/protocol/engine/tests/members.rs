//! Claims about what members tell each other, and about the lane that it is told on.

use std::time::Duration;

use super::world::{Side, World, seen_at};
use crate::protocol::LinkId;
use crate::rumor::Topic;

#[test]
fn a_hello_says_whether_a_node_listens_and_where_it_sees_the_other() {
    let mut world = World::new(1);
    world.topic(&Topic::named("t"));
    let (one, two) = (world.node(), world.node());
    world.nodes[one].engine.set_reach(true, Duration::from_millis(2_500));
    world.wire(Side::Node(one), Side::Node(two));
    let link_of = |world: &World, node: usize| world.nodes[node].engine.stats().links.remove(0);
    let before = link_of(&world, two);
    assert_eq!(
        (before.listens, before.sees_us_at, before.keep_alive_ms),
        (false, None, 0),
        "nothing is said yet"
    );
    world.run(100);
    let said = link_of(&world, two);
    assert_eq!((said.listens, said.sees_us_at), (true, Some(seen_at(LinkId(0)))));
    assert_eq!((said.members, said.keep_alive_ms), (0, 2_500));
    // The other one has told nothing of itself.
    let said = link_of(&world, one);
    assert_eq!((said.listens, said.sees_us_at, said.keep_alive_ms), (false, Some(seen_at(LinkId(1))), 0));
}
