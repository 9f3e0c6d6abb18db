//! `vouchsafe inspect`: what are these bytes, and do they hold? Offline: nothing but the bytes is asked.

mod input;
mod kinds;
mod show;

use std::path::PathBuf;

use crate::exit::{self, Failure};
use crate::files::is_dash;
use kinds::Found;

/// Decode and judge a bundle, a proof or evidence
///
/// The bytes come as hexadecimal digits or as they are; which of the three kinds they are is found out. Prints the fields and
/// whether it holds: bodies and lists match what was signed, and the signatures are genuine. Says nothing about the rules of
/// the topic, which the bytes name but do not contain.
///
/// Exit code: 0 it holds; 1 it does not; 2 it is none of the three (with the reason for each).
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
#[command(group(clap::ArgGroup::new("bytes").required(true).args(["hex", "file"])))]
pub(crate) struct Args {
    /// The bytes, as hexadecimal digits
    #[arg(long, value_name = "HEX")]
    hex: Option<String>,
    /// File with the bytes, hexadecimal or raw; - is stdin
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// With a proof: also check that it proves this body (a file; - is stdin)
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let dash = |path: &Option<PathBuf>| path.as_deref().is_some_and(is_dash);
    if dash(&args.file) && dash(&args.body) {
        return Err(Failure::usage(
            "stdin can be the proof or the body, not both: put one of them into a file",
        ));
    }
    let bytes = match (&args.hex, &args.file) {
        (Some(text), _) => input::from_hex(text)?,
        (None, Some(path)) => input::from_file(path)?,
        (None, None) => return Err(Failure::usage("give the bytes with --hex or as a file")),
    };
    let body = args.body.as_deref().map(input::raw_file).transpose()?;
    let found = kinds::recognise(&bytes).map_err(|reasons| Failure::Usage(reasons.to_string()))?;
    if body.is_some() && !matches!(found, Found::Proof(_) | Found::Broken { kind: "proof", .. }) {
        return Err(Failure::Usage(format!(
            "--body goes with a proof, and this is {}: leave it out",
            found.with_article()
        )));
    }
    let mut shown = Vec::new();
    let holds = show::show(&found, body.as_deref(), &mut shown)?;
    // The exit code is the verdict, also for whoever reads no more than the first line.
    match exit::print(&shown) {
        Ok(()) | Err(Failure::OutputClosed) if !holds => Err(Failure::No),
        printed => printed,
    }
}
