//! What is heard, and printed: as it comes, or from a store, where the last line that was printed is remembered.

use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use vouchsafe::{Cursor, Gap, Item, PublicKey, Replay, Rumor, Subscription, TopicHandle};

use super::status::{aside, status};
use crate::exit::Failure;
use crate::text::printable;

/// Beside the store: behind which rumor the printed lines end.
const PRINTED: &str = "printed";
/// How often that is written at the most.
const REMEMBER_EVERY: Duration = Duration::from_millis(200);

pub(super) enum Heard {
    Live(Box<Subscription>),
    Kept(Box<Kept>),
}

/// What a store keeps.
pub(super) struct Kept {
    replay: Replay,
    own: PublicKey,
    file: PathBuf,
    /// Behind what was printed, if it is not written yet.
    printed: Option<Cursor>,
    written: Instant,
}

impl Heard {
    /// Rumors as they come.
    pub(super) fn live(topic: &TopicHandle) -> Self {
        Self::Live(Box::new(topic.subscribe()))
    }

    /// Rumors that are kept, behind those that were printed before.
    pub(super) fn kept(topic: &TopicHandle, folder: &Path) -> Result<Self, Failure> {
        let file = folder.join(PRINTED);
        let cursor = match fs::read_to_string(&file) {
            Ok(text) => text.trim().parse().map_err(|error| {
                Failure::Usage(format!("{}: {error}; remove it to print all that is kept", file.display()))
            })?,
            Err(error) if error.kind() == ErrorKind::NotFound => Cursor::START,
            Err(error) => return Err(Failure::file(&file, &error)),
        };
        let (replay, own) = (topic.replay(cursor), topic.node().author());
        Ok(Self::Kept(Box::new(Kept { replay, own, file, printed: None, written: Instant::now() })))
    }

    /// Prints the next thing that is heard.
    pub(super) async fn next(&mut self) -> Result<(), Failure> {
        match self {
            Self::Live(rumors) => live(rumors).await,
            Self::Kept(kept) => kept.next().await,
        }
    }
}

fn stopped() -> Failure {
    Failure::failed("the node has stopped by itself: start it again")
}

async fn live(rumors: &mut Subscription) -> Result<(), Failure> {
    match rumors.next().await {
        Some(Ok(delivery)) if delivery.via.is_none() => {}
        Some(Ok(delivery)) => print(&delivery)?,
        Some(Err(Gap::Lagged(count))) => {
            status(format_args!("{count} rumors were not printed: stdout is too slow"));
        }
        Some(Err(gap)) => status(gap),
        None => return Err(stopped()),
    }
    Ok(())
}

impl Kept {
    async fn next(&mut self) -> Result<(), Failure> {
        // What was printed is remembered when there is nothing to print, or now and then.
        let next = match tokio::time::timeout(REMEMBER_EVERY, self.replay.next()).await {
            Ok(next) => next,
            Err(_) => return self.remember(),
        };
        match next {
            Some(Ok(Item::Rumor { cursor, rumor, .. })) => {
                if rumor.author() != self.own {
                    print(&rumor)?;
                }
                self.printed = Some(cursor);
                if self.written.elapsed() >= REMEMBER_EVERY {
                    self.remember()?;
                }
            }
            Some(Ok(Item::Missed { from, to })) => {
                status(format_args!(
                    "some rumors were removed before they were printed (places {from} to {to})"
                ));
            }
            Some(Ok(_)) => {}
            Some(Err(vouchsafe::ReplayError::Foreign)) => {
                return Err(Failure::Usage(format!(
                    "{} belongs to another store, or to a later state of this one: remove it to print all that is kept",
                    self.file.display()
                )));
            }
            Some(Err(error)) => status(error),
            None => return Err(stopped()),
        }
        Ok(())
    }

    fn remember(&mut self) -> Result<(), Failure> {
        let Some(cursor) = self.printed.take() else { return Ok(()) };
        let new = self.file.with_extension("new");
        let written = fs::write(&new, format!("{cursor}\n")).and_then(|()| fs::rename(&new, &self.file));
        self.written = Instant::now();
        written.map_err(|error| Failure::file(&self.file, &error))
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // What can't be written is printed once more at the next start.
        let _ = self.remember();
    }
}

fn print(rumor: &Rumor) -> Result<(), Failure> {
    let line = format!("{} {} {}", rumor.author().short(), rumor.position(), printable(rumor.body()));
    aside(|| {
        let mut out = io::stdout().lock();
        writeln!(out, "{line}")?;
        Ok(out.flush()?)
    })
}
