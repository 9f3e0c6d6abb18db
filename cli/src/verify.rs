//! `vouchsafe verify`: the verdicts of the rule on signatures from a file, for other implementations to compare with.

use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use vouchsafe::PublicKey;
use vouchsafe::rumor::Signature;
use vouchsafe::verify::{Item, Verifier, verify_raw};

use crate::exit::Failure;
use crate::files;
use crate::lines::{TooLong, line};

/// Longest line: room for a message of almost 8 MiB. Without a bound one line could fill the memory.
const MAX_LINE: usize = 16 << 20;
/// Lines that share a batch, as in a node.
const BATCH: usize = 64;
/// A batch is judged early once its lines hold this many bytes, so that long messages do not add up.
const BATCH_BYTES: usize = 16 << 20;

/// Judge Ed25519 signatures by vouchsafe's rule
///
/// Reads lines of JSON with the fields "key", "message" and "signature", all hexadecimal; other fields are ignored. For each
/// line prints {"single":BOOL,"batch":BOOL}: the verdict on the signature alone, and in a batch with the lines around it (64
/// at a time). The two must always agree. A key that is not 32 bytes or a signature that is not 64 is false, false.
///
/// A line that is not such JSON ends the run with exit code 2, after the verdicts on all lines before it were printed.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// File of lines; - is stdin
    #[arg(long, value_name = "FILE")]
    jsonl: PathBuf,
}

#[derive(Deserialize)]
struct Texts {
    key: String,
    message: String,
    signature: String,
}

struct Claim {
    key: Vec<u8>,
    message: Vec<u8>,
    signature: Vec<u8>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let mut stdout = io::BufWriter::new(io::stdout().lock());
    let path = &args.jsonl;
    let mut input = files::open(path).map_err(|error| Failure::file(path, &error))?;
    let name = if files::is_dash(path) { Path::new("stdin") } else { path };
    judge_all(&mut input, name, &mut stdout)
}

fn judge_all(input: &mut impl BufRead, path: &Path, out: &mut impl Write) -> Result<(), Failure> {
    let mut verifier = Verifier::new();
    let mut claims = Vec::new();
    let mut held = 0;
    let mut number = 0u64;
    let end = loop {
        number += 1;
        let claim = match line(input, MAX_LINE) {
            Ok(None) => break Ok(()),
            Ok(Some(Ok(line))) => parse(&line),
            Ok(Some(Err(TooLong))) => Err(format!(
                "it has more bytes than the {MAX_LINE} that a line may have: is it the right file?"
            )),
            Err(error) => break Err(Failure::file(path, &error)),
        };
        match claim {
            Ok(claim) => {
                held += claim.key.len() + claim.message.len() + claim.signature.len();
                claims.push(claim);
            }
            Err(why) => break Err(Failure::Usage(format!("{}, line {number}: {why}", path.display()))),
        }
        if claims.len() == BATCH || held >= BATCH_BYTES {
            judge(&mut verifier, &mut claims, out)?;
            held = 0;
        }
    };
    // Also on an error: the lines before it were good, and their verdicts are owed.
    judge(&mut verifier, &mut claims, out)?;
    out.flush()?;
    end
}

fn parse(line: &[u8]) -> Result<Claim, String> {
    let texts: Texts = serde_json::from_slice(line).map_err(|error| {
        format!(
            r#"not a JSON object with the texts "key", "message" and "signature" ({error}): write one object a line"#
        )
    })?;
    let bytes = |name: &str, text: &str| {
        hex::decode(text).map_err(|error| {
            let shown = crate::text::shortened(&crate::text::printable(text.as_bytes()), 40);
            format!("{name} \"{shown}\" is not hexadecimal ({error}): write two digits a byte")
        })
    };
    Ok(Claim {
        key: bytes("key", &texts.key)?,
        message: bytes("message", &texts.message)?,
        signature: bytes("signature", &texts.signature)?,
    })
}

/// Prints the verdicts on what was gathered, in its order, and empties it.
fn judge(verifier: &mut Verifier, claims: &mut Vec<Claim>, out: &mut impl Write) -> io::Result<()> {
    // Only what has the right widths can be in a batch; the rest is false without one.
    let typed: Vec<Option<(PublicKey, Signature)>> = claims
        .iter()
        .map(|claim| {
            let key = claim.key.as_slice().try_into().ok()?;
            let signature = claim.signature.as_slice().try_into().ok()?;
            Some((PublicKey::from_bytes(key), Signature::from_bytes(signature)))
        })
        .collect();
    let items: Vec<Item<'_>> = typed
        .iter()
        .zip(claims.iter())
        .filter_map(|(typed, claim)| {
            let (key, signature) = typed.as_ref()?;
            Some(Item { key, message: &claim.message, signature })
        })
        .collect();
    let mut batch = verifier.verify_batch(&items).into_iter();
    for (claim, typed) in claims.iter().zip(&typed) {
        let single = verify_raw(&claim.key, &claim.message, &claim.signature);
        let batch = typed.is_some() && batch.next().unwrap_or(false);
        writeln!(out, r#"{{"single":{single},"batch":{batch}}}"#)?;
    }
    claims.clear();
    Ok(())
}
