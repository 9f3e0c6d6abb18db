//! Answers: an object, a stream, or why there is none.

use std::convert::Infallible;
use std::fmt::Display;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Body;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};
use vouchsafe::{
    AdmissionError, Closed, KvError, PublishError, PutError, QueryError, ReplayError, WaitError,
};

use crate::agent::page;

/// The body of an answer.
pub(super) type Said = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;
/// An answer.
pub(super) type Reply = Response<Said>;

/// Why a request was not done: a status, and a sentence.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    what: String,
}

/// The live page.
pub(super) fn page() -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from_static(page::body().as_bytes())).boxed_unsync());
    for (name, value) in page::headers() {
        reply.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    reply
}

impl Refusal {
    pub(super) const fn new(status: StatusCode, what: String) -> Self {
        Self { status, what }
    }

    /// What was given can't be used.
    pub(super) fn bad(what: impl Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, what.to_string())
    }

    /// It can't be done now.
    pub(super) fn busy(what: impl Display) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, what.to_string())
    }

    /// There is no such thing.
    pub(super) fn absent(what: impl Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, what.to_string())
    }

    /// Something failed that should not.
    pub(super) fn failed(what: impl Display) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, what.to_string())
    }

    #[cfg(test)]
    pub(super) const fn status(&self) -> StatusCode {
        self.status
    }

    pub(super) fn reply(self) -> Reply {
        whole(self.status, "application/json", format!("{}\n", json!({ "error": self.what })))
    }
}

impl From<Closed> for Refusal {
    fn from(_: Closed) -> Self {
        Self::busy("the agent is leaving: ask again when it is back")
    }
}

impl From<PublishError> for Refusal {
    fn from(error: PublishError) -> Self {
        let status = match &error {
            PublishError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            PublishError::NoCell(_) | PublishError::NoBundle { .. } => StatusCode::BAD_REQUEST,
            PublishError::NotAdmitted(_) => StatusCode::FORBIDDEN,
            PublishError::Convicted | PublishError::DuplicateWriter => StatusCode::CONFLICT,
            PublishError::TimedOut(_) => StatusCode::GATEWAY_TIMEOUT,
            PublishError::Closed => return Closed.into(),
            error if error.is_temporary() => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}

impl From<PutError> for Refusal {
    fn from(error: PutError) -> Self {
        match error {
            PutError::Publish(error) => error.into(),
            PutError::Cell(_) | PutError::Empty => Self::bad(error),
            error => Self::new(StatusCode::CONFLICT, error.to_string()),
        }
    }
}

impl From<KvError> for Refusal {
    fn from(error: KvError) -> Self {
        match error {
            KvError::Closed(closed) => closed.into(),
            KvError::NoState(_) => {
                Self::bad("this topic is a log and has no keys: name a topic of kind = \"state\"")
            }
            error => Self::busy(error),
        }
    }
}

impl From<ReplayError> for Refusal {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Closed => Closed.into(),
            ReplayError::NotKept(_) => Self::bad(error),
            ReplayError::Foreign => Self::new(
                StatusCode::CONFLICT,
                "the cursor is of another store, or of a later state of this one: begin again with from=start".to_owned(),
            ),
            error => Self::busy(error),
        }
    }
}

impl From<QueryError> for Refusal {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Closed(closed) => closed.into(),
            QueryError::Publish(error) => error.into(),
            QueryError::TooLong { .. } => Self::new(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
            QueryError::Within(_) => Self::bad(error),
            error => Self::busy(error),
        }
    }
}

impl From<AdmissionError> for Refusal {
    fn from(error: AdmissionError) -> Self {
        match error {
            AdmissionError::Closed(closed) => closed.into(),
            AdmissionError::Refused(error) => Self::new(StatusCode::CONFLICT, error.to_string()),
            error => Self::failed(error),
        }
    }
}

impl From<WaitError> for Refusal {
    fn from(error: WaitError) -> Self {
        match error {
            WaitError::Closed(closed) => closed.into(),
            error => Self::busy(error),
        }
    }
}

/// A value as JSON.
pub(super) fn object(value: &Value) -> Reply {
    whole(StatusCode::OK, "application/json", format!("{value}\n"))
}

/// A text.
pub(super) fn text(kind: &'static str, text: String) -> Reply {
    whole(StatusCode::OK, kind, text)
}

fn whole(status: StatusCode, kind: &'static str, text: String) -> Reply {
    with(status, kind, Full::new(Bytes::from(text)).boxed_unsync())
}

fn with(status: StatusCode, kind: &'static str, body: Said) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // No browser takes it for a page.
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    reply
}

/// A stream, of parts as they come.
pub(super) fn stream(
    kind: &'static str,
    parts: impl Body<Data = Bytes, Error = Infallible> + Send + 'static,
) -> Reply {
    with(StatusCode::OK, kind, parts.boxed_unsync())
}
