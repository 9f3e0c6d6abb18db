//! One run of a program: with JSON on stdin, so much time, and so much of its output kept.

use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::Rule;
use crate::agent::happening::Happening;

/// Longest answer to a question, bytes.
pub(super) const MAX_ANSWER: usize = 64 * 1024;
/// Bytes of stdout that are kept: an answer, and one more that tells that it is too long.
pub(crate) const OUT_KEPT: usize = MAX_ANSWER + 1;
/// Bytes of stderr that are kept.
pub(crate) const ERR_KEPT: usize = 8 * 1024;
/// After a program has ended, what it has started may hold its output open: for so long it is waited for.
const AFTERTHOUGHT: Duration = Duration::from_secs(1);

/// What came of it.
#[derive(Debug)]
pub(super) struct Ended {
    /// Its exit code; `None` if a signal has ended it.
    pub(super) code: Option<i32>,
    /// It took too long.
    pub(super) killed: bool,
    pub(super) out: Vec<u8>,
    pub(super) err: Vec<u8>,
    /// Bytes of output that were read and not kept.
    pub(super) left_out: u64,
    pub(super) took: Duration,
}

/// Runs it.
pub(super) async fn run(
    rule: &Rule,
    happening: &Happening,
    within: Duration,
    socket: &Path,
) -> io::Result<Ended> {
    let begun = Instant::now();
    let mut started = Started(start(rule, happening, socket)?);
    let child = &mut started.0;
    let input = format!("{}\n", happening.json());
    let (mut out, mut err) = (Kept::new(OUT_KEPT), Kept::new(ERR_KEPT));
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let talk = async {
        let (stdin, stdout, stderr) = pipes;
        let write = async {
            if let Some(mut stdin) = stdin {
                // Who does not read it need not.
                let _ = stdin.write_all(input.as_bytes()).await;
            }
        };
        tokio::join!(write, out.read(stdout), err.read(stderr));
    };
    let status = {
        let mut talk = std::pin::pin!(talk);
        let whole = async {
            let mut talked = false;
            let status = loop {
                tokio::select! {
                    status = child.wait() => break status,
                    () = &mut talk, if !talked => talked = true,
                }
            };
            if !talked {
                let _ = timeout(AFTERTHOUGHT, &mut talk).await;
            }
            status
        };
        timeout(within, whole).await
    };
    let killed = status.is_err();
    let code = match status {
        Ok(status) => status?.code(),
        Err(_) => {
            kill(child);
            let _ = child.wait().await;
            None
        }
    };
    let left_out = out.left_out + err.left_out;
    Ok(Ended { code, killed, out: out.bytes, err: err.bytes, left_out, took: begun.elapsed() })
}

fn start(rule: &Rule, happening: &Happening, socket: &Path) -> io::Result<Child> {
    let (program, arguments) =
        rule.run.split_first().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no program"))?;
    let mut command = Command::new(program);
    command.args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env("VOUCHSAFE_EVENT", happening.kind()).env("VOUCHSAFE_API", socket);
    // They are the agent's own.
    for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] {
        command.env_remove(name);
    }
    // A group of its own, so that all that it has started ends with it.
    command.process_group(0).kill_on_drop(true);
    command.spawn()
}

/// A program that is told to end where nobody waits for it any more: the agent stops.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        kill(&self.0);
    }
}

/// Tells the program and all that it has started to end, unless it has ended itself.
fn kill(child: &Child) {
    let group = child.id().and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?));
    if let Some(group) = group {
        // It may have ended this moment.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}

/// The beginning of an output. The rest is read, or its program would wait for ever.
struct Kept {
    bytes: Vec<u8>,
    most: usize,
    left_out: u64,
}

impl Kept {
    const fn new(most: usize) -> Self {
        Self { bytes: Vec::new(), most, left_out: 0 }
    }

    async fn read(&mut self, from: Option<impl AsyncRead + Unpin>) {
        let Some(mut from) = from else { return };
        let mut some = vec![0; 4096];
        // What can't be read has ended.
        while let Ok(read @ 1..) = from.read(&mut some).await {
            let keep = read.min(self.most - self.bytes.len());
            self.bytes.extend_from_slice(&some[..keep]);
            self.left_out += (read - keep) as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::happening::What;
    use tokio::net::unix::pipe::{OpenOptions, Receiver};
    use vouchsafe::MemberEvent;

    async fn ran(script: &str, within: Duration) -> Ended {
        let run = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
        let rule = Rule { on: Vec::new(), run, within };
        let happening = Happening::now(What::Member(MemberEvent::Isolated, None));
        super::run(&rule, &happening, within, Path::new("/x/api.sock")).await.unwrap()
    }

    const PATIENCE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_program_is_told_on_stdin_and_its_output_is_kept_up_to_a_limit() {
        let ended = ran("cat; echo $VOUCHSAFE_EVENT $VOUCHSAFE_API >&2; exit 3", PATIENCE).await;
        let told: serde_json::Value = serde_json::from_slice(&ended.out).unwrap();
        assert_eq!((told["kind"].as_str(), ended.code), (Some("isolated"), Some(3)));
        assert_eq!(ended.err, b"isolated /x/api.sock\n");
        let ended = ran("head -c 200000 /dev/zero; head -c 100000 /dev/zero >&2", PATIENCE).await;
        assert_eq!((ended.out.len(), ended.err.len()), (OUT_KEPT, ERR_KEPT));
        assert_eq!(ended.left_out as usize, 300_000 - OUT_KEPT - ERR_KEPT);
    }

    /// A script that starts a program and hangs with it, and what ends when the last of both has ended.
    fn hanging() -> (tempfile::TempDir, String, Receiver) {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let held = OpenOptions::new().open_receiver(&fifo).unwrap();
        let script = format!("exec 3> {}; trap '' TERM; sleep 1000 & echo on >&3; wait", fifo.display());
        (folder, script, held)
    }

    /// A signal is sent at once and met when its process next runs, so the end itself is waited for.
    async fn over(mut held: Receiver) -> String {
        let mut said = String::new();
        timeout(PATIENCE, held.read_to_string(&mut said)).await.expect("something still runs").unwrap();
        said
    }

    #[tokio::test]
    async fn one_that_hangs_is_killed_with_all_that_it_has_started() {
        // A slow machine takes long to start it.
        for within in [2, 10, 50] {
            let (folder, script, held) = hanging();
            // Its end is waited for, whether it had begun or not: then nobody else writes there.
            let writes = OpenOptions::new().open_sender(folder.path().join("fifo")).unwrap();
            let ran = async {
                let ended = ran(&script, Duration::from_secs(within)).await;
                drop(writes);
                ended
            };
            let (ended, said) = tokio::join!(ran, over(held));
            assert!(ended.killed && ended.code.is_none());
            if said == "on\n" {
                return;
            }
            assert_eq!(said, "");
        }
        panic!("it does not begin within 50 s");
    }

    #[tokio::test]
    async fn one_that_nobody_waits_for_any_more_ends_with_all_that_it_has_started() {
        let (_folder, script, mut held) = hanging();
        {
            let mut run = std::pin::pin!(ran(&script, PATIENCE * 2));
            let mut first = [0; 3];
            tokio::select! {
                ended = &mut run => panic!("{ended:?}"),
                read = held.read_exact(&mut first) => assert_eq!(read.unwrap(), 3),
            }
        }
        assert_eq!(over(held).await, "");
    }

    #[tokio::test]
    async fn what_it_leaves_running_holds_up_nothing() {
        let begun = Instant::now();
        let ended = ran("sleep 30 & echo done", PATIENCE).await;
        assert_eq!((ended.code, ended.out), (Some(0), b"done\n".to_vec()));
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}
