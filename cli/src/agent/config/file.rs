//! The file of a configuration.

use std::path::{Path, PathBuf};

use toml::de::DeTable;
use vouchsafe::{Config, NetworkId, PeerAddr};

use super::faults::{Fault, Faults, line_of};
use super::table::{Found, Table};
use super::{Api, HANDLER_WITHIN, Log, Settings, Topics, rules, values};
use crate::agent::handlers::{self, Filter, Rule};
use crate::files;

/// Bytes of a configuration. (Guess: 64 topics with 4 096 authors each, and as many handlers as there may be.)
const MOST_BYTES: u64 = 32 << 20;
/// Topics beside that of events, and those of its questions and its list of authors, of the 64 that a node relays. One that has an owner is two.
const MOST_TOPICS: usize = 61;
/// Longest time of a handler.
const LONGEST: std::time::Duration = std::time::Duration::from_secs(600);

/// What was read of a file.
#[derive(Default)]
pub(super) struct Read {
    /// What it says, as far as it can be used. Paths in it are relative to the folder that it is in.
    pub(super) settings: Settings,
    /// All that can't be used.
    pub(super) faults: Vec<Fault>,
    /// The lines of its paths.
    pub(super) lines: Lines,
}

/// In which lines of the file stands what leads out of it.
#[derive(Default)]
pub(super) struct Lines {
    pub(super) state: Option<usize>,
    pub(super) allow_list: Option<usize>,
    pub(super) token_file: Option<usize>,
}

/// Reads it.
pub(super) fn read(path: &Path) -> Read {
    match files::value(path, MOST_BYTES) {
        Ok(text) => parse(path, &text),
        Err(why) => Read { faults: vec![Fault::of_flag(format!("--config {why}"))], ..Read::default() },
    }
}

fn parse(path: &Path, text: &str) -> Read {
    let faults = Faults::of(path, text);
    let (file, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let span = error.span().unwrap_or_default();
        let what = match (error.message(), text.get(span.clone())) {
            ("duplicate key", Some(key)) => format!("{key} stands twice: leave one of them out"),
            (what, _) => format!("this is no TOML: {}", what.replace('\n', ", ")),
        };
        faults.add(&span, what);
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let table = Table::whole(&file, &faults);
    let line = |span: Option<std::ops::Range<usize>>| span.map(|span| line_of(text, span.start));
    let lines = Lines {
        state: line(table.has("state").then(|| table.span_of("state"))),
        allow_list: line(table.has("allow_list").then(|| table.span_of("allow_list"))),
        token_file: line(
            file.get_ref().get("api").and_then(|api| Some(api.get_ref().get("token_file")?.span())),
        ),
    };
    let settings = whole(table, folder);
    Read { settings, faults: faults.sorted(), lines }
}

fn whole(file: Table<'_>, folder: &Path) -> Settings {
    let default = Settings::default();
    let network = file.parsed("network", values::network).unwrap_or(default.network);
    let peer = |text: &str| text.parse::<PeerAddr>().map_err(|error| error.to_string());
    let settings = Settings {
        listen: file.parsed("listen", values::listen).unwrap_or(default.listen),
        advertise: file.parsed("advertise", values::advertise),
        bootstrap: file.all_parsed("bootstrap", peer).unwrap_or_default(),
        state: file.text("state").map_or(default.state, |text| folder.join(text.value)),
        metadata: file.parsed("metadata", values::metadata).unwrap_or_default(),
        allow_list: file.text("allow_list").map(|text| folder.join(text.value)),
        profile: file.parsed("profile", str::parse).unwrap_or(default.profile),
        topics: topics(&file, &network),
        events: file.table("events").map_or(default.events, |table| rules::events(table, &network)),
        handlers: handlers(&file, folder),
        api: file.table("api").map(|table| api(table, folder)).unwrap_or_default(),
        log: file.table("log").map(log).unwrap_or_default(),
        network,
    };
    file.end();
    settings
}

fn topics(file: &Table<'_>, network: &str) -> Vec<Topics> {
    let mut topics = Vec::<Topics>::new();
    let mut places = 0;
    let most_keys = Config::default().history.topic_heads as u64;
    for table in file.tables("topic") {
        let span = table.span().clone();
        let Some(topic) = rules::topic(table, network) else { continue };
        let bound = topic.topic.bind(NetworkId::of(network)).ok();
        let has_owner = bound.as_ref().is_some_and(|rules| rules.owner().is_some());
        places += 1 + usize::from(has_owner);
        let keys = bound.map_or(0, |rules| {
            let keys = rules.kind().max_keys().map_or(0, u64::from);
            keys.saturating_mul(rules.listed_authors().unwrap_or(0) as u64)
        });
        if keys > most_keys {
            let what = format!(
                "its authors may write {keys} keys, and a node compares {most_keys}: give fewer keys, or name fewer authors"
            );
            file.fault(&span, what);
        }
        if topics.iter().any(|other| other.name == topic.name) {
            file.fault(&span, format!("a second topic called {:?}: each has a name of its own", topic.name));
        } else if places > MOST_TOPICS {
            let what = "a node relays 61 topics beside that of events, and one that has an owner counts twice: split the network";
            file.fault(&span, what);
            break;
        }
        topics.push(topic);
    }
    topics
}

fn handlers(file: &Table<'_>, folder: &Path) -> Vec<Rule> {
    let mut rules = Vec::new();
    // Those of faulty topics, too: their faults are told anyway.
    let topics: Vec<_> = file.tables("topic").iter().filter_map(|topic| topic.peek("name")).collect();
    for table in file.tables("handler") {
        let span = table.span().clone();
        if rules.len() == handlers::MOST_RULES {
            file.fault(&span, format!("at most {} handlers: let one program do more", handlers::MOST_RULES));
            break;
        }
        rules.extend(handler(table, folder, &topics));
    }
    rules
}

fn handler(table: Table<'_>, folder: &Path, topics: &[&str]) -> Option<Rule> {
    let on = table.parsed("on", |text| {
        let filters = handlers::filters(text)?;
        let unknown = filters.iter().find_map(|filter| match filter {
            Filter::Rumor(topic) if !topics.contains(&topic.as_str()) => Some(topic),
            _ => None,
        });
        unknown.map_or(Ok(filters.clone()), |topic| {
            Err(format!("there is no topic {topic:?}, so it would never run: give the name of a [[topic]]"))
        })
    });
    let run = table.texts("run");
    let within = table.parsed("timeout", |text| match values::duration(text)? {
        time if time.is_zero() || time > LONGEST => Err("give 1ms to 10m".to_owned()),
        time => Ok(time),
    });
    for (key, is_there) in [("on", on.is_some()), ("run", run.is_some())] {
        if !is_there && !table.has(key) {
            let what = format!(
                "[[handler]] has no {key}: give on = \"member-failed\" and run = [\"PROGRAM\", \"ARGUMENT\"]"
            );
            table.fault(table.span(), what);
        }
    }
    let run = run.and_then(|run| program(&table, run, folder));
    table.end();
    Some(Rule { on: on?, run: run?, within: within.unwrap_or(HANDLER_WITHIN) })
}

/// What is run, if it can be.
fn program(table: &Table<'_>, run: Vec<Found<String>>, folder: &Path) -> Option<Vec<String>> {
    let Some(first) = run.first().filter(|first| !first.value.is_empty()) else {
        table.fault(&table.span_of("run"), "run names no program: give run = [\"PROGRAM\", \"ARGUMENT\"]");
        return None;
    };
    let path = match handlers::find(&first.value, folder) {
        Ok(path) => path,
        Err(why) => {
            table.fault(&first.span, format!("run: {:?}: {why}", first.value));
            return None;
        }
    };
    let arguments = run.into_iter().skip(1).map(|argument| argument.value);
    Some(std::iter::once(path).chain(arguments).collect())
}

fn api(table: Table<'_>, folder: &Path) -> Api {
    let file = |key| table.text(key).map(|text| folder.join(text.value));
    let api = Api {
        socket: file("socket"),
        tcp: table.parsed("tcp", values::loopback),
        token_file: file("token_file"),
    };
    table.end();
    api
}

fn log(table: Table<'_>) -> Log {
    let default = Log::default();
    let log = Log {
        json: table.parsed("format", values::format).unwrap_or(default.json),
        levels: table.parsed("level", values::levels).unwrap_or(default.levels),
    };
    table.end();
    log
}

impl Api {
    pub(super) fn set_socket(&mut self, path: PathBuf) {
        self.socket = Some(path);
    }

    pub(super) fn set_token_file(&mut self, path: PathBuf) {
        self.token_file = Some(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        parse(Path::new("etc/agent.toml"), text).faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_the_node_would_refuse_at_its_start_is_a_fault() {
        let key = |seed: u8| vouchsafe::SecretKey::from_seed(&[seed; 32]).public();
        let owned = |count: usize| -> String {
            let topic = |number| format!("[[topic]]\nname = \"t{number}\"\nowner = \"{}\"\n", key(1));
            (0..count).map(topic).collect()
        };
        assert_eq!(faults(&owned(30)), [] as [&str; 0]);
        let found = faults(&owned(31));
        assert!(
            found.len() == 1 && found[0].contains(":91: ") && found[0].contains("counts twice"),
            "{found:?}"
        );
        let state = |keys: u32| {
            format!(
                "[[topic]]\nname = \"s\"\nkind = \"state\"\nkeys = {keys}\nauthors = [\"{}\", \"{}\"]\n",
                key(1),
                key(2)
            )
        };
        assert_eq!(faults(&state(1_000)), [] as [&str; 0]);
        let found = faults(&state(100_000));
        assert!(found.len() == 1 && found[0].contains("may write 200000 keys"), "{found:?}");
    }

    #[test]
    fn every_fault_is_named_with_its_line() {
        let text = "\
network = \"\"
listen = 5
bootstrap = [\"nobody\", 7]
profle = \"local\"
metadata = \"fine\"

[[topic]]
name = \"a\"
retention = \"soon\"
keys = 0

[[topic]]
kind = \"log\"

[[topic]]
name = \"a\"
kind = \"log\"
keys = 5
slots = 70000

[[handler]]
on = \"member-exploded\"
run = [\"/no/such/program\"]

[api]
tcp = \"0.0.0.0:80\"

[log]
level = \"loud\"
";
        let found = faults(text);
        let wanted = [
            (1, "1 to 255 bytes"),
            (2, "listen is a text"),
            (3, "nobody"),
            (3, "list of texts"),
            (4, "profle"),
            (9, "90s, 10m"),
            (10, "from 1 to"),
            (12, "no name"),
            (15, "second topic"),
            (17, "a log has no keys"),
            (19, "from 1 to 65535"),
            (22, "member-exploded"),
            (23, "/no/such/program"),
            (26, "other machines"),
            (29, "loud"),
        ];
        for (line, word) in wanted {
            let place = format!("etc/agent.toml:{line}: ");
            let is_told = found.iter().any(|fault| fault.starts_with(&place) && fault.contains(word));
            assert!(is_told, "line {line} {word:?}: {found:#?}");
        }
        assert_eq!(found.len(), wanted.len(), "{found:#?}");
    }

    #[test]
    fn what_is_no_toml_is_named_with_its_line_and_the_rest_is_still_read() {
        let found = faults("network = \"a\"\nlisten = = 5\nprofile = \"fast\"\n");
        assert!(found.iter().any(|fault| fault.starts_with("etc/agent.toml:2: ")), "{found:?}");
        assert!(found.iter().any(|fault| fault.starts_with("etc/agent.toml:3: profile")), "{found:?}");
    }

    #[test]
    fn a_fault_stands_in_the_line_of_its_value_and_says_what_to_do() {
        let text = "\
network = \"a\"
network = \"b\"
bootstrap = [\"nobody\"]
advertise = \"0.0.0.0:4433\"

[[topic]]
name = \"a\"
authors = [\"12\"]
tick = \"1ms\"

[[topic]]
name = \"b\"
authors = []

[[handler]]
on = \"rumor:a, rumor:c\"
run = []
";
        let found = faults(text);
        let wanted = [
            (2, "network stands twice: leave one"),
            (3, "nobody"),
            (4, "leave advertise out"),
            (8, "copy the whole key"),
            (9, "tick: a tick lasts"),
            (13, "authors: an author list names 1 to"),
            (16, "no topic \"c\""),
            (17, "run names no program"),
        ];
        for ((line, word), fault) in wanted.into_iter().zip(&found) {
            assert!(
                fault.starts_with(&format!("etc/agent.toml:{line}: ")) && fault.contains(word),
                "{fault}"
            );
        }
        assert_eq!(found.len(), wanted.len(), "{found:#?}");
        // What may be given is told once each, and what was given not to its end.
        let [unknown] = &faults("x = 1\n[[topic]]\nname = \"a\"\n")[..] else { panic!("one fault") };
        assert_eq!(unknown.matches("topic").count(), 1, "{unknown}");
        let [long] = &faults(&format!("metadata = \"{}\"", "x".repeat(1 << 20)))[..] else {
            panic!("one fault")
        };
        assert!(long.len() < 2_000 && long.ends_with("belongs into a topic"), "{long}");
    }

    #[test]
    fn paths_are_relative_to_the_file_and_defaults_hold() {
        let text = "state = \"s\"\nallow_list = \"/etc/allow\"\n[[topic]]\nname = \"a\"\nkind = \"state\"\n";
        let Read { settings, faults, .. } = parse(Path::new("etc/agent.toml"), text);
        assert_eq!(faults, []);
        assert_eq!(settings.socket(), Path::new("etc/s/api.sock"));
        assert_eq!(settings.allow_list.as_deref(), Some(Path::new("/etc/allow")));
        assert_eq!(settings.topics.len(), 1);
        let Read { settings, faults, .. } = parse(Path::new("x"), "");
        assert_eq!((settings, faults), (Settings::default(), Vec::new()));
    }
}
