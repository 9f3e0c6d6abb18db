//! What the page must keep to, read from its text. What it does in a browser is tested in `cli/tests/page.rs`.

use std::collections::BTreeMap;

use super::*;

/// The one element of that tag.
fn only(tag: &str) -> &'static str {
    assert_eq!(HTML.matches(&format!("<{tag}")).count(), 1, "one {tag}, without attributes");
    inside(HTML, tag).unwrap()
}

/// The page without its script and style.
fn markup() -> String {
    HTML.replace(only("script"), "").replace(only("style"), "")
}

/// The tags of the markup: name and attributes.
fn tags(markup: &str) -> Vec<(String, String)> {
    let opened = markup.split('<').skip(1).filter(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()));
    let parse = |rest: &str| {
        let tag = rest.split('>').next().unwrap();
        let (name, attributes) = tag.split_once(char::is_whitespace).unwrap_or((tag, ""));
        (name.to_owned(), attributes.to_owned())
    };
    opened.map(parse).collect()
}

/// The value of an attribute, in quotes.
fn attribute<'a>(attributes: &'a str, name: &str) -> Option<&'a str> {
    let wanted = format!("{name}=\"");
    let mut found = attributes.match_indices(&wanted);
    let (at, _) = found.find(|(at, _)| *at == 0 || attributes[..*at].ends_with(char::is_whitespace))?;
    attributes[at + wanted.len()..].split('"').next()
}

#[test]
fn base64_is_that_of_rfc_4648() {
    let vectors = [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg=="),
        ("fooba", "Zm9vYmE="),
    ];
    for (bytes, text) in vectors {
        assert_eq!(base64(bytes.as_bytes()), text);
    }
    assert_eq!(base64(&[0xfb, 0xff, 0xbf]), "+/+/");
}

#[test]
fn the_policy_names_the_script_and_the_style_and_lets_nothing_else_run() {
    // The hash of an empty text, as everybody knows it.
    assert_eq!(source(""), "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='");
    let policy = headers().into_iter().find(|(name, _)| *name == "content-security-policy").unwrap().1;
    let rules: BTreeMap<_, _> = policy.split(';').map(|rule| rule.trim().split_once(' ').unwrap()).collect();
    assert_eq!(rules["script-src"], source(only("script")));
    assert_eq!(rules["style-src"], source(only("style")));
    for rule in ["default-src", "frame-ancestors", "base-uri", "form-action", "trusted-types"] {
        assert_eq!(rules[rule], "'none'", "{rule}");
    }
    assert_eq!((rules["connect-src"], rules["img-src"]), ("'self'", "data:"));
    assert!(!policy.contains("unsafe") && !policy.contains('*') && !policy.contains("http"));
    // A page without them lets nothing run, and not everything.
    let bare = super::policy("<p>");
    assert!(bare.contains("script-src 'none'; style-src 'none'"), "{bare}");
    // A browser hashes the text with ends of lines as Unix has them.
    assert!(!HTML.contains('\r'));
}

#[test]
fn the_answer_can_be_sent_as_it_is() {
    for (name, value) in headers() {
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{name}");
        assert!(value.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{name}: {value}");
    }
    let get = |wanted: &str| headers().into_iter().find(|(name, _)| *name == wanted).map(|(_, value)| value);
    assert_eq!(get("x-content-type-options"), Some("nosniff"));
    assert_eq!(get("referrer-policy"), Some("no-referrer"));
    assert_eq!(get("cache-control"), Some("no-store"));
    assert_eq!(get("cross-origin-opener-policy"), Some("same-origin"));
    assert!(body().starts_with("<!doctype html>"));
}

#[test]
fn the_page_fetches_nothing_from_elsewhere_and_makes_no_markup_of_a_text() {
    // Its comments are those that no address looks like.
    assert!(!HTML.contains("//"), "an address, or a comment that looks like one");
    for word in [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval",
        "Function(",
        "srcdoc",
        "createContextualFragment",
        "DOMParser",
        "setHTML",
        "javascript:",
        "import(",
        "import ",
        "@import",
        "url(",
        "EventSource",
        "WebSocket",
        "XMLHttpRequest",
        "sendBeacon",
        "localStorage",
        "document.cookie",
        "setTimeout('",
        "setTimeout(\"",
        "'style'",
        ".style",
    ] {
        assert!(!HTML.contains(word), "{word}");
    }
    // The policy would stop them; and nobody need find out why they do nothing.
    for (name, attributes) in tags(&markup()) {
        for named in attributes.split_whitespace() {
            assert!(!named.starts_with("on") && !named.starts_with("style="), "<{name} {attributes}>");
            let fetches =
                named.starts_with("src=") || named.starts_with("action=") || named.starts_with("formaction=");
            assert!(!fetches, "<{name} {attributes}>");
        }
        if let Some(to) = attribute(&attributes, "href") {
            assert!(to.starts_with('#') || to.starts_with("data:image/"), "<{name} {attributes}>");
        }
        assert!(
            !["iframe", "object", "embed", "base", "img", "audio", "video"].contains(&name.as_str()),
            "<{name}>"
        );
    }
    // No handler is set as a property either: `.on... =`.
    let script = only("script");
    for (at, _) in script.match_indices(".on") {
        let rest = script[at + 3..].trim_start_matches(|c: char| c.is_ascii_lowercase()).trim_start();
        assert!(!rest.starts_with('=') || rest.starts_with("=="), "{}", &script[at..at + 20]);
    }
    assert!(!script.contains("setAttribute('on"));
}

#[test]
fn whatever_can_be_used_has_a_name() {
    let markup = markup();
    for (name, attributes) in tags(&markup) {
        let named = match name.as_str() {
            "input" | "select" | "textarea" => {
                let id = attribute(&attributes, "id").expect("a label needs an id to point at");
                markup.contains(&format!("for=\"{id}\""))
            }
            "section" => attribute(&attributes, "aria-labelledby")
                .is_some_and(|id| markup.contains(&format!("id=\"{id}\""))),
            "svg" | "nav" | "dl" if !attributes.contains("facts") => attributes.contains("aria-label"),
            // What can be scrolled can be reached by the keyboard, and says what it is.
            "div" if attributes.contains("class=\"scroll\"") => {
                attributes.contains("tabindex=\"0\"")
                    && attributes.contains("role=\"region\"")
                    && attributes.contains("aria-label=")
            }
            "html" => attribute(&attributes, "lang").is_some(),
            _ => true,
        };
        assert!(named, "<{name} {attributes}>");
    }
    for button in markup.split("<button").skip(1) {
        let words = button.split_once('>').unwrap().1.split("</button>").next().unwrap();
        assert!(!words.trim().is_empty() || button.contains("aria-label"), "a button without words");
    }
    for table in markup.split("<table").skip(1) {
        let table = table.split("</table>").next().unwrap();
        assert!(table.contains("<caption") && table.contains("scope=\"col\""), "{table}");
    }
    for landmark in ["<header", "<nav", "<main", "<h1", "aria-live", "class=\"skip\""] {
        assert!(markup.contains(landmark), "{landmark}");
    }
    assert!(only("style").contains("prefers-reduced-motion") && only("style").contains(":focus-visible"));
    assert!(!only("style").contains("outline: none") && !only("style").contains("outline: 0"));
}

/// The colours of a theme, by their names.
fn colours(block: &str) -> BTreeMap<&str, [f64; 3]> {
    let mut found = BTreeMap::new();
    for declared in block.split(';').filter_map(|one| one.trim().strip_prefix("--")) {
        let (name, value) = declared.split_once(':').unwrap();
        let digits = value.trim().strip_prefix('#').filter(|digits| digits.len() == 6).expect("#rrggbb");
        let part = |at: usize| f64::from(u8::from_str_radix(&digits[at..at + 2], 16).unwrap()) / 255.0;
        found.insert(name, [part(0), part(2), part(4)]);
    }
    found
}

/// As WCAG 2 defines it.
fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
    let light = |of: [f64; 3]| {
        let [r, g, b] =
            of.map(|part| if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) });
        0.2126 * r + 0.7152 * g + 0.0722 * b
    };
    let (one, other) = (light(one), light(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn both_themes_can_be_read() {
    assert!((contrast([0.0; 3], [1.0; 3]) - 21.0).abs() < 1e-9);
    let blocks: Vec<_> =
        only("style").split(":root {").skip(1).map(|rest| rest.split('}').next().unwrap()).collect();
    assert_eq!(blocks.len(), 2, "light, and dark");
    let [light, dark] = [colours(blocks[0]), colours(blocks[1])];
    assert!(light.keys().eq(dark.keys()), "each colour has both");
    for (theme, colours) in [("light", light), ("dark", dark)] {
        let assert_pair = |front: &str, back: &str, least: f64| {
            let found = contrast(colours[front], colours[back]);
            assert!(found >= least, "{theme}: {front} on {back} is {found:.2}, and {least} is wanted");
        };
        for back in ["bg", "panel", "raised", "warn-bg", "bad-bg", "fresh"] {
            for front in ["text", "muted", "accent"] {
                assert_pair(front, back, 4.5);
            }
        }
        for front in ["ok", "warn", "bad"] {
            assert_pair(front, "panel", 4.5);
            assert_pair(front, "fresh", 4.5);
        }
        assert_pair("warn", "warn-bg", 4.5);
        assert_pair("on-accent", "accent", 4.5);
        // The edge of what can be used, and the ring of the focus.
        assert_pair("edge", "panel", 3.0);
        assert_pair("accent", "panel", 3.0);
    }
    // Colours stand in the properties alone.
    let rest = only("style").replace(blocks[0], "").replace(blocks[1], "");
    let stray = rest.match_indices('#').find(|(at, _)| {
        let name: String = rest[at + 1..].chars().take_while(char::is_ascii_alphanumeric).collect();
        [3, 6].contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_hexdigit())
    });
    assert_eq!(stray, None);
}
