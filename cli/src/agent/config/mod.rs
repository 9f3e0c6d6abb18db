//! What an agent is told: by a file, of which every fault is named with its line, and by flags, which override it.

mod allow;
mod faults;
mod file;
mod flags;
mod profile;
mod rules;
mod table;
mod values;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use vouchsafe::{PeerAddr, Topic};

pub(crate) use allow::{admit as admit_in_file, read as read_allow_list};
pub(crate) use faults::Fault;
pub(super) use flags::Flags;
pub(crate) use profile::Profile;
pub(crate) use values::{duration, loopback};

use super::handlers::Rule;

/// Where the state of the one agent of a machine is, unless it is said. The commands look for its socket there, too.
pub(crate) const STATE: &str = "/var/lib/vouchsafe";
/// The name of the socket in the state folder.
pub(crate) const SOCKET: &str = "api.sock";
/// The name of the file with the token in the state folder.
const TOKEN: &str = "api.token";
/// The topic in which events are said and queries are asked.
pub(crate) const EVENTS: &str = "agent events";

/// All that an agent is told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    pub(crate) network: String,
    pub(crate) listen: String,
    pub(crate) advertise: Option<String>,
    pub(crate) bootstrap: Vec<PeerAddr>,
    pub(crate) state: PathBuf,
    pub(crate) metadata: String,
    pub(crate) allow_list: Option<PathBuf>,
    pub(crate) profile: Profile,
    pub(crate) topics: Vec<Topics>,
    /// The topic of events.
    pub(crate) events: Topic,
    pub(crate) handlers: Vec<Rule>,
    pub(crate) api: Api,
    pub(crate) log: Log,
}

/// A topic, by its name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Topics {
    pub(crate) name: String,
    pub(crate) topic: Topic,
}

/// Where the agent is asked.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Api {
    socket: Option<PathBuf>,
    /// A loopback address, if there is one.
    pub(crate) tcp: Option<SocketAddr>,
    token_file: Option<PathBuf>,
}

/// What is written of what happens.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Log {
    pub(crate) json: bool,
    /// As `tracing` writes them: "info,vouchsafe=debug".
    pub(crate) levels: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { json: false, levels: "info".to_owned() }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            network: "vouchsafe".to_owned(),
            listen: "0.0.0.0:4433".to_owned(),
            advertise: None,
            bootstrap: Vec::new(),
            state: STATE.into(),
            metadata: String::new(),
            allow_list: None,
            profile: Profile::Default,
            topics: Vec::new(),
            events: events(),
            handlers: Vec::new(),
            api: Api::default(),
            log: Log::default(),
        }
    }
}

impl Settings {
    /// The path of the socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.api.socket.clone().unwrap_or_else(|| self.state.join(SOCKET))
    }

    /// The path of the file with the token.
    pub(crate) fn token_file(&self) -> PathBuf {
        self.api.token_file.clone().unwrap_or_else(|| self.state.join(TOKEN))
    }

    /// What differs and can't change while the agent runs, by its name in the file.
    pub(crate) fn needs_restart(&self, new: &Self) -> Vec<&'static str> {
        let differs = [
            ("network", self.network != new.network),
            ("listen", self.listen != new.listen),
            ("advertise", self.advertise != new.advertise),
            ("state", self.state != new.state),
            ("profile", self.profile != new.profile),
            ("topic", self.topics != new.topics),
            ("events", self.events != new.events),
            ("api", self.api != new.api),
            ("log.format", self.log.json != new.log.json),
            // A list can grow and shrink; that there is one is decided at the start.
            ("allow_list", self.allow_list.is_some() != new.allow_list.is_some()),
        ];
        differs.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
    }
}

/// The topic of events with its default rules.
fn events() -> Topic {
    Topic::named(EVENTS)
}

/// How long a handler may take, unless it is said.
pub(super) const HANDLER_WITHIN: Duration = Duration::from_secs(30);
