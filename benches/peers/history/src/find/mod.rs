//! Two sides in one process, without a network: what they say to each other until both know what one of them lacks, and has it.

mod chitchat;
mod iroh_docs;
mod negentropy;
pub(crate) mod ours;

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::items::Difference;
use crate::process::cpu;

/// What one step came to: finding, or taking over.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Cost {
    /// Bytes to the side that has all, and from it.
    pub(crate) up: u64,
    pub(crate) down: u64,
    /// Times that the side that lacks something waited for an answer.
    pub(crate) rounds: u64,
    /// Of both sides.
    pub(crate) cpu: Duration,
}

/// Until both sides know what is missing, and from there until the items have come, where they come in messages of their own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) known: Cost,
    pub(crate) come: Option<Cost>,
}

/// What a system makes of a difference; `None` where it has no word for it.
pub(crate) type Outcome = anyhow::Result<Option<Found>>;

/// What is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum System {
    Ours { folder: bool },
    Negentropy,
    IrohDocs { folder: bool },
    Chitchat,
}

impl System {
    pub(crate) const ALL: [(&'static str, Self); 6] = [
        ("vouchsafe", Self::Ours { folder: false }),
        ("vouchsafe-folder", Self::Ours { folder: true }),
        ("negentropy", Self::Negentropy),
        ("iroh-docs", Self::IrohDocs { folder: false }),
        ("iroh-docs-folder", Self::IrohDocs { folder: true }),
        ("chitchat", Self::Chitchat),
    ];

    /// What is there when all is known, of a system whose items have no messages of their own.
    pub(crate) const fn has_by_then(self) -> &'static str {
        match self {
            Self::Ours { .. } => "all",
            Self::Negentropy => "ids alone",
            Self::IrohDocs { .. } => "entries are there; contents come as blobs",
            Self::Chitchat => "all is there",
        }
    }

    pub(crate) fn run(self, difference: Difference, count: usize) -> Outcome {
        match self {
            Self::Ours { folder } => ours::run(difference, count, folder),
            Self::Negentropy => negentropy::run(difference, count),
            Self::IrohDocs { folder } => iroh_docs::run(difference, count, folder),
            Self::Chitchat => chitchat::run(difference, count),
        }
    }
}

/// Does something, and adds the time that it takes this process.
fn timed<T>(spent: &mut Duration, work: impl FnOnce() -> T) -> T {
    let before = cpu();
    let done = work();
    *spent += cpu().saturating_sub(before);
    done
}

/// One measurement, said in one line.
pub(crate) fn one(system: System, difference: Difference, count: usize) -> anyhow::Result<()> {
    let say = |cost: Cost| format!("{} {} {} {}", cost.up, cost.down, cost.rounds, cost.cpu.as_nanos());
    match system.run(difference, count)? {
        None => println!("none"),
        Some(Found { known, come: None }) => println!("{}", say(known)),
        Some(Found { known, come: Some(come) }) => println!("{} {}", say(known), say(come)),
    }
    Ok(())
}

/// Has another process make one, so that each has a process as it is when it begins.
pub(crate) fn measure(system: &str, difference: &str, count: usize) -> anyhow::Result<Option<Found>> {
    let child = Command::new(std::env::current_exe()?)
        .args(["one", system, difference, &count.to_string()])
        .stderr(Stdio::inherit())
        .output()?;
    anyhow::ensure!(child.status.success(), "{system}, {difference}: it ended with {}", child.status);
    let text = String::from_utf8(child.stdout)?;
    let figures: Vec<u64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let cost = |figures: &[u64]| match *figures {
        [up, down, rounds, cpu] => Some(Cost { up, down, rounds, cpu: Duration::from_nanos(cpu) }),
        _ => None,
    };
    let (known, come) = figures.split_at(figures.len().min(4));
    Ok(cost(known).map(|known| Found { known, come: cost(come) }))
}
