//! Writes the picture as SVG.

use std::fmt::Write as _;

use super::picture::Picture;
use crate::svg::{Point, begin, escaped, line};
use crate::text::shortened;

/// Space for the words at the sides.
const SIDE: f64 = 150.0;
const HEAD: f64 = 84.0;
const FOOT: f64 = 110.0;
/// Half the size of a liar's mark.
const MARK: f64 = 8.0;

const LIGHT: &str = "\
.ring { fill: none; stroke: #d4d4d0; stroke-width: 1 }
.way { fill: none; stroke: #8a8f98; stroke-width: 1.6 }
.lie { fill: none; stroke: #d62839; stroke-width: 1; stroke-dasharray: 3 4; opacity: .45 }
.liar { fill: #d62839; stroke: #fcfcfa; stroke-width: 1.5 }
.liarword { fill: #b81d2e }
.in { font-size: 11px; font-weight: 600; fill: #fff; text-anchor: middle }
.ms { font-size: 9px; fill: #555; text-anchor: middle; stroke: #fcfcfa; stroke-width: 3; paint-order: stroke }
.hop0 { fill: #c77700 } .hop1 { fill: #1f6fb5 } .hop2 { fill: #14807a }
.hop3 { fill: #7a4fb0 } .hop4 { fill: #5d6470 }
";
const DARK: &str = "\
.ring { stroke: #33373d } .way { stroke: #7f8792 } .liar { stroke: #16181c } .liarword { fill: #ff6b78 }
.ms { fill: #9a9a9a; stroke: #16181c } .lie { stroke: #ff6b78 }
";

/// Writing into a `String` can't fail, hence the ignored results.
pub(super) fn render(picture: &Picture) -> String {
    let (half_width, half_height) = (picture.radius + SIDE, picture.radius + 36.0);
    let (width, height) = (2.0 * half_width, HEAD + 2.0 * half_height + FOOT);
    let mut out = begin(width, height, "How one rumor spread", LIGHT, DARK);
    head(&mut out, picture);
    let _ = writeln!(out, r#"<g transform="translate({half_width:.1} {:.1})">"#, HEAD + half_height);
    for radius in picture.rings.iter().skip(1) {
        let _ = writeln!(out, r#"<circle class="ring" r="{radius:.1}"/>"#);
    }
    for liar in &picture.liars {
        for met in &liar.meets {
            line(&mut out, "lie", liar.at, *met);
        }
    }
    for (from, to) in picture.reached.iter().filter_map(|reached| Some((reached.from?, reached.at))) {
        line(&mut out, "way", from, to);
    }
    nodes(&mut out, picture);
    liars(&mut out, picture);
    out.push_str("</g>\n");
    legend(&mut out, picture, HEAD + 2.0 * half_height + 14.0);
    out.push_str("</svg>\n");
    out
}

fn head(out: &mut String, picture: &Picture) {
    let slowest = picture.reached.iter().map(|reached| reached.after_ms).fold(0.0, f64::max);
    let hops = picture.rings.len().saturating_sub(1);
    let fits = ((picture.radius + SIDE) * 2.0 / 9.5) as usize;
    let title = shortened(&format!("Rumor {}: “{}”", picture.rumor, picture.text), fits.max(20));
    let _ = writeln!(out, r#"<text class="title" x="20" y="32">{}</text>"#, escaped(&title));
    let _ = writeln!(
        out,
        r#"<text class="note" x="20" y="54">{} honest nodes reached in {hops} hops and {slowest:.1} ms; every one checked it before passing it on</text>"#,
        picture.reached.len()
    );
    if !picture.missed.is_empty() {
        let missed: Vec<_> = picture.missed.iter().map(ToString::to_string).collect();
        let _ = writeln!(
            out,
            r#"<text class="liarword" x="20" y="74">not reached: {}</text>"#,
            missed.join(", ")
        );
    }
}

fn nodes(out: &mut String, picture: &Picture) {
    for reached in &picture.reached {
        let Point { x, y } = reached.at;
        let size = if reached.hop == 0 { 17 } else { 12 };
        let _ = writeln!(
            out,
            r#"<g><title>node {}: hop {}, after {:.2} ms</title><circle class="hop{}" cx="{x:.1}" cy="{y:.1}" r="{size}"/>"#,
            reached.node,
            reached.hop,
            reached.after_ms,
            reached.hop.min(4)
        );
        let _ = writeln!(out, r#"<text class="in" x="{x:.1}" y="{:.1}">{}</text>"#, y + 4.0, reached.node);
        if reached.hop > 0 {
            let _ = writeln!(
                out,
                r#"<text class="ms" x="{x:.1}" y="{:.1}">{:.1}</text>"#,
                y + 22.0,
                reached.after_ms
            );
        }
        out.push_str("</g>\n");
    }
}

fn liars(out: &mut String, picture: &Picture) {
    for liar in &picture.liars {
        let Point { x, y } = liar.at;
        let became = match liar.kind.catch() {
            Some(super::plan::Catch::Offence) => format!("banned by {}", liar.caught),
            Some(super::plan::Catch::Conviction) => format!("convicted by {}", liar.caught),
            None => "broke no rule".to_owned(),
        };
        let _ = writeln!(
            out,
            r#"<g><title>liar {}: {}; {became}</title><path class="liar" d="M{x:.1} {:.1}l{MARK} {MARK}l-{MARK} {MARK}l-{MARK} -{MARK}z"/>"#,
            liar.number,
            liar.kind.name(),
            y - MARK
        );
        // Words stand outside the ring, so that they cover nothing.
        let across = x / picture.radius.max(1.0);
        let (anchor, dx, dy) = match across {
            _ if across > 0.25 => ("start", 14.0, 4.0),
            _ if across < -0.25 => ("end", -14.0, 4.0),
            _ if y < 0.0 => ("middle", 0.0, -14.0),
            _ => ("middle", 0.0, 24.0),
        };
        let _ = writeln!(
            out,
            r#"<text class="liarword" text-anchor="{anchor}" x="{:.1}" y="{:.1}">{}</text></g>"#,
            x + dx,
            y + dy,
            liar.kind.name()
        );
    }
}

fn legend(out: &mut String, picture: &Picture, top: f64) {
    let hops = picture.rings.len();
    let mut x = 28.0;
    for hop in 0..hops.min(5) {
        let words = match hop {
            0 => "publisher".to_owned(),
            1 => "1 hop".to_owned(),
            4 if hops > 5 => "4 hops and more".to_owned(),
            hop => format!("{hop} hops"),
        };
        let _ = writeln!(out, r#"<circle class="hop{hop}" cx="{x:.0}" cy="{top:.0}" r="8"/>"#);
        let _ = writeln!(out, r#"<text x="{:.0}" y="{:.0}">{words}</text>"#, x + 14.0, top + 4.0);
        x += 34.0 + 7.0 * words.len() as f64;
    }
    let rows = [
        ("way", "whose copy was accepted; below a node, milliseconds since the publish call"),
        ("lie", "link of a liar"),
    ];
    for (row, (class, words)) in rows.into_iter().enumerate() {
        let y = top + 26.0 + 22.0 * row as f64;
        line(out, class, Point { x: 20.0, y }, Point { x: 46.0, y });
        let _ = writeln!(out, r#"<text x="56" y="{:.0}">{words}</text>"#, y + 4.0);
    }
    if !picture.liars.is_empty() {
        let y = top + 70.0;
        let _ = writeln!(
            out,
            r#"<path class="liar" d="M33 {:.0}l{MARK} {MARK}l-{MARK} {MARK}l-{MARK} -{MARK}z"/>"#,
            y - MARK
        );
        let _ = writeln!(out, r#"<text x="56" y="{:.0}">liar, and what it does</text>"#, y + 4.0);
    }
}
