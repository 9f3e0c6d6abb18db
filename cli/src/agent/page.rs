//! The live page: what a browser gets at the agent's address, before it shows a token. It holds nothing of the node or its network; its
//! script asks the interface for that.
//!
//! Whatever members write stays text: the page makes no markup of it, and the policy lets nothing run or load but the page's own script
//! and style, which are named by their hashes.

use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

/// The page. One file, so that there is nothing to fetch beside it.
const HTML: &str = include_str!("page/page.html");

/// What the browser may do with it.
static POLICY: LazyLock<String> = LazyLock::new(|| policy(HTML));

/// The body of the answer to `GET /`.
#[must_use]
pub fn body() -> &'static str {
    HTML
}

/// The headers of that answer, names in lower case. Its length is left to whoever sends it.
#[must_use]
pub fn headers() -> [(&'static str, &'static str); 8] {
    [
        ("content-type", "text/html; charset=utf-8"),
        ("content-security-policy", &POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        // For browsers that do not know `frame-ancestors`.
        ("x-frame-options", "DENY"),
    ]
}

/// Nothing but the one script, the one style, the icon in the page itself, and requests to where the page came from. With trusted types,
/// a browser that knows them refuses to make markup of a text at all.
fn policy(page: &str) -> String {
    let [script, style] = ["script", "style"].map(|tag| inside(page, tag).map_or_else(none, source));
    format!(
        "default-src 'none'; script-src {script}; style-src {style}; img-src data:; connect-src 'self'; \
         frame-ancestors 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
}

fn none() -> String {
    "'none'".to_owned()
}

/// A text as a policy names it.
fn source(text: &str) -> String {
    format!("'sha256-{}'", base64(&Sha256::digest(text.as_bytes())))
}

/// What stands between the first `<tag>` and `</tag>`.
fn inside<'a>(page: &'a str, tag: &str) -> Option<&'a str> {
    let (_, rest) = page.split_once(&format!("<{tag}>"))?;
    rest.split_once(&format!("</{tag}>")).map(|(inside, _)| inside)
}

/// Base64 with padding, as RFC 4648 has it in its section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |chunk: &[u8]| {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        let digit = move |at: usize| char::from(DIGITS[(bits >> (18 - 6 * at) & 63) as usize]);
        let digits = chunk.len() + 1;
        [0, 1, 2, 3].map(|at| if at < digits { digit(at) } else { '=' })
    };
    bytes.chunks(3).flat_map(group).collect()
}

#[cfg(test)]
mod tests;
