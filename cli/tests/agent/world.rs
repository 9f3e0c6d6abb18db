//! Agents of a test, and a client that says exactly what it is told.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use vouchsafe_testkit::command::{PATIENCE, Running, wait_for};

pub(crate) fn vouchsafe() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vouchsafe"));
    command.env_remove("VOUCHSAFE_API").env_remove("NOTIFY_SOCKET");
    command
}

pub(crate) fn run(args: &[&str]) -> Output {
    vouchsafe().args(args).stdin(Stdio::null()).output().unwrap()
}

/// What every agent of a test has, before what a test wants besides.
const COMMON: &str = "network = \"net\"\nlisten = \"127.0.0.1:0\"\nprofile = \"local\"\n";

/// Topics that most tests need.
pub(crate) const TOPICS: &str = "
[[topic]]
name = \"log\"
retention = \"1h\"
[[topic]]
name = \"chat\"
[[topic]]
name = \"conf\"
kind = \"state\"
";

/// A folder with a configuration and the state of one agent.
pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
}

impl Place {
    /// With a configuration of its own.
    pub(crate) fn new(config: &str) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        place.write(config);
        place
    }

    /// Takes another configuration.
    pub(crate) fn write(&self, config: &str) {
        std::fs::write(self.config(), format!("{COMMON}state = \"state\"\n{config}")).unwrap();
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("agent.toml")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.state().join("api.sock")
    }

    /// The command that starts it.
    pub(crate) fn command(&self, flags: &[&str]) -> Command {
        let mut command = vouchsafe();
        command.arg("agent").arg("--config").arg(self.config()).args(flags);
        command
    }

    /// Starts it, and waits until it answers.
    pub(crate) fn start(&self, flags: &[&str]) -> Agent {
        let running = Running::of(&mut self.command(flags));
        wait_for(&running.err, "the agent runs");
        Agent { running, socket: self.socket() }
    }
}

/// An agent that runs.
pub(crate) struct Agent {
    pub(crate) running: Running,
    pub(crate) socket: PathBuf,
}

impl Agent {
    /// Asks, without a body.
    pub(crate) fn get(&self, target: &str) -> Value {
        self.good("GET", target, b"")
    }

    pub(crate) fn post(&self, target: &str, body: &[u8]) -> Value {
        self.good("POST", target, body)
    }

    /// Asks, and wants no refusal.
    pub(crate) fn good(&self, method: &str, target: &str, body: &[u8]) -> Value {
        let (status, answer) = self.ask(method, target, body);
        assert_eq!(status, 200, "{method} {target}: {answer}");
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{target}: {error}: {answer}"))
    }

    /// The status and the body of the answer.
    pub(crate) fn ask(&self, method: &str, target: &str, body: &[u8]) -> (u16, String) {
        ask(&self.socket, method, target, body).unwrap()
    }

    /// Where others find it.
    pub(crate) fn address(&self) -> String {
        self.get("/v1/info")["address"].as_str().unwrap().to_owned()
    }

    pub(crate) fn key(&self) -> String {
        self.get("/v1/info")["node"].as_str().unwrap().to_owned()
    }

    /// Server-sent events, of which the stream is open when this answers.
    pub(crate) fn events(&self, target: &str, headers: &str) -> Events {
        let mut stream = connect(&self.socket).unwrap();
        write!(stream, "GET {target} HTTP/1.1\r\nhost: x\r\n{headers}\r\n").unwrap();
        let mut events = Events { lines: BufReader::new(stream) };
        let status = events.line().unwrap();
        assert!(status.contains(" 200 "), "{status}");
        while events.line().unwrap() != "" {}
        events
    }

    /// A command that asks it.
    pub(crate) fn command(&self, args: &[&str]) -> Output {
        let command = vouchsafe().args(args).env("VOUCHSAFE_API", &self.socket).stdin(Stdio::null()).output();
        command.unwrap()
    }

    /// Asks it to end as a service manager does; its exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        self.running.signal("-TERM");
        self.running.child.wait().unwrap().code()
    }
}

/// Two agents that are linked and in the same topics.
pub(crate) fn pair(config: &str) -> [(Place, Agent); 2] {
    let places = [Place::new(config), Place::new(config)];
    let first = places[0].start(&[]);
    let second = places[1].start(&["--peer", &first.address()]);
    for agent in [&first, &second] {
        until("both are members", || agent.get("/v1/info")["members_here"].as_u64() == Some(2));
    }
    let [one, other] = places;
    [(one, first), (other, second)]
}

/// An agent that listens on loopback TCP, too: it, where, and its token.
pub(crate) fn with_tcp(place: &Place, flags: &[&str]) -> (Agent, String, String) {
    let running = Running::of(&mut place.command(&[&["--api-tcp", "127.0.0.1:0"], flags].concat()));
    let line = wait_for(&running.err, "listens on loopback");
    let addr = line.rsplit_once("local=").unwrap().1.trim().to_owned();
    wait_for(&running.err, "the agent runs");
    let file = place.state().join("api.token");
    assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    let token = std::fs::read_to_string(file).unwrap().trim().to_owned();
    (Agent { running, socket: place.socket() }, addr, token)
}

/// Looks again until it is so, and not for ever. It is for what an agent tells only whoever asks, such as its figures and its members: there
/// is no event to wait for, so it is asked again after a pause. What gives a sign (a line, an answer, an event of a stream) is waited for.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn connect(socket: &Path) -> std::io::Result<UnixStream> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Asks over a socket; what the whole answer says.
pub(crate) fn ask(socket: &Path, method: &str, target: &str, body: &[u8]) -> std::io::Result<(u16, String)> {
    let mut stream = connect(socket)?;
    let head = format!(
        "{method} {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat())?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text)?;
    answer(&String::from_utf8_lossy(&text)).ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
}

/// Sends bytes over TCP as they are; the status of the answer, if there is one.
pub(crate) fn send(addr: &str, bytes: &[u8]) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // It may hang up before all is written.
    let _ = stream.write_all(bytes);
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text);
    answer(&String::from_utf8_lossy(&text))
}

fn answer(text: &str) -> Option<(u16, String)> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

/// A stream of server-sent events.
pub(crate) struct Events {
    lines: BufReader<UnixStream>,
}

impl Events {
    /// The connection. What was read ahead is gone.
    pub(crate) fn into_inner(self) -> UnixStream {
        self.lines.into_inner()
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.lines.read_line(&mut line).expect("an event came in time");
        (read > 0).then(|| line.trim_end().to_owned())
    }

    /// The next id, with or without an event.
    pub(crate) fn id(&mut self) -> String {
        loop {
            let line = self.line().expect("the stream goes on");
            if let Some(id) = line.strip_prefix("id: ") {
                return id.to_owned();
            }
        }
    }

    /// The next event: its kind, its id, and its data. `None` at the end.
    pub(crate) fn maybe(&mut self) -> Option<(String, Option<String>, Value)> {
        let (mut kind, mut id) = (String::new(), None);
        let begun = Instant::now();
        loop {
            // A stream on which nothing happens says so now and then.
            assert!(begun.elapsed() < PATIENCE, "no event came");
            let line = self.line()?;
            // Sizes of chunks stand between the lines.
            if let Some(name) = line.strip_prefix("event: ") {
                name.clone_into(&mut kind);
            } else if let Some(cursor) = line.strip_prefix("id: ") {
                id = Some(cursor.to_owned());
            } else if let Some(data) = line.strip_prefix("data: ") {
                return Some((kind, id, serde_json::from_str(data).unwrap()));
            }
        }
    }

    pub(crate) fn next(&mut self) -> (String, Option<String>, Value) {
        self.maybe().expect("the stream goes on")
    }

    /// The data of the next event of that kind.
    pub(crate) fn wait_for(&mut self, wanted: &str) -> Value {
        loop {
            let (kind, _, data) = self.next();
            if kind == wanted {
                return data;
            }
        }
    }
}
