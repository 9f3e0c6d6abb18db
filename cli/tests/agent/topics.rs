//! Publishing, subscribing, members, keys.

use serde_json::json;

use crate::world::{Events, Place, TOPICS, pair, until};

#[test]
fn what_is_published_is_heard_and_a_reader_goes_on_where_it_stood() {
    let [(_a, first), (place, second)] = pair(TOPICS);
    for number in 0..5 {
        let said = first.post("/v1/publish?topic=log", format!("word {number}").as_bytes());
        assert_eq!(said["id"].as_str().unwrap().len(), 64);
    }
    let mut events = second.events("/v1/subscribe?topic=log&from=start", "");
    let mut last = None;
    for number in 0..3 {
        let (kind, id, data) = events.next();
        assert_eq!((kind.as_str(), &data["body"]), ("rumor", &json!(format!("word {number}"))));
        last = id;
    }
    drop(events);
    until("it has heard all", || {
        second.get("/v1/history?topic=log")["rumors"].as_array().unwrap().len() == 5
    });
    // The reader is away, and so is its agent, and more is said.
    assert_eq!(second.stop(), Some(0));
    first.ask("POST", "/v1/publish?topic=log&within=1s", b"while it was away");
    let second = place.start(&["--peer", &first.address()]);
    first.post("/v1/publish?topic=log", b"\xff\x00");
    let header = format!("Last-Event-ID: {}\r\n", last.unwrap());
    let mut events = second.events("/v1/subscribe?topic=log&from=start", &header);
    for wanted in ["word 3", "word 4"] {
        assert_eq!(events.wait_for("rumor")["body"], wanted);
    }
    // What came meanwhile has its place behind them, and what is no text is told apart.
    while events.wait_for("rumor")["body_hex"] != "ff00" {}
    let history = second.get("/v1/history?topic=log&limit=2");
    assert_eq!((history["rumors"].as_array().unwrap().len(), &history["more"]), (2, &json!(true)));
    let cursor = history["cursor"].as_str().unwrap();
    let next = second.get(&format!("/v1/history?topic=log&from={cursor}"));
    assert_eq!(next["rumors"][0]["body"], "word 2");
    assert_eq!(next["more"], false);
    let own = first.get("/v1/info")["author"].as_str().unwrap().to_owned();
    let own = second.get(&format!("/v1/history?topic=log&author={own}"));
    let own = own["rumors"].as_array().unwrap();
    assert!(own.len() >= 6);
    // A page of them, what is behind it, and a page that ends with the last.
    let author = own[0]["author"].as_str().unwrap();
    let page = |limit: usize, behind: &str| {
        second.get(&format!("/v1/history?topic=log&author={author}&limit={limit}{behind}"))
    };
    assert_eq!(page(2, "")["more"], true);
    let behind = format!("&behind={}", own[1]["position"].as_str().unwrap());
    let rest = page(own.len() - 2, &behind);
    assert_eq!((&rest["rumors"].as_array().unwrap()[..], &rest["more"]), (&own[2..], &json!(false)));
}

#[test]
fn a_live_reader_of_a_kept_topic_goes_on_where_it_stood_before_and_after_its_first_rumor() {
    let [(_a, first), (_b, second)] = pair(TOPICS);
    first.post("/v1/publish?topic=log", b"before");
    until("it is kept", || !second.get("/v1/history?topic=log")["rumors"].as_array().unwrap().is_empty());
    // It stands somewhere before it has heard anything.
    let stands = second.events("/v1/subscribe?topic=log", "").id();
    first.post("/v1/publish?topic=log", b"one");
    first.post("/v1/publish?topic=log", b"two");
    let on = |from: &str| second.events("/v1/subscribe?topic=log", &format!("Last-Event-ID: {from}\r\n"));
    let mut events = on(&stands);
    let (_, after_one, data) = events.next();
    assert_eq!((&data["body"], data["cursor"].as_str()), (&json!("one"), after_one.as_deref()));
    assert_eq!(events.next().2["body"], "two");
    // Both read on together with one who listens from now on, and each rumor comes once.
    let mut readers = [events, on(&after_one.unwrap()), second.events("/v1/subscribe?topic=log", "")];
    assert_eq!(readers[1].next().2["body"], "two");
    let say = |readers: &mut [Events], word: String| {
        first.post("/v1/publish?topic=log", word.as_bytes());
        readers.iter_mut().for_each(|reader| assert_eq!(reader.next().2["body"], *word));
    };
    (0..5).for_each(|number| say(&mut readers, format!("more {number}")));
    // After a time in which nothing is said they read what others read.
    let alone = || second.get("/v1/stats")["agent"]["api_streams_alone"].as_u64().unwrap();
    until("none reads by itself any more", || alone() == 0);
    (5..10).for_each(|number| say(&mut readers, format!("more {number}")));
    // As it spreads, without ids.
    let mut live = second.events("/v1/subscribe?topic=log&from=live", "");
    first.post("/v1/publish?topic=log", b"live");
    let (kind, id, data) = live.next();
    assert_eq!((kind.as_str(), id, &data["body"]), ("rumor", None, &json!("live")));
}

#[test]
fn events_are_told_on_behind_the_last_one_and_what_is_gone_is_counted() {
    let [(place, first), (_b, second)] = pair(TOPICS);
    let stands = first.events("/v1/events?from=now", "").id();
    for number in 0..3 {
        second.post(&format!("/v1/event?name=number-{number}"), b"");
    }
    let heard = |events: &mut Events| loop {
        let (kind, id, data) = events.next();
        if kind == "event" {
            return (data["name"].as_str().unwrap().to_owned(), id.unwrap());
        }
    };
    let mut events = first.events("/v1/events", &format!("Last-Event-ID: {stands}\r\n"));
    let all: Vec<_> = (0..3).map(|_| heard(&mut events)).collect();
    assert_eq!(
        all.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["number-0", "number-1", "number-2"]
    );
    // Behind the first of them, each of the others once.
    let mut events = first.events(&format!("/v1/events?from={}", all[0].1), "");
    assert_eq!([heard(&mut events), heard(&mut events)], [all[1].clone(), all[2].clone()]);
    // More than is remembered: 8 MiB. Each is heard before the next is said: else more of them come, and more is gone, while a
    // reader reads.
    let body = vec![b'x'; 16_000];
    let mut live = first.events("/v1/events?from=now", "");
    for _ in 0..700 {
        second.post("/v1/event?name=long", &body);
        assert_eq!(heard(&mut live).0, "long");
    }
    let mut events = first.events("/v1/events", &format!("Last-Event-ID: {}\r\n", all[2].1));
    let (kind, id, data) = events.next();
    let missed = data["count"].as_u64().unwrap();
    assert!(kind == "missed" && (100..700).contains(&missed), "{data}");
    // It goes on behind them, and so does who comes back from there.
    assert_ne!(events.next().0, "missed");
    assert_eq!(heard(&mut events).0, "long");
    let mut again = first.events("/v1/events", &format!("Last-Event-ID: {}\r\n", id.unwrap()));
    assert_ne!(again.next().2["count"], json!(missed));
    for bad in ["x", "0000000000000000/y", &format!("{}0000000", all[0].1)] {
        let (status, said) = first.ask("GET", &format!("/v1/events?from={bad}"), b"");
        assert!(status == 400 && said.contains("from=now"), "{said}");
    }
    // Another life has told nothing of what came before it.
    drop(first);
    let first = place.start(&[]);
    let mut events = first.events("/v1/events", &format!("Last-Event-ID: {}\r\n", all[0].1));
    let (kind, _, data) = events.next();
    assert!(kind == "missed" && data["why"].as_str().unwrap().contains("started again"), "{data}");
}

#[test]
fn a_topic_that_is_not_kept_is_heard_live_and_has_no_cursor() {
    let [(_a, first), (_b, second)] = pair(TOPICS);
    let mut events = second.events("/v1/subscribe?topic=chat", "");
    first.post("/v1/publish?topic=chat", b"hello");
    let (kind, id, data) = events.next();
    assert_eq!((kind.as_str(), id, &data["body"]), ("rumor", None, &json!("hello")));
    for target in ["/v1/subscribe?topic=chat&from=start", "/v1/history?topic=chat"] {
        let (status, said) = second.ask("GET", target, b"");
        assert!(status == 400 && said.contains("not kept"), "{said}");
    }
    assert_eq!(first.stop(), Some(0));
    // A stream ends with its agent, and says so.
    let mut events = second.events("/v1/events", "");
    assert_eq!(second.stop(), Some(0));
    while let Some((kind, _, _)) = events.maybe() {
        if kind == "end" {
            return;
        }
    }
    panic!("the stream has ended without a word");
}

#[test]
fn members_are_shown_and_explained_with_what_they_have_signed() {
    let [(_a, first), (_b, second)] = pair("metadata = \"role=db\"\n");
    let key = second.key();
    let members = first.get("/v1/members");
    let members = members["members"].as_array().unwrap();
    let other = members.iter().find(|member| member["key"] == *key).unwrap();
    assert_eq!((&other["state"], &other["metadata"]), (&json!("alive"), &json!("role=db")));
    let explained = first.get(&format!("/v1/explain?key={key}"));
    assert_eq!((&explained["holds"], &explained["member"]["key"]), (&json!(true), &json!(key)));
    assert!(explained["record"]["bundle"].as_str().unwrap().len() > 200);
    let (status, _) = first.ask("GET", &format!("/v1/explain?key={}", "11".repeat(32)), b"");
    assert_eq!(status, 404);
}

#[test]
fn keys_are_written_read_watched_and_deleted() {
    let [(_a, first), (_b, second)] = pair(TOPICS);
    let mut changes = second.events("/v1/kv/watch?topic=conf&prefix=limits/", "");
    first.good("PUT", "/v1/kv?topic=conf&key=limits/mail", b"100");
    first.good("PUT", "/v1/kv?topic=conf&key=other", b"x");
    let put = changes.wait_for("put");
    assert_eq!((&put["key"], &put["value"]), (&json!("limits/mail"), &json!("100")));
    let author = first.get("/v1/info")["author"].as_str().unwrap().to_owned();
    let got = second.get("/v1/kv?topic=conf&key=limits%2Fmail");
    assert_eq!((&got["value"], &got["author"]), (&json!("100"), &json!(author)));
    assert_eq!(second.get(&format!("/v1/kv?topic=conf&key=limits/mail&author={author}")), got);
    first.good("DELETE", "/v1/kv?topic=conf&key=limits/mail", b"");
    assert_eq!(changes.wait_for("delete")["key"], "limits/mail");
    let (status, said) = second.ask("GET", "/v1/kv?topic=conf&key=limits/mail", b"");
    assert!(status == 404 && said.contains("no value"), "{said}");
    for number in 0..5 {
        first.good("PUT", &format!("/v1/kv?topic=conf&key=page/{number}"), b"v");
    }
    let page = first.get("/v1/kv/scan?topic=conf&prefix=page/&limit=2");
    assert_eq!((page["entries"].as_array().unwrap().len(), &page["after"]), (2, &json!("page/1")));
    let page = first.get("/v1/kv/scan?topic=conf&prefix=page/&after=page/1");
    assert_eq!((page["entries"].as_array().unwrap().len(), &page["more"]), (3, &json!(false)));
    for (target, word) in [
        ("/v1/kv?topic=log&key=a", "a log and has no keys"),
        ("/v1/kv?topic=nope&key=a", "it has chat, conf, log"),
        ("/v1/kv?topic=conf", "parameter key is missing"),
        ("/v1/kv?topic=conf&key=a&agreed=2", "does not name its writers"),
    ] {
        let (status, said) = first.ask("GET", target, b"");
        assert!(status == 400 && said.contains(word), "{target}: {said}");
    }
}

#[test]
fn who_is_expelled_stays_out_through_a_restart_until_it_is_admitted() {
    let [(place, first), (_b, second)] = pair(TOPICS);
    let key = second.key();
    let mut events = first.events("/v1/events", "");
    first.post(&format!("/v1/expel?key={key}&for=1h"), b"");
    assert_eq!(events.wait_for("member-removed")["key"], *key);
    drop(first);
    let first = place.start(&[]);
    let expelled = first.get("/v1/evidence")["expelled"].clone();
    assert_eq!(expelled[0]["key"], *key);
    assert!(expelled[0]["for_s"].as_u64() > Some(3_000));
    first.post(&format!("/v1/admit?key={key}"), b"");
    assert_eq!(first.get("/v1/evidence")["expelled"], json!([]));
    drop(first);
    let first = place.start(&[]);
    assert_eq!(first.get("/v1/evidence")["expelled"], json!([]));
}

#[test]
fn who_is_admitted_to_a_list_stands_in_its_file() {
    let place = Place::new("allow_list = \"allow\"\n");
    let (file, key) = (place.folder.path().join("allow"), "11".repeat(32));
    std::fs::write(&file, format!("{}\n", "22".repeat(32))).unwrap();
    let agent = place.start(&[]);
    assert_eq!(agent.post(&format!("/v1/admit?key={key}"), b"")["outcome"], "changed");
    drop(agent);
    let agent = place.start(&[]);
    assert_eq!(agent.get("/v1/allowed")["allowed"], json!([key, "22".repeat(32)]));
    assert_eq!(agent.post(&format!("/v1/admit?key={key}"), b"")["outcome"], "unchanged");
}

#[test]
fn a_rumor_that_nobody_hears_is_refused_in_time_and_figures_are_given() {
    let place = Place::new(TOPICS);
    let agent = place.start(&[]);
    let (status, said) = agent.ask("POST", "/v1/publish?topic=log&within=500ms", b"x");
    assert!(matches!(status, 503 | 504) && said.contains("error"), "{status}: {said}");
    let (status, metrics) = agent.ask("GET", "/metrics", b"");
    assert_eq!(status, 200);
    for line in
        ["vouchsafe_links 0", "vouchsafe_members{state=\"alive\"} 1", "vouchsafe_impaired{what=\"clock\"} 0"]
    {
        assert!(metrics.lines().any(|found| found == line), "{line}: {metrics}");
    }
    let key = agent.key();
    assert!(!metrics.contains(&key[..8]));
    // Each line is a comment, or a name, labels of fixed words, and a number.
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok() && name.starts_with("vouchsafe_"), "{line}");
    }
    assert_eq!(agent.get("/v1/stats")["agent"]["api_streams"], 0);
}
