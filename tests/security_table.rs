//! Holds the tables of docs/security.md against the code: every value, and the existence of every proof.

mod sources;

use std::time::Duration;

use sources::{read, root, tested};
use vouchsafe::{Config, GateConfig};

/// Before it are the bounds; behind it, among others, a table of what happens, which also ends in the tests.
const COSTS: &str = "## What each attack costs";

/// Rows of the tables that name a bound: resource, bound, where, proof.
fn bounds() -> Vec<[String; 4]> {
    let document = read(&root().join("docs/security.md"));
    rows(document.split_once(COSTS).unwrap().0)
}

/// Rows of what is no attack over a link: what happens, what stops, when it is over, tests.
fn happenings() -> Vec<[String; 4]> {
    let document = read(&root().join("docs/security.md"));
    rows(document.split_once(COSTS).unwrap().1)
}

/// Rows of tables of four columns, without their heads.
fn rows(document: &str) -> Vec<[String; 4]> {
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let lines = document.lines().filter(|line| line.starts_with('|'));
    lines
        .filter_map(|line| cells(line).try_into().ok())
        .filter(|row: &[String; 4]| row[1] != "Bound" && row[1] != "What stops" && !row[1].starts_with("---"))
        .collect()
}

/// What stands between backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// "8 192", "128 KiB", "250 ms": a count, bytes, or milliseconds.
fn bound(text: &str) -> u64 {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
    let times = match unit {
        "" | "ms" => 1,
        "KiB" => 1024,
        "MiB" => 1024 * 1024,
        "s" => 1000,
        other => panic!("{text:?}: no such unit as {other:?}"),
    };
    digits.parse::<u64>().unwrap() * times
}

/// A source of the library, or of the command: that one says so.
fn source(file: &str) -> String {
    let folder = if file.starts_with("cli/") { "" } else { "src" };
    read(&root().join(folder).join(file))
}

/// The value of the constant `name` of a source: counts as they are, durations in milliseconds.
fn constant(file: &str, name: &str) -> u64 {
    let source = source(file);
    let at = source
        .find(&format!("const {name}:"))
        .unwrap_or_else(|| panic!("there is no {name} in {file} (any more)"));
    let declared = source[at..].split(';').next().unwrap();
    let value = declared.split_once('=').unwrap().1;
    evaluate(file, value)
}

/// Shifts and products of numbers, durations, casts and other constants: all that bounds are made of.
fn evaluate(file: &str, value: &str) -> u64 {
    if let Some((left, right)) = value.split_once("<<") {
        return evaluate(file, left) << evaluate(file, right);
    }
    if let Some((left, right)) = value.split_once('*') {
        return evaluate(file, left) * evaluate(file, right);
    }
    let value = value.split(" as ").next().unwrap().trim();
    for (call, times) in [("Duration::from_secs(", 1000), ("Duration::from_millis(", 1)] {
        if let Some(inside) = value.strip_prefix(call).and_then(|rest| rest.strip_suffix(')')) {
            return evaluate(file, inside) * times;
        }
    }
    if let Ok(number) = value.replace('_', "").parse() {
        return number;
    }
    if let Some((_, of_type)) = value.split_once("::").filter(|(_, name)| is_constant(name)) {
        return if of_type == "MAX" { u16::MAX.into() } else { constant("wire/mod.rs", of_type) };
    }
    assert!(is_constant(value), "{file}: {value:?} is more than this test can work out");
    let here = source(file).contains(&format!("const {value}:"));
    constant(if here { file } else { "wire/mod.rs" }, value)
}

fn is_constant(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

fn millis(time: Duration) -> u64 {
    time.as_millis() as u64
}

/// The default of a field of the configuration.
fn field(name: &str) -> Option<u64> {
    let (config, gate) = (Config::default(), GateConfig::default());
    Some(match name {
        "Config::dialling.outbound" => config.dialling.outbound as u64,
        "Config::dialling.feelers" => config.dialling.feelers as u64,
        "Config::links.max" => config.links.max as u64,
        "Config::links.inbound" => config.links.inbound as u64,
        "Config::links.hash_selected" => config.links.hash_selected as u64,
        "Config::budget.bytes_per_s" => config.budget.bytes_per_s,
        "Config::budget.bytes_burst" => config.budget.bytes_burst,
        "Config::budget.cpu_per_s" => millis(config.budget.cpu_per_s),
        "Config::budget.cpu_burst" => millis(config.budget.cpu_burst),
        "Config::topics.bundles" => config.topics.bundles as u64,
        "Config::topics.bytes" => config.topics.bytes as u64,
        "Config::topics.author_bytes" => config.topics.author_bytes as u64,
        "Config::history.bytes" => config.history.bytes,
        "Config::history.topic_bytes" => config.history.topic_bytes,
        "Config::history.leave_free" => config.history.leave_free,
        "Config::history.topic_heads" => config.history.topic_heads as u64,
        "Config::history.heads" => config.history.heads as u64,
        "Config::history.bytes_per_s" => config.history.bytes_per_s,
        "Config::members.renewals_per_s" => config.members.renewals_per_s.into(),
        "Config::validators.at_once" => config.validators.at_once as u64,
        "Config::validators.patience" => millis(config.validators.patience),
        "Config::publishing.eager" => config.publishing.eager as u64,
        "GateConfig::half_open" => gate.half_open.into(),
        "GateConfig::half_open_per_group" => gate.half_open_per_group.into(),
        "GateConfig::retry_from" => gate.retry_from.into(),
        "GateConfig::unproven_rate" => gate.unproven_rate.into(),
        "GateConfig::burst_per_group" => gate.burst_per_group.into(),
        "GateConfig::per_minute_per_group" => gate.per_minute_per_group.into(),
        "GateConfig::links_per_group" => gate.links_per_group.into(),
        _ => return None,
    })
}

#[test]
fn every_bound_is_what_the_code_says() {
    let rows = bounds();
    assert!(rows.len() > 60, "only {} rows were found", rows.len());
    for [resource, value, place, _] in rows {
        let is = match quoted(&place)[..] {
            [file, name] => constant(file, name),
            [name] => field(name).unwrap_or_else(|| panic!("{resource}: no such field as {name}")),
            _ => panic!("{resource}: {place:?} is neither a file and a constant nor a field"),
        };
        assert_eq!(bound(&value), is, "{resource}, {place}");
    }
}

#[test]
fn every_proof_is_a_test() {
    let all = tested();
    assert!(happenings().len() >= 7);
    for [resource, _, _, proofs] in bounds().into_iter().chain(happenings()) {
        let proofs = quoted(&proofs);
        assert!(!proofs.is_empty(), "{resource} is not proven");
        for proof in proofs {
            let is_test = |source: &String| {
                // Not the closing bracket: a property takes what it is tried with.
                source.match_indices(&format!("fn {proof}(")).any(|(at, _)| {
                    // Its attribute stands on the lines before it.
                    source[..at]
                        .lines()
                        .rev()
                        .take(4)
                        .any(|line| line.contains("test]") || line.contains("test("))
                })
            };
            assert!(all.iter().any(is_test), "{resource}: there is no test named {proof}");
        }
    }
}

#[test]
fn every_limit_of_the_configuration_has_a_row() {
    let document = read(&root().join("docs/security.md"));
    // What is not a bound on what an outsider can make us spend.
    let not_bounds = [
        "Config::expected_nodes",
        "Config::batch",
        "Config::publishing.eager_author",
        "Config::publishing.announce_linger",
        "Config::publishing.seal_every",
        "Config::pulls.repair_every",
        "Config::pulls.first_margin",
        "Config::dialling.feel_after",
        "Config::dialling.feeler_life",
        "GateConfig::limit_local",
    ];
    let config =
        ["mod", "dialling"].map(|file| read(&root().join(format!("src/protocol/config/{file}.rs")))).concat();
    let mut all = Vec::new();
    for (name, kind) in fields(&config, "Config") {
        match kind.ends_with("Config") {
            true => {
                all.extend(fields(&config, kind).into_iter().map(|(of, _)| format!("Config::{name}.{of}")))
            }
            false => all.push(format!("Config::{name}")),
        }
    }
    assert!(all.len() >= 20, "{all:?}");
    let gate = read(&root().join("src/net/config.rs"));
    all.extend(fields(&gate, "GateConfig").into_iter().map(|(name, _)| format!("GateConfig::{name}")));
    for field in all.iter().filter(|field| !not_bounds.contains(&field.as_str())) {
        assert!(document.contains(&format!("`{field}`")), "{field} has no row");
    }
    for field in not_bounds {
        assert!(all.iter().any(|other| other == field), "{field} is no longer in the code");
    }
}

/// The public fields of a struct, each with its type.
fn fields<'a>(source: &'a str, kind: &str) -> Vec<(&'a str, &'a str)> {
    let body = source.split_once(&format!("pub struct {kind} {{")).unwrap().1.split_once("\n}").unwrap().0;
    let declared = body.lines().filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(": "));
    declared.map(|(name, kind)| (name, kind.trim_end_matches(','))).collect()
}

/// Numbers and times that bound nothing that an outsider can make us spend, and why.
const NOT_BOUNDS: [(&str, &[&str]); 13] = [
    (
        "lengths of formats",
        &[
            "ENVELOPE",
            "SIGNED",
            "VERSION",
            "TAKEN",
            "NOT_ASKED",
            "ID",
            "PRIVATE",
            "LOCK_LEN",
            "ACCEPTED",
            "NOT_ACCEPTED",
            "BUSY",
            "OTHER_NETWORK",
            "NO_HEADER",
            "FIXED",
            "CLIENT_HELLO",
            "FIXED_LEN",
            "HEADER_LEN",
            "SIGNED_HEADER_LEN",
            "SIGNED_MESSAGE_LEN",
            "EVIDENCE_LEN",
            "PREVIOUS_LEN",
            "PREFIX_LEN",
            "PREVIOUS_LEN",
            "HEAD_LEN",
            "ITEM_LEN",
            "NEVER",
            "END_SLOT",
            "MAX_PAUSE_MS",
            "FRAME_OVERHEAD",
            "OVERHEAD",
            "COUNT",
            "SIGN",
            "SPLIT_LEN",
            "SCALE",
            "ALL",
            "MAX_RARE_LEN",
            "FRAME_TOO_LONG",
            "FRAME_TOO_SLOW",
            "PROTOCOL_ORDER",
            "DROPPED",
            "NOT_TAKEN",
            "GENERATION",
            "MAX_USED",
            "MAX_LEN",
            "FORMAT",
            "CHECK_LEN",
            "LONGEST",
            "BEFORE_KEY",
            "PUT",
            "DELETE",
            "FIRST_OF_THE_PAST",
            "FIRST_OF_SYSTEM",
            "NO_SESSION",
            "ID",
            "PREFIX",
            "PULSE_ITEM_LEN",
            "FAILED",
            "INDEX",
            "MAX_SYSTEM_FRAME",
            "HELLO_EXTRA",
            "PULSE_LEN",
            "MAX_RECORD",
            "BEACON_LEN",
            "LEAVE_LEN",
            "ADDRESS_LEN",
            "BEACON",
            "LEAVE",
            "LONGEST_CHAIN",
            "CHAIN_AHEAD",
            "MEMBERS_KEPT",
        ],
    ),
    (
        "what the application chooses for its topics and its node, within these",
        &[
            "WITHIN",
            "ANSWERS",
            "BYTES",
            "MAX_CURSORS",
            "OUTBOUND",
            "MAX_ANSWER",
            "MAX_NAME",
            "MAX_SLOTS",
            "MAX_LISTED_AUTHORS",
            "MAX_HOLD_BACK",
            "LONGEST_RETENTION",
            "KEPT_BEYOND",
            "MAX_RULES_LEN",
            "MIN_TICK_LEN",
            "MAX_TICK_LEN",
            "MAX_INLINE",
            "LEAST_BYTES",
            "LEAST_BUNDLES",
            "LONGEST_LINGER",
            "RAREST_REPAIR",
            "LONGEST_QUIET",
        ],
    ),
    (
        "what things cost",
        &[
            "FRAME_COST",
            "ITEM_COST",
            "BODY_COST",
            "WALK_COST",
            "LOOK_COST",
            "LOOKS_OF_ANNOUNCEMENT",
            "HASH_COST",
            "RANGE_COST",
            "LOOK_UP_COST",
            "SIGNATURE_COST",
            "LONE_BURST",
            "FAILED_PULL_COST",
            "SOURCE_COST",
            "TRY_WALKS",
            "PULSE_HASH_COST",
            "DEAR",
            "LOOK_BYTES",
            "ANSWER_BYTES",
        ],
    ),
    (
        "how much is done at a time, of what is bounded elsewhere",
        &[
            "CHUNK",
            "ADDRESSES",
            "CHUNKS_PER_READ",
            "FRAMES_PER_TURN",
            "COPY_UP_TO",
            "COPIED",
            "TURN",
            "QUANTUM",
            "IDS_A_TURN",
            "HEADERS_A_TURN",
            "TOGETHER",
            "LOOK_EVERY",
            "TURN_EVERY",
            "FRAME_TARGET",
            "PAGE_FRAME",
            "HASHED_AT_ONCE",
            "LISTED",
            "LISTED_TO_NONE",
            "OWN_BUSY",
            "RETRIES",
            "FEW",
            "REPAIR_FANOUT",
            "REPAIR_ROUNDS",
            "REPAIR_BUNDLES",
            "EVIDENCE_FOR_NEWCOMERS",
            "EXPLORE",
            "QUICK_PASSES",
            "AT_ONCE",
            "MOST_DOUBLINGS",
            "DOUBLINGS",
            "ENOUGH",
            "ENOUGH_LINKS",
            "CLOCK_QUORUM",
            "STRIKES",
            "NEWCOMER_SHARE",
            "POSITION_LOG_LEAD",
            "LOOKUPS",
            "ADDRESSES_OF_A_NAME",
            "DEBT_SHARE",
            "LOOKS",
            "WEIGHT",
            "UNHEARD",
            "ATTEMPTS",
            "GROUP",
            "COMPACT_FROM",
            "TOLD",
            "CACHE",
            "LOADED_AT_ONCE",
            "FIRST_BYTES",
            "COUNTED",
            "RATED",
            "PACE_BYTES",
            "CLAIM_PLACES",
            "FURTHER_SESSIONS",
            "ALONE_DELAYS",
            "LONGEST_HELD",
            "DESCENT",
            "WIDE_TICKS",
            "NO_QUORUM",
            "HINT_PLACES",
            "HOLES_A_LOOK",
            "ROUNDS",
            "READ_AT_ONCE",
            "LIST_BYTES",
            "CYCLES",
            "LINKS_A_CYCLE",
            "NEAR",
            "ASKS",
        ],
    ),
    (
        "capacities of channels, at which the sender waits or the reader is told what it missed",
        &["INBOX", "EVENTS", "LINK_EVENTS", "PLACES"],
    ),
    (
        "when we do or judge something",
        &[
            "TAKES",
            "TELLING",
            "PAUSE",
            "UNUSED",
            "OPENING",
            "LOOK_EVERY_S",
            "FIRST_LOOK",
            "STEADY_FOR",
            "DAY_S",
            "CLOCKS_APART_S",
            "LEAST_DRAWN",
            "HOLDS_FOR",
            "CLOSE_IDLE",
            "CLOSE_FLUSH",
            "DRAIN",
            "KEEP_ALIVE",
            "FIRST_PAUSE",
            "FIRST_REST",
            "LONGEST_REST",
            "LEFT_EVERY",
            "VISIT_EVERY",
            "VISIT_SHARE",
            "VISIT_LIFE",
            "GONE_FOR",
            "LIVE_YET",
            "LONGEST_PAUSE",
            "LONGEST_AMONG_MEMBERS",
            "SIGNS_COUNT_FOR",
            "STABLE",
            "FULL_FOR",
            "TELL_FROM",
            "STAYS",
            "SILENT_FOR",
            "SHOWN_FOR",
            "QUIET_AFTER",
            "QUIET_BY",
            "ALONE",
            "EXPIRE_EVERY",
            "MOMENT_EVERY_MS",
            "BUSY_PAUSE_MS",
            "LIVING_WAIT",
            "SHORTEST_CYCLE",
            "LONGEST_CYCLE",
            "SIMULTANEOUS",
            "REPLACED_FOR",
            "SETTLE",
            "QUIET",
            "WINDOW",
            "LOOKUP_DEADLINE",
            "CLOCK_ALARM_MS",
            "LONGEST_SLEEP",
            "EXPIRY_ROUND",
            "MAX_SKEW",
            "DELIVER_PAST",
            "DELIVER_FUTURE",
            "WARY",
            "LONGEST_SERVE",
            "SHORTEST_PATIENCE",
            "LONGEST_PATIENCE",
            "SLOWEST_LINE",
            "SERVES_FOR",
            "NEWCOMER",
            "STRIKE_WINDOW",
            "ONE_SILENCE",
            "LAST_RESORT",
            "STANDS_AFTER",
            "LINK_SILENCE",
            "GIVE_UP",
            "LONGEST_SILENCE",
            "TOLD_SILENCE",
            "JUMP_MS",
            "DRIFT",
            "SLOW_RECORD",
            "MOST_LEAD",
            "SLOW_FOR",
            "LAST",
            "MISSED_FOR",
            "STRUCK_FOR",
            "SILENCE",
            "PACE_TIME",
            "TAKEN_FOR",
            "LEFT_FOR",
            "LONGEST_FETCH",
            "FILLED_SOON",
            "LINGER",
            "HINT_EVERY",
            "TURN_TIME",
            "CLAIMS_STUCK",
            "JITTER",
            "ALONE_FOR",
            "ALONE_WITH_SOME_FOR",
            "AGAIN",
            "AGAIN_BY_HINT",
            "FIRST_REST",
            "LONGEST_REST",
            "REST_WHEN_FULL",
            "WALK_AGAIN",
            "WALK_BY_HINT",
            "SHORTEST_REST_MS",
            "LONGEST_REST_MS",
            "COMPARED_BACK",
            "STATE_COMPARED_BACK",
            "ANSWER_MARGIN",
            "SHORTEST_ANSWER",
            "LONGEST_ANSWER",
            "MOMENT_LASTS",
            "HOLE_PATIENCE",
            "ON_ITS_WAY",
            "LOOK_AGAIN",
            "LIVE_PATIENCE",
            "FULL_FOR_NOW",
            "SHORTEST_PUT_OFF",
            "LONGEST_PUT_OFF",
            "TROUBLE_PATIENCE",
        ],
    ),
    (
        "when a member counts as alive or failed, by whom, and when it is told and asked for",
        &[
            "LEAVING",
            "CLOCKS_PART",
            "LATE",
            "AWAY",
            "AFTER_LATE",
            "AFTER_AWAY",
            "AFTER_AWAY_WITH_FEW",
            "ALONE_AMONG",
            "SILENT_AMONG",
            "EVERY",
            "AHEAD_S",
            "FAR_REST",
            "WRONG_COUNTS",
            "SHORTEST",
            "CLOCKS_DIFFER",
            "REMEMBERED",
            "RECORD_EVERY",
            "TRY_AGAIN",
            "LEAVE_AGAIN",
            "RESTATE_WITHIN_S",
            "ANSWER_AGAIN",
            "LINKS_ASKED",
            "MAX_PAGES",
            "MOST_ASKED",
        ],
    ),
    ("by how much a fact must change before the store is told", &["LESS_BY", "MORE_BY"]),
    ("how long a ban lasts", &["FIRST_BAN", "LONGEST_BAN"]),
    ("what is read from the store at once", &["HISTORY_PAGE", "HOLES"]),
    ("when the store commits, and how often it is tried", &["FOR_READERS", "AT_LAST", "PATIENCE", "READERS"]),
    (
        "when something that is kept is looked at again",
        &[
            "LONGEST_REFUSAL",
            "LONGEST_OF_ALL_MS",
            "EXPIRY_PARTS",
            "OFTENEST_EXPIRY",
            "RAREST_EXPIRY",
            "SHARED_STEP_EVERY",
            "DEAD_WITHIN",
            "OPEN_AGAIN",
            "SLOW_STORE",
        ],
    ),
    ("when a clock counts as wrong", &["JUMP_CONFIRMED_MS"]),
];

/// The files of a folder, those of its folders too, without tests.
fn files_of(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("tests") {
            files.extend(files_of(&path));
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs") {
            files.push(path);
        }
    }
    files
}

#[test]
fn every_number_of_the_code_has_a_row_or_a_reason_to_have_none() {
    let document = read(&root().join("docs/security.md"));
    let mut exempt: Vec<&str> = NOT_BOUNDS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
    let (mut rows, mut wrong) = (0, Vec::new());
    for layer in ["net", "node", "protocol", "wire", "verify", "rumor", "store"] {
        for path in files_of(&root().join("src").join(layer)) {
            let source = read(&path);
            let file = path.strip_prefix(root().join("src")).unwrap().to_str().unwrap().to_owned();
            for line in source.split("mod tests {").next().unwrap().lines() {
                let Some((before, declared)) = line.split_once("const ") else { continue };
                let Some((name, kind)) = declared.split_once(": ") else { continue };
                let kind = kind.split(' ').next().unwrap();
                let counts = ["usize", "u8", "u16", "u32", "u64", "i64", "Duration"].contains(&kind);
                if !counts || !is_constant(name) || before.contains("//") {
                    continue;
                }
                let row = document.contains(&format!("`{file}` `{name}`"));
                let reason = NOT_BOUNDS.iter().find(|(_, names)| names.contains(&name));
                match (row, reason) {
                    (false, None) => wrong.push(format!("{line}, src/{file}: no row, and no reason here")),
                    (true, Some((reason, _))) => {
                        wrong.push(format!("{name} of src/{file} has a row and is excused: {reason}"));
                    }
                    (true, None) => rows += 1,
                    (false, Some(_)) => exempt.retain(|other| *other != name),
                }
            }
        }
    }
    assert!(wrong.is_empty(), "constants beside docs/security.md:\n{}", wrong.join("\n"));
    assert!(rows > 60, "only {rows} constants were found");
    assert_eq!(exempt, Vec::<&str>::new(), "these are no longer in the code");
}
