//! Prints what was found, and judges it.

use std::io::{self, Write};
use std::sync::Arc;

use vouchsafe::rumor::{Bundle, Header};
use vouchsafe::{Evidence, Proof, verify};

use super::kinds::Found;
use crate::text::{printable, shortened};

/// Characters of a body that are shown: enough to recognise it by.
const SHOWN: usize = 200;

/// Prints all about it; whether it holds.
pub(super) fn show(found: &Found, body: Option<&[u8]>, out: &mut impl Write) -> io::Result<bool> {
    match found {
        Found::Bundle(bundle) => show_bundle(bundle, out),
        Found::Proof(proof) => show_proof(proof, body, out),
        Found::Evidence(evidence) => show_evidence(evidence, out),
        Found::Broken { kind, why } => {
            field(out, "kind", kind)?;
            verdict(out, false, why)
        }
    }
}

fn show_bundle(bundle: &Arc<Bundle>, out: &mut impl Write) -> io::Result<bool> {
    field(out, "kind", "bundle")?;
    show_header(bundle.header(), out)?;
    for rumor in bundle.rumors() {
        let body = rumor.body();
        writeln!(out)?;
        field(out, "rumor", rumor.id())?;
        field(out, "position", rumor.position())?;
        field(out, "body", format_args!("{} bytes: {}", body.len(), shortened(&printable(body), SHOWN)))?;
    }
    writeln!(out)?;
    if verify::bundle(bundle) {
        verdict(out, true, "the bodies match the header and its author signed it")
    } else {
        verdict(out, false, "the bodies match the header, but its author did not sign it")
    }
}

fn show_proof(proof: &Proof, body: Option<&[u8]>, out: &mut impl Write) -> io::Result<bool> {
    field(out, "kind", "proof")?;
    show_header(&proof.signed_header().header, out)?;
    field(out, "proves", format_args!("the rumor at {}", proof.position()))?;
    let Some(body) = body else {
        return if verify::header(proof.signed_header()) {
            verdict(out, true, "its author signed it; give the body with --body to check what was said")
        } else {
            verdict(out, false, "its author did not sign it")
        };
    };
    match verify::proof(proof, body) {
        Ok(id) => {
            field(out, "rumor", id)?;
            verdict(out, true, "its author said exactly this body")
        }
        Err(error) => verdict(out, false, &error.to_string()),
    }
}

fn show_evidence(evidence: &Evidence, out: &mut impl Write) -> io::Result<bool> {
    field(out, "kind", "evidence")?;
    for (signed, name) in evidence.headers().into_iter().zip(["first", "second"]) {
        writeln!(out, "\n{name} statement")?;
        show_header(&signed.header, out)?;
        field(out, "signature", if verify::header(signed) { "holds" } else { "does not hold" })?;
    }
    writeln!(out)?;
    match verify::evidence(evidence) {
        Ok(()) => {
            verdict(out, true, &format!("{} said two things at one position: convicted", evidence.author()))
        }
        Err(error) => verdict(out, false, &format!("{error}: it convicts nobody")),
    }
}

fn show_header(header: &Header, out: &mut impl Write) -> io::Result<()> {
    field(out, "bundle", header.id())?;
    field(out, "topic", header.topic)?;
    field(out, "author", header.author)?;
    field(out, "tick", header.tick)?;
    let last = header.end_slot().saturating_sub(1);
    match header.count {
        1 => field(out, "slot", header.first_slot)?,
        count => field(out, "slots", format_args!("{} to {last} ({count} rumors)", header.first_slot))?,
    }
    field(out, "bytes", format_args!("{} of bodies", header.bytes))?;
    field(out, "manifest", hex::encode(header.manifest))
}

fn field(out: &mut impl Write, name: &str, value: impl std::fmt::Display) -> io::Result<()> {
    writeln!(out, "{name:<10} {value}")
}

fn verdict(out: &mut impl Write, holds: bool, why: &str) -> io::Result<bool> {
    field(out, "verdict", format_args!("{}: {why}", if holds { "holds" } else { "does not hold" }))?;
    Ok(holds)
}
