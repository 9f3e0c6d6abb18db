//! A request, taken apart: its path, its parameters, and its body.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::HeaderMap;
use hyper::http::request::Parts;
use hyper::{Method, Request, StatusCode};
use vouchsafe::PublicKey;

use super::limits::{BODY, BODY_WITHIN, LONGEST, WITHIN};
use super::reply::Refusal;
use crate::agent::config::duration;

/// A request. Each parameter is asked for once; what nobody has asked for is refused, so that no misspelt one is passed over.
pub(super) struct Ask {
    head: Parts,
    parameters: BTreeMap<String, String>,
    /// The names that were asked for.
    known: BTreeSet<&'static str>,
    body: Option<Incoming>,
}

impl Ask {
    pub(super) fn new(request: Request<Incoming>) -> Result<Self, Refusal> {
        let (head, body) = request.into_parts();
        let mut parameters = BTreeMap::new();
        for pair in head.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decoded = decode(name).zip(decode(value));
            let (name, value) = decoded.ok_or_else(|| {
                Refusal::bad(format!(
                    "{pair:?} is no parameter in UTF-8: write each other byte as % and two digits, as in a%2Fb"
                ))
            })?;
            if parameters.contains_key(&name) {
                return Err(Refusal::bad(format!("the parameter {name:?} stands twice: give it once")));
            }
            parameters.insert(name, value);
        }
        Ok(Self { head, parameters, known: BTreeSet::new(), body: Some(body) })
    }

    pub(super) const fn method(&self) -> &Method {
        &self.head.method
    }

    pub(super) fn path(&self) -> &str {
        self.head.uri.path()
    }

    pub(super) const fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// Whether a parameter is given.
    pub(super) fn has(&mut self, name: &'static str) -> bool {
        self.known.insert(name);
        self.parameters.contains_key(name)
    }

    /// A parameter, if it is given.
    pub(super) fn maybe(&mut self, name: &'static str) -> Option<String> {
        self.known.insert(name);
        self.parameters.remove(name)
    }

    /// A parameter that must be given.
    pub(super) fn must(&mut self, name: &'static str) -> Result<String, Refusal> {
        self.maybe(name)
            .ok_or_else(|| Refusal::bad(format!("the parameter {name} is missing: add ?{name}=...")))
    }

    /// A number, if it is given.
    pub(super) fn number(&mut self, name: &'static str, most: usize) -> Result<Option<usize>, Refusal> {
        let Some(text) = self.maybe(name) else { return Ok(None) };
        let number = text.parse().ok().filter(|number| (1..=most).contains(number));
        number.map(Some).ok_or_else(|| Refusal::bad(format!("{name}={text}: give a number from 1 to {most}")))
    }

    /// A key, if it is given.
    pub(super) fn key(&mut self, name: &'static str) -> Result<Option<PublicKey>, Refusal> {
        let Some(text) = self.maybe(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|error| Refusal::bad(format!("{name}={text}: {error}")))
    }

    /// For how long to wait.
    pub(super) fn within(&mut self) -> Result<Duration, Refusal> {
        let Some(text) = self.maybe("within") else { return Ok(WITHIN) };
        let time = duration(&text).map_err(|why| Refusal::bad(format!("within={text}: {why}")))?;
        match time.is_zero() || time > LONGEST {
            true => Err(Refusal::bad(format!("within={text}: give 1ms to {}s", LONGEST.as_secs()))),
            false => Ok(time),
        }
    }

    /// Refuses parameters that nobody has asked for.
    pub(super) fn no_more(&self) -> Result<(), Refusal> {
        let Some(name) = self.parameters.keys().next() else { return Ok(()) };
        let known: Vec<_> = self.known.iter().copied().collect();
        let has = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Err(Refusal::bad(format!("{} has no parameter {name:?}; it has {has}", self.path())))
    }

    /// The body, all of it.
    pub(super) async fn body(&mut self) -> Result<Bytes, Refusal> {
        let Some(body) = self.body.take() else { return Ok(Bytes::new()) };
        let too_large = || {
            let what = format!(
                "a body of more than {BODY} bytes: no topic takes so much; split it, or publish its hash"
            );
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, what)
        };
        if body.size_hint().lower() > BODY as u64 {
            return Err(too_large());
        }
        match tokio::time::timeout(BODY_WITHIN, Limited::new(body, BODY).collect()).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
            Ok(Err(error)) => {
                Err(Refusal::bad(format!("the body can't be read: {error}; send as much as the head says")))
            }
            Err(_) => {
                let what = format!(
                    "the body did not come within {} s: send it again, without a pause",
                    BODY_WITHIN.as_secs()
                );
                Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, what))
            }
        }
    }
}

/// Undoes percent encoding; a plus is a space, as forms have it.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (high, low) = (digit(rest.next())?, digit(rest.next())?);
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn percent_encoding_is_undone_and_what_is_none_is_refused() {
        assert_eq!(decode("a%2Fb+c%C3%A9").as_deref(), Some("a/b cé"));
        for bad in ["%", "%2", "%zz", "%ff", "a%+1"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
