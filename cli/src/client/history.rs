//! `vouchsafe history` of a node that runs as an agent.

use serde_json::Value;

use super::http::Ask;
use super::{At, line, short, text};
use crate::exit::{self, Failure};
use crate::node::{in_runtime, status};

/// Prints what is kept of a topic, in the order in which it came, of an author whose key begins so, from a tick on.
pub(crate) fn history(
    at: &At,
    topic: &str,
    author: Option<&str>,
    from: u64,
    json: bool,
) -> Result<(), Failure> {
    in_runtime(async {
        let mut client = at.connect().await?;
        let mut cursor = "start".to_owned();
        loop {
            let page = client.ask(Ask::get("/v1/history").with("topic", topic).with("from", &cursor)).await?;
            let rumors = page["rumors"].as_array().map(Vec::as_slice).unwrap_or_default();
            let wanted = |rumor: &&Value| {
                let of = rumor["author"].as_str().unwrap_or_default();
                let tick =
                    text(rumor, "position").split('/').next().and_then(|tick| tick.parse::<u64>().ok());
                author.is_none_or(|digits| of.starts_with(digits)) && tick.is_none_or(|tick| tick >= from)
            };
            let shown: String = rumors
                .iter()
                .filter(wanted)
                .map(|rumor| if json { line(rumor) } else { shown(rumor) })
                .collect();
            exit::print(shown)?;
            for missed in page["missed"].as_array().into_iter().flatten() {
                status(format_args!(
                    "removed while it was read: places {} to {}",
                    missed["from"], missed["to"]
                ));
            }
            if page["more"] != true {
                return Ok(());
            }
            cursor = text(&page, "cursor");
        }
    })
}

fn shown(rumor: &Value) -> String {
    let late = if rumor["late"] == true { "late " } else { "" };
    format!("{} {} {late}{}\n", short(rumor, "author"), text(rumor, "position"), text(rumor, "body"))
}
