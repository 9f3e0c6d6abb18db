//! A process per measurement: its memory and CPU time are those of one network, and a network that hangs can be ended.

use std::process::Stdio;

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use crate::measure::Outcome;
use crate::plan::One;
use crate::systems::Failure;

/// The name of the subcommand that makes one measurement.
pub const ONE: &str = "one";

/// Has another process of this program make the measurement.
pub async fn measure(one: One) -> Result<Outcome, Failure> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg(ONE)
        .args(one.arguments())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut out = child.stdout.take().ok_or("the measuring process has no output")?;
    let mut text = String::new();
    let status = tokio::time::timeout(one.deadline(), async {
        out.read_to_string(&mut text).await?;
        child.wait().await
    });
    let status = status.await.map_err(|_| format!("it hangs: ended after {:?}", one.deadline()))??;
    if !status.success() {
        return Err(format!("the measuring process ended with {status}: what it said is above").into());
    }
    Ok(serde_json::from_str(&text)?)
}
