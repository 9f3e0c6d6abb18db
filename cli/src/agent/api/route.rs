//! Which path does what.

use std::sync::Arc;

use hyper::{Method, StatusCode};

use super::ask::Ask;
use super::reply::{self, Refusal, Reply};
use super::{Shared, admission, history, kv, metrics, publish, query, show, streams};

/// All paths, each with its method.
pub(super) const PATHS: [(&str, &str); 25] = [
    ("GET", "/"),
    ("GET", "/metrics"),
    ("GET", "/v1/events"),
    ("GET", "/v1/evidence"),
    ("GET", "/v1/explain"),
    ("GET", "/v1/history"),
    ("GET", "/v1/info"),
    ("GET", "/v1/kv"),
    ("GET", "/v1/kv/scan"),
    ("GET", "/v1/kv/watch"),
    ("GET", "/v1/members"),
    ("GET", "/v1/stats"),
    ("GET", "/v1/subscribe"),
    ("PUT", "/v1/kv"),
    ("DELETE", "/v1/kv"),
    ("POST", "/v1/admit"),
    ("POST", "/v1/connect"),
    ("POST", "/v1/disallow"),
    ("POST", "/v1/event"),
    ("POST", "/v1/expel"),
    ("POST", "/v1/leave"),
    ("POST", "/v1/publish"),
    ("POST", "/v1/query"),
    ("GET", "/v1/topics"),
    ("GET", "/v1/allowed"),
];

/// Does what a request asks for.
pub(super) async fn route(shared: &Arc<Shared>, ask: &mut Ask) -> Result<Reply, Refusal> {
    let path = ask.path().to_owned();
    match (ask.method().as_str(), path.as_str()) {
        ("GET", "/") => Ok(reply::page()),
        ("GET", "/metrics") => metrics::metrics(shared, ask).await,
        ("GET", "/v1/allowed") => admission::allowed(shared, ask).await,
        ("GET", "/v1/events") => streams::events(shared, ask),
        ("GET", "/v1/evidence") => show::evidence(shared, ask).await,
        ("GET", "/v1/explain") => show::explain(shared, ask).await,
        ("GET", "/v1/history") => history::history(shared, ask).await,
        ("GET", "/v1/info") => show::info(shared, ask).await,
        ("GET", "/v1/kv") => kv::get(shared, ask).await,
        ("GET", "/v1/kv/scan") => kv::scan(shared, ask).await,
        ("GET", "/v1/kv/watch") => kv::watch(shared, ask).await,
        ("GET", "/v1/members") => show::members(shared, ask).await,
        ("GET", "/v1/stats") => show::stats(shared, ask).await,
        ("GET", "/v1/subscribe") => streams::subscribe(shared, ask).await,
        ("GET", "/v1/topics") => show::topics(shared, ask),
        ("PUT", "/v1/kv") => kv::put(shared, ask).await,
        ("DELETE", "/v1/kv") => kv::delete(shared, ask).await,
        ("POST", "/v1/admit") => admission::admit(shared, ask).await,
        ("POST", "/v1/connect") => admission::connect(shared, ask).await,
        ("POST", "/v1/disallow") => admission::disallow(shared, ask).await,
        ("POST", "/v1/event") => publish::event(shared, ask).await,
        ("POST", "/v1/expel") => admission::expel(shared, ask).await,
        ("POST", "/v1/leave") => admission::leave(shared, ask),
        ("POST", "/v1/publish") => publish::publish(shared, ask).await,
        ("POST", "/v1/query") => query::query(shared, ask).await,
        _ => Err(none(ask.method(), &path)),
    }
}

fn none(method: &Method, path: &str) -> Refusal {
    let methods: Vec<_> =
        PATHS.iter().filter(|(_, known)| *known == path).map(|(method, _)| *method).collect();
    if methods.is_empty() {
        return Refusal::absent(format!("there is no {path:?}: docs/api.md lists what there is"));
    }
    let what = format!("{path} is asked with {}, and this was {method}", methods.join(" or "));
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, what).allowing(&methods)
}
