//! Who may ask over loopback TCP: whoever has the token, and names this machine as the host. A web page that a browser has loaded from
//! elsewhere, under a name that leads here, has neither.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, HOST, HeaderMap, ORIGIN};
use vouchsafe::SecretKey;

use super::limits::TOKEN;
use super::reply::Refusal;
use crate::files;

/// What a request over TCP must show.
pub(super) struct Guard {
    /// Of the token, so that comparing takes as long whatever is given.
    token: blake3::Hash,
    hosts: Vec<String>,
}

impl Guard {
    /// Of a socket that listens there, with the token in that file, which is made if it is missing.
    pub(super) fn open(local: SocketAddr, file: &Path) -> Result<Self, String> {
        let made = match found(file) {
            Ok(None) => make(file).map_err(|error| format!("{error}: make its folder, or name another file")),
            Ok(Some(token)) => Ok(token),
            Err(why) => Err(why),
        };
        Ok(Self::of(local, &made.map_err(|why| told(file, &why))?))
    }

    /// The same with a token that is in no file.
    pub(super) fn of(local: SocketAddr, token: &str) -> Self {
        let port = local.port();
        let mut hosts = vec![local.to_string(), format!("localhost:{port}")];
        if port == 80 {
            hosts.extend([local.ip().to_string(), "localhost".to_owned()]);
        }
        Self { token: blake3::hash(token.as_bytes()), hosts }
    }

    /// Whether a request is for this machine, and of no page from elsewhere.
    pub(super) fn check_host(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let is_host = |host: &str| self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host));
        if headers.get_all(HOST).iter().count() != 1 || !text(HOST).is_some_and(is_host) {
            let hosts = self.hosts.join(" or ");
            let what = format!("the Host header names another host: ask for {hosts}");
            return Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, what));
        }
        let is_same = |origin: &str| origin.strip_prefix("http://").is_some_and(is_host);
        if headers.contains_key(ORIGIN) && !text(ORIGIN).is_some_and(is_same) {
            return Err(Refusal::new(
                StatusCode::FORBIDDEN,
                "pages from elsewhere are not answered".to_owned(),
            ));
        }
        Ok(())
    }

    /// Whether it has the token.
    pub(super) fn check_token(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let given = text(AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        // Hashes are compared in constant time.
        match given.filter(|given| given.len() <= TOKEN).map(|given| blake3::hash(given.trim().as_bytes())) {
            Some(given) if given == self.token => Ok(()),
            Some(_) => Err(Refusal::new(
                StatusCode::UNAUTHORIZED,
                "this is not the token: read the token file".to_owned(),
            )),
            None => Err(Refusal::new(
                StatusCode::UNAUTHORIZED,
                "no token: send it as \"Authorization: Bearer TOKEN\"; it stands in the token file"
                    .to_owned(),
            )),
        }
    }
}

/// What is wrong with a token file, as far as this process can see it. One that is missing is made by the start.
pub(in crate::agent) fn fault(file: &Path) -> Option<String> {
    // Another user's is none of ours: whether the agent can read it shows its start.
    let is_hidden = |error: io::Error| error.kind() == io::ErrorKind::PermissionDenied;
    if fs::metadata(file).is_err_and(is_hidden) {
        return None;
    }
    match found(file) {
        Err(_) if !is_open(file) && fs::File::open(file).is_err_and(is_hidden) => None,
        found => found.err().map(|why| told(file, &why)),
    }
}

fn told(file: &Path, why: &str) -> String {
    format!("the token file {}: {why}", file.display())
}

/// Whether others than its owner can read or write it.
fn is_open(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|found| found.mode() & 0o077 != 0)
}

/// The token in a file that its owner alone can read, if there is such a file.
fn found(file: &Path) -> Result<Option<String>, String> {
    match fs::metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{error}: check the path and its permissions")),
        Ok(found) if !found.is_file() => Err("this is no file: name another".to_owned()),
        Ok(found) if found.mode() & 0o077 != 0 => {
            let mode = found.mode() & 0o777;
            Err(format!("it has mode {mode:04o}, so others can read or write it: run `chmod 600` on it"))
        }
        Ok(_) => {
            let text = files::text(file, TOKEN as u64)
                .map_err(|error| format!("{error}: check the path and its permissions"))?;
            match text.trim() {
                "" => Err("it is empty: remove it, and the next start makes a token".to_owned()),
                token if token.len() < 16 => {
                    Err("a token has at least 16 characters: remove it, and the next start makes one"
                        .to_owned())
                }
                token => Ok(Some(token.to_owned())),
            }
        }
    }
}

/// A token that nobody has yet, and nobody guesses: a key.
pub(super) fn new_token() -> String {
    SecretKey::generate().public().to_string()
}

fn make(file: &Path) -> io::Result<String> {
    let token = new_token();
    let mut made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    made.write_all(format!("{token}\n").as_bytes())?;
    made.sync_all()?;
    Ok(token)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn only_the_token_and_this_host_pass() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let guard = Guard::open("127.0.0.1:7947".parse().unwrap(), &file).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        let token = fs::read_to_string(&file).unwrap().trim().to_owned();
        let check = |host: &[&str], origin: Option<&str>, bearer: Option<&str>| {
            let mut headers = HeaderMap::new();
            for host in host {
                headers.append(HOST, HeaderValue::from_str(host).unwrap());
            }
            if let Some(origin) = origin {
                headers.append(ORIGIN, HeaderValue::from_str(origin).unwrap());
            }
            if let Some(bearer) = bearer {
                headers.append(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {bearer}")).unwrap());
            }
            guard
                .check_host(&headers)
                .and_then(|()| guard.check_token(&headers))
                .map_err(|refusal| refusal.status().as_u16())
        };
        let token = Some(token.as_str());
        assert_eq!(check(&["127.0.0.1:7947"], None, token), Ok(()));
        assert_eq!(check(&["localhost:7947"], Some("http://localhost:7947"), token), Ok(()));
        for host in [&["evil.example:7947"][..], &["127.0.0.1"], &[], &["127.0.0.1:7947", "evil.example"]] {
            assert_eq!(check(host, None, token), Err(421));
        }
        assert_eq!(check(&["127.0.0.1:7947"], Some("http://evil.example"), token), Err(403));
        for bad in [None, Some(""), Some("x"), token.map(|token| &token[1..])] {
            assert_eq!(check(&["127.0.0.1:7947"], None, bad), Err(401));
        }
    }

    #[test]
    fn a_token_file_that_others_read_or_that_is_empty_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        fs::write(&file, "0123456789abcdef").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(fault(&file).unwrap().contains("chmod 600"));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!((found(&file).unwrap().as_deref(), fault(&file)), (Some("0123456789abcdef"), None));
        fs::write(&file, "\n").unwrap();
        assert!(fault(&file).unwrap().contains("empty"));
        assert!(fault(folder.path()).unwrap().contains("no file"));
        assert_eq!(fault(&folder.path().join("missing")), None);
    }
}
