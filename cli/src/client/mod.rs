//! Commands that ask the agent of this machine, over its socket.

mod answers;
mod history;
mod http;
mod kv;
mod members;
mod monitor;
mod rules;
mod show;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::agent::{SOCKET, STATE};
use crate::exit::{self, Failure};
use crate::node::in_runtime;
use http::{Ask, Client};

pub(crate) use answers::{EventArgs, PublishArgs, QueryArgs, event, publish, query};
pub(crate) use history::history;
pub(crate) use kv::{delete, get, put, scan, watch};
pub(crate) use members::{explain, list};
pub(crate) use monitor::{MonitorArgs, monitor};
pub(crate) use rules::{AdmitArgs, ExpelArgs, JoinArgs, admit, expel, join};
pub(crate) use show::{EvidenceArgs, InfoArgs, StatsArgs, evidence, info, stats};

/// Names the socket in the environment, for those who give no `--api`.
const VARIABLE: &str = "VOUCHSAFE_API";

/// Between two tries to reach an agent that is about to start: a socket that is not there gives no sign.
const AGAIN: Duration = Duration::from_millis(50);

/// Which agent.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct At {
    /// The agent's socket, or its state folder. Default: $VOUCHSAFE_API, else /var/lib/vouchsafe
    #[arg(long, value_name = "PATH")]
    api: Option<PathBuf>,
}

/// Which agent, and how its answer is shown.
#[derive(clap::Args)]
pub(crate) struct Asked {
    #[command(flatten)]
    at: At,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl At {
    /// The one whose state folder or socket this is.
    pub(crate) fn of(path: &Path) -> Self {
        Self { api: Some(path.to_owned()) }
    }

    /// Whether it was named.
    pub(crate) const fn is_given(&self) -> bool {
        self.api.is_some()
    }

    /// The path of its socket.
    fn socket(&self) -> PathBuf {
        let named = || std::env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
        let path = self.api.clone().or_else(named).unwrap_or_else(|| STATE.into());
        if path.is_dir() { path.join(SOCKET) } else { path }
    }

    async fn connect(&self) -> Result<Client, Failure> {
        Client::connect(self.socket()).await
    }

    /// Tries again for so long.
    async fn connect_within(&self, time: Duration) -> Result<Client, Failure> {
        let until = tokio::time::Instant::now() + time;
        loop {
            match self.connect().await {
                Err(_) if tokio::time::Instant::now() < until => tokio::time::sleep(AGAIN).await,
                result => return result,
            }
        }
    }
}

/// Whether an agent runs with this folder as its state, and can be asked of it.
pub(crate) fn answers_for(folder: &Path) -> bool {
    folder.is_dir() && std::os::unix::net::UnixStream::connect(folder.join(SOCKET)).is_ok()
}

/// Asks for one thing, and shows it.
fn one(at: &At, ask: Ask<'_>, show: impl FnOnce(&Value) -> String) -> Result<(), Failure> {
    let mut answer = Value::Null;
    in_runtime(async {
        answer = at.connect().await?.ask(ask).await?;
        Ok(())
    })?;
    exit::print(show(&answer))
}

/// One line of JSON.
fn line(value: &Value) -> String {
    format!("{value}\n")
}

/// A text of an object, made printable; nothing if there is none.
fn text(value: &Value, name: &str) -> String {
    match (&value[name], value[format!("{name}_hex")].as_str()) {
        (Value::String(text), _) => crate::text::printable(text.as_bytes()),
        (Value::Null, Some(digits)) => crate::text::printable(&hex::decode(digits).unwrap_or_default()),
        (Value::Null, None) => String::new(),
        (other, _) => other.to_string(),
    }
}

/// The first digits of a key.
fn short(value: &Value, name: &str) -> String {
    text(value, name).chars().take(8).collect()
}

/// Ends the agent, after it has said to the other members that it leaves
///
/// Answers when it has begun to. Under systemd, `systemctl stop` does the same and knows that it was meant.
///
/// Exit code: 0 done; 1 it failed, or nobody answers; 2 there is no such socket.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct LeaveArgs {
    #[command(flatten)]
    asked: Asked,
}

pub(crate) fn leave(args: &LeaveArgs) -> Result<(), Failure> {
    let show = |answer: &Value| if args.asked.json { line(answer) } else { "the agent leaves\n".to_owned() };
    one(&args.asked.at, Ask::post("/v1/leave"), show)
}
