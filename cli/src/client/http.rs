//! Asking over the agent's socket.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::HOST;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

use crate::exit::Failure;

/// Longest wait for an answer: what a request may ask for at the most, and some.
const PATIENCE: Duration = Duration::from_secs(330);
/// Longest answer, or line of a stream, bytes.
const LONGEST: usize = 64 << 20;

/// A connection to an agent.
pub(super) struct Client {
    socket: PathBuf,
    requests: SendRequest<Full<Bytes>>,
}

/// A request.
pub(super) struct Ask<'a> {
    method: &'static str,
    path: &'static str,
    parameters: Vec<(&'a str, String)>,
    body: Bytes,
}

impl<'a> Ask<'a> {
    pub(super) const fn new(method: &'static str, path: &'static str) -> Self {
        Self { method, path, parameters: Vec::new(), body: Bytes::new() }
    }

    pub(super) const fn get(path: &'static str) -> Self {
        Self::new("GET", path)
    }

    pub(super) const fn post(path: &'static str) -> Self {
        Self::new("POST", path)
    }

    /// With a parameter.
    pub(super) fn with(mut self, name: &'a str, value: impl ToString) -> Self {
        self.parameters.push((name, value.to_string()));
        self
    }

    /// With a parameter, if there is one.
    pub(super) fn maybe(self, name: &'a str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    pub(super) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    fn target(&self) -> String {
        let mut target = self.path.to_owned();
        for (at, (name, value)) in self.parameters.iter().enumerate() {
            target.push(if at == 0 { '?' } else { '&' });
            target.push_str(name);
            target.push('=');
            encode(&mut target, value);
        }
        target
    }
}

/// Percent encoding of all that is no plain letter.
fn encode(to: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => to.push(char::from(byte)),
            byte => to.push_str(&format!("%{byte:02X}")),
        }
    }
}

impl Client {
    pub(super) async fn connect(socket: PathBuf) -> Result<Self, Failure> {
        let stream = UnixStream::connect(&socket).await.map_err(|error| nobody(&socket, &error))?;
        let (requests, connection) =
            handshake(TokioIo::new(stream)).await.map_err(|error| broken(&socket, &error))?;
        tokio::spawn(async move {
            // What breaks, the request says.
            let _ = connection.await;
        });
        Ok(Self { socket, requests })
    }

    /// Asks, and reads the whole answer.
    pub(super) async fn ask(&mut self, ask: Ask<'_>) -> Result<Value, Failure> {
        let response = self.send(ask).await?;
        let body = response.into_body().collect().await.map_err(|error| broken(&self.socket, &error))?;
        serde_json::from_slice(&body.to_bytes()).map_err(|error| {
            Failure::Failed(format!(
                "{}: the answer is no JSON: {error}: is it an agent?",
                self.socket.display()
            ))
        })
    }

    /// Asks, and reads the answer line by line as it comes.
    pub(super) async fn lines(mut self, ask: Ask<'_>) -> Result<Lines, Failure> {
        let body = self.send(ask).await?.into_body();
        Ok(Lines { client: self, body, rest: BytesMut::new() })
    }

    async fn send(&mut self, ask: Ask<'_>) -> Result<Response<Incoming>, Failure> {
        let socket = &self.socket;
        let request = Request::builder().method(ask.method).uri(ask.target()).header(HOST, "agent");
        let request = request.body(Full::new(ask.body)).map_err(Failure::usage)?;
        let sent = tokio::time::timeout(PATIENCE, self.requests.send_request(request)).await;
        let response = sent
            .map_err(|_| {
                Failure::Failed(format!("{}: no answer within {} s", socket.display(), PATIENCE.as_secs()))
            })?
            .map_err(|error| broken(socket, &error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|error| broken(socket, &error))?;
        let body = body.to_bytes();
        let said = serde_json::from_slice::<Value>(&body).ok();
        let what = said.and_then(|said| Some(said["error"].as_str()?.to_owned()));
        Err(refused(status, &what.unwrap_or_else(|| format!("the agent has answered {status}"))))
    }
}

/// What a refusal means for the exit code: what was given can't be used, or it was tried and failed.
fn refused(status: StatusCode, what: &str) -> Failure {
    match status {
        StatusCode::BAD_REQUEST | StatusCode::METHOD_NOT_ALLOWED | StatusCode::PAYLOAD_TOO_LARGE => {
            Failure::usage(what)
        }
        _ => Failure::failed(what),
    }
}

fn nobody(socket: &std::path::Path, error: &io::Error) -> Failure {
    let what = format!(
        "no agent answers at {}: {error}; start one with `vouchsafe agent`, or name its socket or state folder with --api",
        socket.display()
    );
    Failure::by_kind(error, what)
}

fn broken(socket: &std::path::Path, error: &hyper::Error) -> Failure {
    Failure::Failed(format!("{}: the agent has hung up: {error}", socket.display()))
}

/// Lines of an answer that goes on.
pub(super) struct Lines {
    client: Client,
    body: Incoming,
    rest: BytesMut,
}

impl Lines {
    /// The next one, without its end; `None` at the end of the answer.
    pub(super) async fn next(&mut self) -> Result<Option<String>, Failure> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line = self.rest.split_to(end + 1);
                return Ok(Some(String::from_utf8_lossy(&line[..end]).into_owned()));
            }
            if self.rest.len() > LONGEST {
                return Err(Failure::failed("the agent has sent a line that does not end"));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.rest.extend_from_slice(data);
                    }
                }
                Some(Err(error)) => return Err(broken(&self.client.socket, &error)),
                None => return Ok(None),
            }
        }
    }

    /// The next server-sent event: its kind and its data.
    pub(super) async fn event(&mut self) -> Result<Option<(String, Value)>, Failure> {
        let mut kind = String::new();
        while let Some(line) = self.next().await? {
            if let Some(name) = line.strip_prefix("event: ") {
                name.clone_into(&mut kind);
            } else if let Some(data) = line.strip_prefix("data: ") {
                let data = serde_json::from_str(data).map_err(|error| {
                    Failure::Failed(format!("the agent has sent an event that is no JSON: {error}"))
                })?;
                return Ok(Some((kind, data)));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_encoded_whatever_is_in_them() {
        let ask = Ask::get("/v1/kv").with("topic", "a b&c").with("key", "é/");
        assert_eq!(ask.target(), "/v1/kv?topic=a%20b%26c&key=%C3%A9%2F");
    }
}
