//! Words for requests that can't be read. hyper answers these by itself, with a status and nothing more.

use serde_json::json;

use super::limits::HEAD;

/// Lines of a head that hyper reads.
const LINES: usize = 100;
/// How its own answers begin, and what none of ours has in it.
const BEGINS: &[u8] = b"HTTP/1.1 4";
const IS_EMPTY: &str = "\r\ncontent-length: 0\r\n";

/// The answer in place of one that is written now, if hyper has made that.
pub(super) fn answer(written: &[u8]) -> Option<Vec<u8>> {
    let head = written.strip_suffix(b"\r\n\r\n").filter(|head| head.starts_with(BEGINS))?;
    let head = format!("{}\r\n", std::str::from_utf8(head).ok()?);
    if !head.contains(IS_EMPTY) {
        return None;
    }
    let what = match head.get(9..12)? {
        "414" | "431" => format!(
            "the head of a request has at most {HEAD} bytes and {LINES} lines, and this one has more: send what is long as the body"
        ),
        _ => "this is no request of HTTP/1.1: send METHOD /PATH HTTP/1.1, a line for each header, an empty line, and as long a \
              body as content-length says"
            .to_owned(),
    };
    let body = format!("{}\n", json!({ "error": what }));
    let length = format!("\r\ncontent-type: application/json\r\ncontent-length: {}\r\n", body.len());
    Some(format!("{}\r\n{body}", head.replacen(IS_EMPTY, &length, 1)).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_without_a_word_has_words_and_all_else_stays_as_it_is() {
        let empty = b"HTTP/1.1 431 Too Large\r\nconnection: close\r\ncontent-length: 0\r\ndate: now\r\n\r\n";
        let text = String::from_utf8(answer(empty).unwrap()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 431 Too Large\r\nconnection: close\r\n"), "{head}");
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{head}");
        let said: serde_json::Value = serde_json::from_str(body).unwrap();
        assert!(said["error"].as_str().unwrap().contains("16384 bytes"), "{said}");
        for other in [
            &b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"[..],
            b"HTTP/1.1 404 Not Found\r\ncontent-length: 7\r\n\r\n",
            b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\nx",
            b"data: HTTP/1.1 4\r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.1 4\xff\r\ncontent-length: 0\r\n\r\n",
            b"",
        ] {
            assert_eq!(answer(other), None, "{}", String::from_utf8_lossy(other));
        }
    }
}
