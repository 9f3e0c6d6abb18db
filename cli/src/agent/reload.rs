//! Reading the configuration again while the agent runs.

use std::sync::Arc;

use super::config::{self, Flags, Settings};
use super::core::Agent;
use super::log::Log;

/// What holds, and where it came from.
pub(super) struct Reload {
    flags: Flags,
    /// As of the start, but for what has changed since.
    settings: Settings,
}

impl Reload {
    pub(super) const fn new(flags: Flags, settings: Settings) -> Self {
        Self { flags, settings }
    }

    /// Reads it again, and does what can be done. With a fault in it nothing changes.
    pub(super) async fn again(&mut self, agent: &Arc<Agent>, log: &Log) {
        let new = match self.flags.settings() {
            Ok(new) => new,
            Err(faults) => {
                faults.iter().for_each(|fault| tracing::error!("{fault}"));
                let faults = config::Fault::count(&faults);
                return tracing::error!(
                    faults,
                    "nothing was changed: mend the configuration, then reload again"
                );
            }
        };
        for name in self.settings.needs_restart(&new) {
            tracing::warn!(name, "this can't change while the agent runs: restart it");
        }
        if let Err(error) = self.change(agent, log, new).await {
            return tracing::error!(error, "the configuration was not taken as a whole: reload again");
        }
        tracing::info!("the configuration was read again");
    }

    async fn change(&mut self, agent: &Arc<Agent>, log: &Log, new: Settings) -> Result<(), String> {
        if new.log.levels != self.settings.log.levels {
            log.set_levels(&new.log.levels)?;
            self.settings.log.levels = new.log.levels;
        }
        if new.handlers != self.settings.handlers {
            agent.handlers.replace(&new.handlers);
            self.settings.handlers = new.handlers;
        }
        if new.metadata != self.settings.metadata {
            agent.node.set_metadata(new.metadata.clone()).await.map_err(|error| error.to_string())?;
            self.settings.metadata = new.metadata;
        }
        if new.bootstrap != self.settings.bootstrap {
            for peer in &new.bootstrap {
                agent.node.suggest(peer.clone()).await.map_err(|error| error.to_string())?;
            }
            self.settings.bootstrap = new.bootstrap;
        }
        if let (Some(_), Some(path)) = (&self.settings.allow_list, new.allow_list) {
            let _changes = agent.admissions.lock().await;
            let keys = config::read_allow_list(&path)
                .map_err(|faults| faults.first().map(ToString::to_string).unwrap_or_default())?;
            let now = agent.node.allowed().await.map_err(|error| error.to_string())?.unwrap_or_default();
            // First in, then out: a list that is exchanged locks nobody out in between.
            for key in keys.difference(&now) {
                agent.node.admit(*key).await.map_err(|error| error.to_string())?;
                agent.expelled.set(*key, None).await.map_err(|error| error.to_string())?;
            }
            for key in now.difference(&keys) {
                agent.node.disallow(*key).await.map_err(|error| error.to_string())?;
            }
            agent.set_allow_list(path.clone());
            self.settings.allow_list = Some(path);
        }
        Ok(())
    }
}
