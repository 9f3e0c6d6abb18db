//! Flags of an agent, which override its file.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use vouchsafe::PeerAddr;

use super::file::{self, Lines};
use super::{Fault, Profile, Settings, allow, values};
use crate::agent::api::token_fault;

/// What the command line says of the agent. A flag takes the place of what the file says.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Flags {
    /// The file that says all of it; see docs/operations.md. Paths in it are relative to its folder
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Name of the network: nodes of other networks are refused. Default: vouchsafe
    #[arg(long, value_name = "NAME", value_parser = values::network)]
    network: Option<String>,
    /// UDP address to listen on. Default: 0.0.0.0:4433
    #[arg(long, value_name = "HOST:PORT", value_parser = values::listen)]
    listen: Option<String>,
    /// Where others reach this node, if that is not where it listens
    #[arg(long, value_name = "HOST:PORT", value_parser = values::advertise)]
    advertise: Option<String>,
    /// Nodes to find the others by; may be given several times
    #[arg(long = "peer", value_name = "KEY@HOST:PORT")]
    peers: Vec<PeerAddr>,
    /// Folder of all that the agent keeps. Default: /var/lib/vouchsafe
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// What this node says of itself to the other members, at most 512 bytes
    #[arg(long, value_name = "TEXT", value_parser = values::metadata)]
    metadata: Option<String>,
    /// File of the node keys that may link, one a line. Default: all may
    #[arg(long, value_name = "FILE")]
    allow_list: Option<PathBuf>,
    /// Limits: default, local, mobile or hardened
    #[arg(long, value_name = "NAME")]
    profile: Option<Profile>,
    /// The socket that the commands ask. Default: api.sock in the state folder
    #[arg(long, value_name = "PATH")]
    api: Option<PathBuf>,
    /// Loopback address that takes the same requests, with the token
    #[arg(long, value_name = "IP:PORT", value_parser = values::loopback)]
    api_tcp: Option<SocketAddr>,
    /// File of the token for that, made if it is missing. Default: api.token in the state folder
    #[arg(long, value_name = "FILE")]
    api_token_file: Option<PathBuf>,
    /// What is logged, as in info or "info,vouchsafe=debug"
    #[arg(long, value_name = "LEVELS", value_parser = values::levels)]
    log: Option<String>,
    /// How it is logged: text or json
    #[arg(long, value_name = "FORMAT", value_parser = values::format)]
    log_format: Option<bool>,
}

impl Flags {
    /// The file, if there is one.
    pub(crate) fn config(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// What the file and these say together, or all that is wrong with it.
    pub(crate) fn settings(&self) -> Result<Settings, Vec<Fault>> {
        // What else is wrong is told in the same go.
        let read = self.config.as_deref().map(file::read);
        let file::Read { mut settings, mut faults, lines } = read.unwrap_or_default();
        self.clone().over(&mut settings);
        faults.extend(self.outside(&settings, &lines));
        if faults.is_empty() { Ok(settings) } else { Err(faults) }
    }

    /// What is wrong with the files and folders that are named, as far as it can be seen without a start, and by a process that is perhaps
    /// another user's.
    fn outside(&self, settings: &Settings, lines: &Lines) -> Vec<Fault> {
        let placed = |fault: Fault, line: Option<usize>, is_flag: bool| match (&self.config, line) {
            (Some(file), Some(line)) if !is_flag => fault.placed(file, line),
            _ => fault,
        };
        let mut faults = Vec::new();
        if fs::metadata(&settings.state).is_ok_and(|found| !found.is_dir()) {
            let what = format!("state {}: this is no folder: name another", settings.state.display());
            faults.push(placed(Fault::of_flag(what), lines.state, self.state.is_some()));
        }
        if let Some(path) = &settings.allow_list
            && let Err(found) = allow::read(path)
        {
            let is_flag = self.allow_list.is_some();
            faults.extend(found.into_iter().map(|fault| placed(fault, lines.allow_list, is_flag)));
        }
        if settings.api.tcp.is_some()
            && let Some(why) = token_fault(&settings.token_file())
        {
            faults.push(placed(Fault::of_flag(why), lines.token_file, self.api_token_file.is_some()));
        }
        faults
    }

    fn over(self, settings: &mut Settings) {
        let set = |place: &mut String, flag: Option<String>| {
            if let Some(value) = flag {
                *place = value;
            }
        };
        set(&mut settings.network, self.network);
        set(&mut settings.listen, self.listen);
        set(&mut settings.metadata, self.metadata);
        set(&mut settings.log.levels, self.log);
        settings.advertise = self.advertise.or(settings.advertise.take());
        settings.allow_list = self.allow_list.or(settings.allow_list.take());
        settings.profile = self.profile.unwrap_or(settings.profile);
        settings.log.json = self.log_format.unwrap_or(settings.log.json);
        settings.api.tcp = self.api_tcp.or(settings.api.tcp);
        if !self.peers.is_empty() {
            settings.bootstrap = self.peers;
        }
        if let Some(state) = self.state {
            settings.state = state;
        }
        if let Some(path) = self.api {
            settings.api.set_socket(path);
        }
        if let Some(path) = self.api_token_file {
            settings.api.set_token_file(path);
        }
    }
}
