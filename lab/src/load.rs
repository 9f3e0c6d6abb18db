//! What processes take, as the kernel counts it, and a child that burns as much: measurements of several processes share two cores.
//! Where there is no /proc, figures are 0.

use std::error::Error;
use std::time::{Duration, Instant};

/// A copy of this process with other arguments, which ends when this is dropped.
pub struct Child(std::process::Child);

impl Child {
    /// Starts it.
    ///
    /// # Errors
    /// Of the system.
    pub fn start(arguments: impl IntoIterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        Ok(Self(std::process::Command::new(std::env::current_exe()?).args(arguments).spawn()?))
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Errors mean that it has ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// User and system seconds of a process with all its threads, from /proc, in steps of 10 ms; 0 where there is none.
pub fn cpu_of(id: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // The second field is a name in parentheses that may hold spaces; the times are the 12th and 13th after it.
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// The same of this process.
pub fn own_cpu() -> f64 {
    cpu_of(std::process::id())
}

/// Bytes that went to a disk for this process.
pub fn bytes_written() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    io.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.parse().ok()).unwrap_or(0)
}

/// Resident memory of this process.
pub fn resident_mib() -> u64 {
    vouchsafe_cli::process::memory().unwrap_or(0) / (1 << 20)
}

/// Seconds that all processors together have spent on anything, in steps of 10 ms; 0 where there is no /proc.
pub fn machine_cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = stat.lines().next().unwrap_or_default().split_whitespace().skip(1);
    // user nice system idle iowait irq softirq steal; what follows is counted in user already.
    let busy = fields.take(8).enumerate().filter(|(at, _)| !matches!(at, 3 | 4));
    busy.filter_map(|(_, text)| text.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Keeps so many processors busy, until it is killed: in turns of 4 ms, as a process that waits for packets would.
pub fn burn(processors: f64) -> ! {
    const TURN: Duration = Duration::from_millis(4);
    let threads = processors.ceil().max(1.0);
    let share = (processors / threads).clamp(0.0, 1.0);
    let turns = move || {
        loop {
            let started = Instant::now();
            while started.elapsed() < TURN.mul_f64(share) {
                std::hint::spin_loop();
            }
            std::thread::sleep(TURN.saturating_sub(started.elapsed()));
        }
    };
    for _ in 1..threads as usize {
        std::thread::spawn(turns);
    }
    turns()
}
