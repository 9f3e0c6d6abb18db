//! Load alone: the uplink is what is scarce.

use super::*;

const UPLINK: u64 = 250_000;

fn loaded(part: f64, size: usize) -> Measures {
    loaded_among(100, UPLINK, part, size)
}

fn loaded_among(nodes: usize, uplink: u64, part: f64, size: usize) -> Measures {
    let mut network = Network::new(Scenario { nodes, uplink: Some(uplink), ..small() });
    pass(&mut network, Duration::from_secs(2));
    network.load_while(Load::of_uplink(part, uplink, size, Duration::from_secs(3)), &mut pass);
    pass(&mut network, Duration::from_secs(8));
    network.measures()
}

#[test]
fn half_the_uplink_is_delivered_with_few_copies() {
    let measures = loaded(0.5, 4096);
    assert!(measures.spreads.len() > 60, "{} rumors", measures.spreads.len());
    assert_eq!((measures.coverage(), measures.false_bans), (1.0, 0));
    assert!(measures.copies <= 1.6, "{} copies", measures.copies);
}

/// On a line of 250 kB/s such bodies collapse: docs/performance.md, Load alone.
#[test]
fn half_the_uplink_of_large_bodies_is_delivered_too() {
    let measures = loaded_among(200, 4 * UPLINK, 0.5, 16 * 1024);
    assert!(measures.spreads.len() > 60, "{} rumors", measures.spreads.len());
    assert_eq!((measures.coverage(), measures.false_bans, measures.publishes_waiting), (1.0, 0, 0));
    assert!(measures.copies <= 1.6, "{} copies", measures.copies);
}

#[test]
fn what_the_uplink_sends_takes_its_time() {
    let quick = loaded(0.05, 1024).delay(0.5);
    let slow = loaded(0.05, 16 * 1024).delay(0.5);
    // Sixteen first copies of 16 KiB take a second to leave their author.
    assert!(slow > quick + Duration::from_millis(200), "{quick:?} {slow:?}");
}

#[test]
fn figures_hang_together() {
    let measures = loaded(0.2, 4096);
    let cdf = measures.cdf(100);
    assert_eq!((cdf.len(), cdf[49].0, cdf[99].0), (100, measures.delay(0.5), measures.delay(1.0)));
    let over_time = measures.coverage_over_time(Duration::from_millis(50));
    assert!(over_time.windows(2).all(|pair| pair[0].1 <= pair[1].1));
    assert_eq!(over_time.last().map(|point| point.1), Some(measures.coverage()));
    // Every copy is bytes, and of bodies of 4 KiB what is not a copy is the lesser part.
    let (bytes, copies) = (measures.bytes_ratio, measures.copies);
    assert!(bytes > copies && bytes < 1.5 * copies, "{bytes} times the bytes in {copies} copies");
    let memory = measures.memory;
    assert!(memory.mean.body_bytes > 0 && memory.mean.body_bytes <= memory.most.body_bytes);
    assert_eq!(memory.mean.entries, measures.spreads.len());
    assert_eq!(measures.publish_waits.len(), measures.spreads.iter().len());
}
