//! What every command needs that runs a node: its key, its addresses, its network.

use std::io;
use std::path::{Path, PathBuf};

use vouchsafe::{Builder, KeyFileError, Node, PeerAddr, SecretKey};

use crate::exit::Failure;
use crate::files::is_dash;
use crate::keygen::{key_file, position_log_beside};
use crate::node::{listen, status};

/// Flags of a node.
#[derive(clap::Args)]
pub(crate) struct Start {
    /// Key file of this node, as made by `vouchsafe keygen`; it signs the links and the rumors.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// UDP address to listen on; port 0 takes any free one
    #[arg(long, value_name = "HOST:PORT", default_value = "0.0.0.0:0")]
    listen: String,
    /// Nodes to keep a link to; may be given several times. Names are looked up at each dial
    #[arg(long = "peer", value_name = "KEY@HOST:PORT")]
    peers: Vec<PeerAddr>,
    /// Name of the network: nodes of other networks are refused
    #[arg(long, value_name = "NAME", default_value = "vouchsafe")]
    network: String,
    /// File that records which positions were used, so that the node never says two things at one. Default: beside the key,
    /// ending in .positions. If it is missing it is made, and the first line waits until the key has been silent for 30 s
    #[arg(long, value_name = "FILE")]
    position_log: Option<PathBuf>,
}

/// Flags that were looked at: what they name can be used.
pub(crate) struct Checked {
    start: Start,
    key: SecretKey,
    position_log: PathBuf,
}

impl Start {
    /// The network's name.
    pub(crate) fn network(&self) -> &str {
        &self.network
    }

    /// Whether there is somebody to keep a link to.
    pub(crate) const fn has_peers(&self) -> bool {
        !self.peers.is_empty()
    }

    /// Loads the key, and refuses what can't be used, before anything starts.
    pub(crate) fn check(self) -> Result<Checked, Failure> {
        let path = self.key.as_deref().ok_or_else(|| {
            Failure::usage("--key <FILE> is missing: `vouchsafe keygen --out FILE` makes a key")
        })?;
        let position_log = self.position_log.clone().unwrap_or_else(|| position_log_beside(path));
        check_files(path, &position_log)?;
        let key = SecretKey::load(path).map_err(|error| match error {
            KeyFileError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Failure::Usage(format!(
                    "{path}: there is no such key file; `vouchsafe keygen --out {path}` makes a key",
                    path = path.display()
                ))
            }
            error => key_file(&error),
        })?;
        Ok(Checked { start: self, key, position_log })
    }
}

impl Checked {
    /// The network's name.
    pub(crate) fn network(&self) -> &str {
        &self.start.network
    }

    /// The node that was asked for, not built yet. Looks up the name to listen on.
    pub(crate) async fn builder(&self) -> Result<Builder, Failure> {
        let listen = listen::lookup(&self.start.listen).await?;
        let builder = Node::builder(self.key.clone()).network(&self.start.network).listen(listen);
        Ok(builder.bootstrap(self.start.peers.clone()).position_log(&self.position_log))
    }

    /// Says that the first words will wait, if the position log is not there yet. To be asked before the node is built.
    pub(crate) fn new_position_log(&self) -> Option<String> {
        (!self.position_log.exists()).then(|| {
            format!(
                "{} is a new position log: the first line will wait until this key has been silent for 30 s",
                self.position_log.display()
            )
        })
    }
}

/// Says where a node can be reached.
pub(crate) fn tell_address(node: &Node) {
    match node.addr() {
        Some(addr) => status(format_args!("listening as {addr}")),
        None => status(format_args!(
            "listening as {}@IP:{}, with any IP of this machine",
            node.id(),
            node.local_addr().port()
        )),
    }
}

/// Refuses what can't be a key or its position log, whatever is in it.
fn check_files(key: &Path, position_log: &Path) -> Result<(), Failure> {
    if is_dash(key) {
        return Err(Failure::usage(
            "--key - would be stdin, whose lines are published: give the path of a key file",
        ));
    }
    if is_dash(position_log) {
        return Err(Failure::usage(
            "--position-log - would be stdin, and a position log is written too: give the path of a file",
        ));
    }
    // Where there is none yet, there is nothing to harm.
    let real = |path: &Path| path.canonicalize().ok();
    if key == position_log || (real(key).is_some() && real(key) == real(position_log)) {
        return Err(Failure::Usage(format!(
            "{} can't be both the key and its position log: give another file with --position-log",
            key.display()
        )));
    }
    Ok(())
}
