//! The live page of a node that something else runs: it is shown, and nothing can be changed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use vouchsafe::{Node, TopicHandle};

use super::api::Api;
use super::config::Settings;
use super::core::{Agent, Joined};
use super::expelled::Expelled;
use super::pumps::{self, Heard};
use crate::exit::Failure;

/// A page while it is served.
pub(crate) struct Shown {
    api: Api,
    url: String,
}

impl Shown {
    /// Serves it at a loopback address, with topics by their names.
    pub(crate) async fn begin(
        node: &Node,
        network: &str,
        topics: impl IntoIterator<Item = (String, TopicHandle)>,
        at: SocketAddr,
    ) -> Result<Self, Failure> {
        let heard = Heard::of(node);
        let settings = Settings { network: network.to_owned(), state: PathBuf::new(), ..Settings::default() };
        let topics: BTreeMap<_, _> =
            topics.into_iter().map(|(name, handle)| (name, Joined::new(handle))).collect();
        let events = node.join(settings.events.clone()).await.map_err(Failure::failed)?;
        let agent = Arc::new(Agent::new(node.clone(), &settings, topics, events, Expelled::nobody()));
        let (api, at, token) = Api::show(&agent, at)?;
        pumps::start(&agent, heard);
        Ok(Self { api, url: format!("http://{at}/#token={token}") })
    }

    /// Where a browser finds it, with the token that it wants.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Takes no more requests.
    pub(crate) fn close(&self) {
        self.api.close();
    }

    /// Takes no more requests, and waits for those under way.
    pub(crate) async fn end(self) {
        self.api.end().await;
    }
}
