//! Where an interface listens.

use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, UnixListener};

use super::limits::{CONNECTIONS, OWN_FILES};
use crate::exit::Failure;

/// Makes the socket, which its user alone may open. One that nobody listens on is left over from a crash.
pub(super) fn socket(path: &Path) -> Result<UnixListener, Failure> {
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(Failure::Usage(format!(
            "{}: an agent answers there already: stop it, or give this one another socket with --api",
            path.display()
        )));
    }
    if fs::symlink_metadata(path).is_ok_and(|found| !is_socket(&found)) {
        return Err(Failure::Usage(format!(
            "{}: this is no socket: give another path with --api",
            path.display()
        )));
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    // With its mode before anybody can find it.
    let open = || {
        let _ = fs::remove_file(&new);
        let listener = UnixListener::bind(&new)?;
        fs::set_permissions(&new, Permissions::from_mode(0o600))?;
        fs::rename(&new, path)?;
        Ok(listener)
    };
    open().map_err(|error: io::Error| {
        let what = format!(
            "the socket {}: {error}: give another path with --api, of at most 100 bytes",
            path.display()
        );
        Failure::by_kind(&error, what)
    })
}

fn is_socket(found: &fs::Metadata) -> bool {
    std::os::unix::fs::FileTypeExt::is_socket(&found.file_type())
}

/// Listens on an address that only this machine reaches, which a flag has given. Where it is, as port 0 is any.
pub(super) fn tcp(addr: SocketAddr, flag: &str) -> Result<(TcpListener, SocketAddr), Failure> {
    let open = || {
        let listener = std::net::TcpListener::bind(addr)?;
        listener.set_nonblocking(true)?;
        let local = listener.local_addr()?;
        Ok((TcpListener::from_std(listener)?, local))
    };
    open().map_err(|error: io::Error| {
        Failure::by_kind(&error, format!("{flag} {addr}: {error}: give another port"))
    })
}

/// How many clients there may be: as many as this process may have open files, beside its own, if that is less than it wants. It takes
/// what it may have of them.
pub(super) fn places() -> usize {
    let wanted = (CONNECTIONS + OWN_FILES) as u64;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wanted) {
        let more = limit.maximum.map_or(wanted, |most| most.min(wanted));
        let raised = Rlimit { current: Some(more), ..limit };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            limit = raised;
        }
    }
    let places = among(limit.current);
    if places < CONNECTIONS {
        tracing::warn!(
            clients = places,
            "the limit of open files is so low that fewer clients are taken: raise it to {wanted}"
        );
    }
    places
}

/// Of so many open files.
fn among(files: Option<u64>) -> usize {
    let files = files.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX));
    files.saturating_sub(OWN_FILES).clamp(1, CONNECTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_have_the_files_that_the_agent_does_not_need_and_one_at_least() {
        let found =
            [None, Some(u64::MAX), Some(1_400), Some(1_399), Some(1_024), Some(200), Some(0)].map(among);
        assert_eq!(found, [CONNECTIONS, CONNECTIONS, CONNECTIONS, CONNECTIONS - 1, 824, 1, 1]);
    }
}
