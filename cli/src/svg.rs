//! What all pictures share: the frame, the words' looks on light and dark backgrounds, and how strangers' words get in.

use std::fmt::Write as _;

/// Plain classes instead of colours in each element, so that one block of CSS serves a light and a dark background.
const LIGHT: &str = "\
text { font: 12px system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: #333 }
.title { font-size: 17px; font-weight: 600; fill: #111 }
.note { fill: #666 }
.back { fill: #fcfcfa }
";
const DARK: &str =
    "text { fill: #ccc } .title { fill: #f2f2f2 } .note { fill: #9a9a9a } .back { fill: #16181c }\n";

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
}

/// The beginning of a picture: size, style, background. `light` and `dark` are the picture's own rules.
/// Writing into a `String` can't fail, hence the ignored results, here and below.
pub(crate) fn begin(width: f64, height: f64, title: &str, light: &str, dark: &str) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0} {height:.0}" width="{width:.0}" height="{height:.0}" role="img">"#
    );
    let _ = writeln!(
        out,
        "<title>{}</title>\n<style>\n{LIGHT}{light}@media (prefers-color-scheme: dark) {{\n{DARK}{dark}}}\n</style>",
        escaped(title)
    );
    let _ = writeln!(out, r#"<rect class="back" width="100%" height="100%"/>"#);
    out
}

pub(crate) fn line(out: &mut String, class: &str, from: Point, to: Point) {
    let _ = writeln!(
        out,
        r#"<line class="{class}" x1="{:.1}" y1="{:.1}" x2="{:.1}" y2="{:.1}"/>"#,
        from.x, from.y, to.x, to.y
    );
}

/// Words at a point; `class` may be several, parted by spaces.
pub(crate) fn text(out: &mut String, class: &str, at: Point, words: &str) {
    let _ =
        writeln!(out, r#"<text class="{class}" x="{:.1}" y="{:.1}">{}</text>"#, at.x, at.y, escaped(words));
}

/// Text for XML. Control characters are gone already; two code points are forbidden in XML besides.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn a_rumor_cant_write_svg() {
        assert_eq!(escaped("</text><script>\"&\u{ffff}"), "&lt;/text&gt;&lt;script&gt;&quot;&amp;\u{fffd}");
    }
}
