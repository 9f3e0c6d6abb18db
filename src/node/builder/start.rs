//! What a node needs of its machine before it starts.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;

use super::socket::Port;
use super::{SpawnError, transport};
use crate::key::SecretKey;
use crate::net::{BindError, Endpoint, GateConfig, OtherProtocols};
use crate::node::anchors::Anchors;
use crate::node::opening::{self, Files, Unopened};
use crate::node::{Host, PeerAddr};

pub(super) async fn open_files(
    log: Option<PathBuf>,
    store: Option<PathBuf>,
    author: &SecretKey,
    now_ms: u64,
) -> Result<Files, SpawnError> {
    let author = author.clone();
    let opened = tokio::task::spawn_blocking(move || opening::open(log, store, &author, now_ms)).await;
    opened.map_err(|_| SpawnError::Stopped)?.map_err(|error| match error {
        Unopened::PositionLog(error) => error.into(),
        Unopened::Store(error) => error.into(),
    })
}

pub(super) fn entropy() -> Result<[u8; 32], SpawnError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| SpawnError::Entropy(error.to_string()))?;
    Ok(seed)
}

/// The application's endpoint, or one of the node's own.
pub(super) async fn endpoint(
    port: Port,
    key: &SecretKey,
    listen: String,
    gate: GateConfig,
) -> Result<Endpoint, SpawnError> {
    let is_over_another = port.transport.is_some();
    #[cfg(any(test, feature = "memory"))]
    let is_over_another = is_over_another || port.network.is_some();
    if is_over_another && (port.endpoint.is_some() || port.others.is_some()) {
        let why =
            "it has no UDP port: leave out `endpoint` and `other_protocols`, or `transport` and `memory`";
        return Err(SpawnError::Transport(why.into()));
    }
    if let Some(transport) = port.transport {
        return transport::endpoint(transport, key.public(), gate);
    }
    #[cfg(any(test, feature = "memory"))]
    if let Some(network) = port.network {
        let listen = resolve(listen).await?;
        let place = network.transport(key.public(), listen);
        let place = place.map_err(|source| BindError::Socket { listen, source })?;
        return Ok(Endpoint::over(std::sync::Arc::new(place), gate)?);
    }
    let others = port.others.map(OtherProtocols::new).transpose().map_err(BindError::from)?;
    Ok(match port.endpoint {
        Some(endpoint) => Endpoint::from_quinn_beside(endpoint, key, gate, others.as_ref())?,
        None => Endpoint::bind_beside(key, resolve(listen).await?, gate, others.as_ref())?,
    })
}

async fn resolve(text: String) -> Result<SocketAddr, SpawnError> {
    let fail = |text: &str, why: String| SpawnError::Listen { text: text.into(), why };
    let resolved = tokio::task::spawn_blocking(move || match text.to_socket_addrs() {
        Ok(mut addrs) => addrs.next().ok_or_else(|| fail(&text, "it has no address".into())),
        Err(error) => Err(fail(&text, error.to_string())),
    });
    resolved.await.map_err(|_| SpawnError::Stopped)?
}

/// Where others reach the node, if the application says so.
pub(super) fn advertised(text: Option<String>) -> Result<Option<Host>, SpawnError> {
    text.map(|text| text.parse()).transpose().map_err(SpawnError::Advertise)
}

/// Peers that an earlier life has kept there, if there is such a place, and what keeps them from now on.
pub(super) async fn anchors(place: Option<PathBuf>) -> (Option<Anchors>, Vec<PeerAddr>) {
    let Some(place) = place else { return (None, Vec::new()) };
    let (anchors, earlier) = Anchors::open(place).await;
    (Some(anchors), earlier)
}
