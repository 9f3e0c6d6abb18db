//! What nodes of this library send on the wire: the simulator knows frames only, so here they have sockets. The counters of the
//! loopback interface are read, which count UDP and IP headers and nothing below; only these nodes may use it meanwhile.

use std::time::{Duration, Instant};

use vouchsafe::protocol::Config;
use vouchsafe::{Node, SecretKey, VerifierPool};

/// Until the last pages and links of the beginning are over, and the time that is measured.
const SETTLE: Duration = Duration::from_secs(90);
const MEASURED: Duration = Duration::from_secs(120);
const READY: Duration = Duration::from_secs(300);

/// Bytes and packets that the loopback interface of this network namespace has carried.
fn carried() -> Result<(u64, u64), String> {
    let table = std::fs::read_to_string("/proc/net/dev").map_err(|error| error.to_string())?;
    let line = table.lines().find_map(|line| line.trim().strip_prefix("lo:")).ok_or("no interface lo")?;
    let counts: Result<Vec<u64>, _> = line.split_whitespace().take(2).map(str::parse).collect();
    match counts.as_deref() {
        Ok([bytes, packets]) => Ok((*bytes, *packets)),
        _ => Err(format!("{line:?} is no line of /proc/net/dev")),
    }
}

async fn spawn(nodes: usize, renewals_per_s: u32) -> Result<Vec<Node>, String> {
    let pool = VerifierPool::new(1);
    let mut config = Config::default();
    config.members.renewals_per_s = renewals_per_s;
    let mut all: Vec<Node> = Vec::new();
    for _ in 0..nodes {
        let first = all.first().and_then(Node::addr);
        let node = Node::builder(SecretKey::generate()).network("members").listen("127.0.0.1:0");
        let node = node.bootstrap(first).config(config.clone()).verifiers(pool.clone()).spawn().await;
        all.push(node.map_err(|error| error.to_string())?);
    }
    let begun = Instant::now();
    for node in &all {
        let left = READY.saturating_sub(begun.elapsed());
        let whole = tokio::time::timeout(left, node.wait_for_members(nodes)).await;
        if whole.is_err() {
            let known = node.members().await.map_err(|error| error.to_string())?;
            let here = known.values().filter(|member| member.state.is_here()).count();
            return Err(format!("a node knows {} of {nodes} members, {here} of them here", known.len()));
        }
    }
    Ok(all)
}

async fn measure(nodes: usize, renewals_per_s: u32) -> Result<String, String> {
    let all = spawn(nodes, renewals_per_s).await?;
    eprintln!("  {nodes} nodes know all others");
    tokio::time::sleep(SETTLE).await;
    let before = carried()?;
    tokio::time::sleep(MEASURED).await;
    let after = carried()?;
    let a_second = |before, after| (after - before) as f64 / MEASURED.as_secs_f64() / nodes as f64;
    let mut links = 0;
    for node in &all {
        links += node.stats().await.map_err(|error| error.to_string())?.links.len();
        node.shutdown_silently().await;
    }
    let (bytes, packets) = (a_second(before.0, after.0), a_second(before.1, after.1));
    Ok(format!("{bytes:.0} B/s, {packets:.1} packets/s, {:.1} links a node", links as f64 / nodes as f64))
}

/// The cell of the table.
pub(crate) fn idle(nodes: usize, renewals_per_s: u32) -> String {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let measured = runtime
        .map_err(|error| error.to_string())
        .and_then(|runtime| runtime.block_on(measure(nodes, renewals_per_s)));
    measured.unwrap_or_else(|error| format!("not measured: {error}"))
}
