//! Answers: an object, a stream, or why there is none.

use std::convert::Infallible;
use std::fmt::Display;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Body;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};
use vouchsafe::protocol::AdmissionRefusal;
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
    /// The methods with which the path can be asked, if it was the method.
    allow: Option<HeaderValue>,
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
        Self { status, what, allow: None }
    }

    /// The same, with the methods that there are.
    pub(super) fn allowing(self, methods: &[&str]) -> Self {
        Self { allow: HeaderValue::from_str(&methods.join(", ")).ok(), ..self }
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
        let mut reply =
            whole(self.status, "application/json", format!("{}\n", json!({ "error": self.what })));
        if let Some(allow) = self.allow {
            reply.headers_mut().insert(ALLOW, allow);
        }
        reply
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
        // Where the library names its own functions, or nothing that can be done.
        let what = match &error {
            PublishError::NoLink => {
                "no link to anybody in this topic yet: ask again when there is one, or check the bootstrap addresses".to_owned()
            }
            PublishError::NotRelayed { links } => format!(
                "none of the {links} linked peers relays this topic: ask again when one does, or make all its rules alike on all nodes; \
                 /v1/topics tells its id"
            ),
            PublishError::NoCell(_) => "this is a topic of keys: write one with PUT /v1/kv".to_owned(),
            PublishError::NotAdmitted(_) => format!("{error}: name it there on all nodes, or write in another topic"),
            PublishError::WouldWait => "no slot or no room right now: ask again, less often".to_owned(),
            PublishError::PositionLog(_) | PublishError::Store(_) => {
                format!("{error}; make room on the disk of the state folder, and make it writable")
            }
            _ => error.to_string(),
        };
        Self::new(status, what)
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
            QueryError::NoAddress => Self::busy(
                "nobody can dial this node, so nobody could answer: configure listen or advertise so that others reach it",
            ),
            QueryError::TooMany => Self::busy(
                "64 questions of this node are open, the most there may be: ask again when one is over",
            ),
            QueryError::Nobody { links } => Self::busy(format!(
                "none of this node's {links} neighbours takes questions: ask again when an agent is linked, or check the bootstrap addresses"
            )),
            error => Self::busy(error),
        }
    }
}

impl From<AdmissionError> for Refusal {
    fn from(error: AdmissionError) -> Self {
        match error {
            AdmissionError::Closed(closed) => closed.into(),
            AdmissionError::Refused(AdmissionRefusal::NoAllowList) => Self::new(
                StatusCode::CONFLICT,
                "this agent has no allow_list, so there is nothing to take the key from: expel the key, or configure such a list".to_owned(),
            ),
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
