//! Every bound on what others can make an engine hold, send or compute: its value, its unit, and why it is what it is.
//!
//! docs/security.md names the test that proves each; `tests/security_table.rs` holds that table against this file.

use std::time::Duration;

use crate::wire::MAX_IDS_PER_FRAME;

// Topics and links

/// Most topics that a node relays at once.
pub const MAX_TOPICS: usize = 64;
/// Most links of a node.
pub const MAX_LINKS: usize = 256;
/// Links of one key: the one that counts, and one that is being closed for it.
pub(super) const LINKS_OF_A_KEY: usize = 2;

/// Diallers that a member hears for a moment though it has no place for them, beyond all places.
pub(super) const MAX_GUESTS: usize = 16;
/// Links of guests, with those that were told to go and have not gone yet. (Guess: as many again.)
pub(super) const MAX_GUEST_LINKS: usize = 32;
/// Keys that are remembered since they were guests in the last ten minutes: some 100 bytes each. At the cap the oldest goes. Eight come
/// in a second if each stays until another comes, so 4 800 in that time; of those who leave sooner more do, as the gate lets them in.
pub(super) const MAX_GUESTS_REMEMBERED: usize = 8_192;

// What a link is trusted with

/// Verified bundles after which a link's signatures may share batches with others'. A liar must first do this much
/// honest work for one chance to spoil a batch, and loses the link by it. (Guess.)
pub(super) const TRUSTED_AFTER: u32 = 16;
/// Pulls that a link may owe us at once: one more for each that it serves, half as many for each silence, as TCP does with
/// what is under way (RFC 5681). So a link that announces what does not exist is soon hardly worth a pull, and must serve to be
/// asked for more. (docs/decisions/0041-what-a-link-may-owe-grows-with-service.md has the figures.)
pub(super) const MAX_OWED: usize = 256;
/// Those of a link that has not shown anything yet: all that it holds is asked for within two round trips more. (Guess.)
pub(super) const FIRST_OWED: usize = 64;
/// However silent it is, or it could not show that it serves again; and the wanted ids that list it then.
pub(super) const LEAST_OWED: usize = 16;

/// A link that does not say hello for this long is closed.
pub(super) const HELLO_DEADLINE: Duration = Duration::from_secs(10);
/// A link that takes no byte for this long is closed. QUIC gives room for more when an eighth of a lane's window of 256 KiB was
/// read: 16 s at 2 KiB a second, the slowest line that works. Longer, and who never reads holds its queues for longer.
pub(super) const STALL_DEADLINE: Duration = Duration::from_secs(20);
/// How long whoever announces must serve, and how long a late copy is waited for if the link is busy with others.
pub(super) const SERVES_FOR: Duration = Duration::from_secs(10);
/// Proofs against authors that were never heard here that a link is told of in each round of a second: with 24 links a seventh
/// of 2 Mbit/s. A link that brings something of such an author is told at once.
pub(super) const STRANGERS_A_ROUND: usize = 4;

/// Most keys remembered. A new key costs an attacker nothing, so the oldest ban is the cheapest to forget.
pub(super) const MAX_BANS: usize = 8192;
/// Keys that are expelled at once, some 64 bytes each. One more is refused: the application knows best whom to admit again.
pub(super) const MAX_EXPELLED: usize = 4_096;
/// Keys on an allow-list: four times as many as members.
pub(super) const MAX_ALLOWED: usize = 65_536;

// What waits for a link

/// Bytes that may be with the transport and not yet written, per lane. Larger hides what is queued from fairness and
/// cancelling; smaller costs throughput on long links: 256 KiB is 100 ms at 20 Mbit/s.
pub const LANE_CREDIT: usize = 256 * 1024;
/// Most bytes of pushes that wait, own and relayed apart; of one relayed author half of it. Far above `OWN_BUSY` of the outbox, so
/// that of links that are equally fast none is ever degraded by chance, and only one that is slower than half of the
/// others is. The bodies are shared with the store, so what a full queue costs is its handles. (With one mark for both,
/// four of five pushes of a saturated mesh of eight were degraded.)
pub(super) const PUSH_QUEUE: usize = 4 * 1024 * 1024;
/// What is relayed is pushed within so long, or announced instead. Longer than what an announcement and a pull take on a link that
/// keeps up, a linger and two round trips: a link on which a push waits longer is slower than what it is given, and the other side
/// may have the bundle from somebody else by then, if it knows of it. (Own pushes wait for as long as their author has to.)
pub(super) const PUSH_PATIENCE: Duration = Duration::from_millis(500);
/// Most bytes of replies that wait: what a peer's pulls can make us hold.
pub(super) const REPLY_QUEUE: usize = 1024 * 1024;
/// Most bytes of replies that wait, with those that were cancelled and leave the queue when their turn comes.
pub(super) const REPLIES_AND_CANCELLED: usize = 4 * REPLY_QUEUE;
/// Most ids in each list of the control lane (announcements of one topic, pulls, gones, cancels): 16 frames.
pub(super) const MAX_LISTED_IDS: usize = 16 * MAX_IDS_PER_FRAME;
/// Bytes of the control lane that may be with the transport before more is announced. What is with it goes before all that is
/// said later, whatever its topic: on a line of 20 kB/s for a second and a half. (Announcements can wait; four frames of them.)
pub(super) const TOLD_AHEAD: usize = 32 * 1024;
/// Most pieces of evidence that wait.
pub(super) const EVIDENCE_QUEUE: usize = 1024;
/// Bytes of others' bundles that the store was given to keep and has not answered for. Beyond it they are relayed and not kept.
/// (Guess: a second of a fast network, in which a store commits once at least.)
pub(super) const WAITING_KEEPS: usize = 8 * 1024 * 1024;

/// Bytes of the system lane that wait on a link, at most. Beyond it a record is announced, an announcement left to a resync, and of pulses
/// those of members that have one waiting are taken.
pub(super) const SYSTEM_QUEUE: usize = 128 * 1024;
/// Bytes of the system lane that may be with the transport before more follows: what waits here is replaced by what is newer.
pub(super) const SYSTEM_AHEAD: usize = 16 * 1024;

/// What newer cells have replaced in a topic of state is kept until the tick of its replacement is so old: as long as any node compares
/// what was said before that tick.
pub(super) const DEAD_FOR: Duration = Duration::from_secs(120);
/// Most frames of the history that wait on a link: what answers a peer that asks and does not read. (Guess.)
pub(super) const HISTORY_QUEUE: usize = 8;
/// Bytes of pages that may be with the transport before more of them follow: small frames of the history wait behind them.
pub(super) const PAGES_AHEAD: usize = 64 * 1024;

// What the system lane of a link may cost: apart from all else, so that no rumor holds up a sign of life

/// Bytes in a second that a link may bring on its system lane, and make us send on it. Some 2 300 pulses. (Guess.)
pub(super) const SYSTEM_BYTES_PER_S: u64 = 64 * 1024;
/// The same ahead of that rate. (Guess.)
pub(super) const SYSTEM_BYTES_BURST: u64 = 256 * 1024;
/// Signatures in a second that a link may make us check by it. (Guess: as many as nodes that come and go in the largest network.)
pub(super) const SYSTEM_CHECKS_PER_S: u64 = 64;
/// The same ahead of that rate. (Guess.)
pub(super) const SYSTEM_CHECKS_BURST: u64 = 512;
/// Processor time in a second that it may cost us beside them. (Guess: 2 300 pulses of twenty hashes take 6 ms.)
pub(super) const SYSTEM_CPU_PER_S: Duration = Duration::from_millis(10);
/// The same ahead of that rate. (Guess.)
pub(super) const SYSTEM_CPU_BURST: Duration = Duration::from_millis(40);

// The index of a topic: times, shares

/// How long ago a tick may have ended for us to relay it, before the hold-back delay is added: a minute of spread and
/// repair plus the skew.
pub const RELAY_PAST: Duration = Duration::from_secs(90);
/// How far in the future a tick may start for us to relay it: twice the skew, so that a node that may deliver it has
/// neighbours that relay it.
pub const RELAY_FUTURE: Duration = Duration::from_secs(60);
/// How many times what is free an author may have of the index, and of the bytes of young bodies. (Guess: with 2,
/// eight authors together may have 16 seventeenths.)
pub(super) const SHARE_OF_FREE: usize = 2;
/// Debts that are asked for in a round of a second, at most: what is asked for comes in before the next round looks again.
pub(super) const DEBTS_A_ROUND: usize = 256;
/// Links that have a debt and are looked at in a round for whether one of them has a place for it. (Guess: each is as much work as
/// a debt that only one link has.)
pub(super) const DEBT_ACCOUNTS: usize = 8;
/// How far behind its pace a topic can be.
pub(super) const MOST_DEBT: Duration = Duration::from_secs(1);
/// How many times what is free newcomers' bundles that come first over one link may have of the index. Keys cost nothing and
/// links do, so a flood of new keys displaces what its own links bring: four such links leave a seventeenth, some 6 700
/// places, of which any other link may have four fifths. The bytes of young bodies have the same rule. (Guess: one link alone
/// may have four fifths of all.)
pub(super) const LINK_SHARE: usize = 4;
/// Of the newcomers' part of the index, what words may have that begin later than anybody may deliver them (numerator of a
/// fraction of 16). No clock of a correct author is so far ahead, and such words hold their places for up to a minute longer.
pub(super) const AHEAD_SHARE: usize = 2;

/// Most authors of a topic whose first-heard time and rates are kept, beside those that have bundles in the index, which has
/// a cap of its own.
pub(super) const MAX_AUTHORS: usize = 65_536;

/// Further copies of an id in flight that are tried if the first turns out forged.
pub(super) const MAX_CANDIDATES: usize = 4;

// Signatures that wait

/// Signatures of one link that may wait before we stop reading from it.
pub(super) const MAX_WAITING_PER_LINK: usize = 64;
/// Bytes of bodies of one link that may wait with their signatures before we stop reading from it.
pub(super) const MAX_WAITING_BYTES_PER_LINK: usize = 512 * 1024;
/// Signatures that may wait in all before we stop reading from each link that adds to them.
pub(super) const MAX_WAITING: usize = 4_096;

/// Bundles of one rumor that an author may sign in a second at the usual price: twice what one makes that gathers for 4 ms, the
/// default. Fuller ones count for less, and a full one as a 64th. (A guess: figures in docs/performance.md.)
pub(super) const LONE_PER_S: u64 = 512;
/// How many times the usual price further ones cost, if signatures of other links wait meanwhile. A link that brings nothing else
/// then brings some 960 a second instead of 4 100: 512, and an eighth of what is left of its CPU. (docs/performance.md has what honest
/// nodes notice, under "Cost under attack".)
pub(super) const SURCHARGE: u32 = 8;

// What is remembered of what was not taken in

/// Most refused ids remembered per topic. Above it the oldest is forgotten, and may be pulled once more.
pub(super) const MAX_REFUSED: usize = 8_192;

/// Authors of a topic whose ticks are remembered apart, at most. One takes 60 bytes and 16 for each stretch in which it spoke.
pub(super) const MAX_SPENT: usize = 16_384;

/// Most headers remembered that passed without a place: 4 MiB in a hold-back topic. (A link alone brings some 960 a second while
/// others wait, so what one link says is remembered for a quarter of a minute, far longer than a way round takes.)
pub(super) const MAX_PASSED: usize = 16_384;

/// Most debts of a topic: some 200 bytes each.
pub(super) const MAX_DEBTS: usize = 4_096;
/// The first pause after a validator was late; each further one of the same bundle is twice as long.
pub(super) const LATE_PAUSE: Duration = Duration::from_secs(2);

// What is asked for

/// Ids wanted at once beyond which a link may only add its own share.
pub(super) const MAX_WANTS: usize = 65_536;
/// Wanted ids that any link may list, however many others have: or eight links that announce what does not exist could
/// fill the map and keep everybody else's announcements out.
pub(super) const WANTS_SHARE: usize = 256;
/// Wanted ids of each topic that a link may list in any case: the last eighth of its share is for topics that have fewer, and where
/// there are too many in all, each topic may have a few. Or what is announced in one topic would keep out all others'.
pub(super) const WANTS_OF_TOPIC: usize = 64;
pub(super) const WANTS_OF_TOPIC_IF_CROWDED: usize = 4;
/// Most wanted ids that list one link as a source: what a flood of announcements can make us remember.
pub(super) const MAX_WANTS_PER_LINK: usize = 8_192;
/// How often each source is asked before we give up until somebody announces again: twice at once, then after pauses of
/// 1, 2, 4 and 8 s, since a source that is cut off for a while is not a liar.
pub(super) const MAX_PASSES: u8 = 6;
/// Ids in a link's queue of the starved from which on it is cleared of those that are no longer wanted.
pub(super) const MOST_STARVED: usize = 9 * 1_024;

/// About how many bytes a link may owe us at once: what is asked for arrives without a further budget.
pub(super) const MAX_OWED_BYTES: usize = 1 << 20;

// The application's validators

/// Bundles that may wait for a free validator before the fullest queue loses some.
pub(super) const MAX_QUESTIONS_WAITING: usize = 4_096;
/// Bytes of bodies that may wait with them. What waits is not yet in the store, whose caps do not count it.
pub(super) const MAX_QUESTION_BYTES: usize = 32 * 1024 * 1024;

// Evidence

/// A link that brings what convicted authors say, though it was told, is told again once in so long. (Guess: a proof is 436 bytes,
/// so at most that many a second are told in vain.)
pub(super) const REMIND_EVERY: Duration = Duration::from_secs(1);

/// Most authors remembered as convicted.
pub(crate) const MAX_CONVICTED: usize = 16_384;
/// Most proofs kept (436 bytes each). Shed before the bans are: a ban protects us, a proof the others.
pub(super) const MAX_EVIDENCE: usize = 4_096;

// Heads of kept topics, which are compared

/// Heads of one author that a log compares, the newest ones. An author has more only if it forks its chain, and what is beyond costs
/// nobody a byte. (Guess.)
pub(super) const HEADS_COMPARED: usize = 64;
/// How many times that many are remembered of it, so that others take the place of those that it names later. (Guess.)
pub(super) const HEADS_KEPT_FOR_COMPARED: usize = 16;
/// Bundles of a topic that others name and that are missing: when they come, it is known since when they are no heads. 16 384 of
/// some 200 bytes; one that was forgotten is not told as of a time at which it was a head. (Guess.)
pub(super) const MAX_AWAITED: usize = 16_384;
/// Sets of a topic that are at hand: that of the last moment, and the one before it, which peers with slower clocks ask for.
pub(super) const SLICES: usize = 2;
/// Sets are compared as of multiples of so many milliseconds of Unix time, so that peers mean the same ones and the hash of one serves
/// all who ask in that time. (Guess.)
pub(super) const MOMENT_EVERY_MS: u64 = 16_000;
/// How long ago a moment may lie that a peer asks for: a session with a slow link, and clocks that differ by the skew.
pub(super) const MOMENTS_PAST: Duration = Duration::from_secs(120);
/// How far ahead of our clock: an asker's moment is a minute ago by its own, so 30 s are more than the skew.
pub(super) const MOMENTS_AHEAD: Duration = Duration::from_secs(30);

// What answering about the past may cost

/// Processor time in a second that answers of this node may take, all links together, and ahead of it. Unbounded, 96 links that ask
/// without end cost three quarters of a core for 15 kB a second of questions.
pub(super) const ANSWER_CPU_PER_S: Duration = Duration::from_millis(50);
/// The same at once: an answer of the largest set, which takes 25 ms, and not two.
pub(super) const ANSWER_CPU_BURST: Duration = Duration::from_millis(25);
/// What hashing an item of a set takes, or walking over it (measured: 23 ns).
pub(super) const HASH_COST: Duration = Duration::from_nanos(30);
/// What a range takes beside its items: two searches, an answer, and of a store the first row.
pub(super) const RANGE_COST: Duration = Duration::from_micros(20);
/// What a head takes that is listed (measured: 0.6 us).
pub(super) const LOOK_UP_COST: Duration = Duration::from_micros(1);
/// An ask that has waited for its turn for so long is refused: its asker takes no answer for one that failed soon after.
pub(super) const ASK_PATIENCE: Duration = Duration::from_millis(800);
/// What a refused asker is told to wait, milliseconds. (Guess.)
pub(super) const BUSY_PAUSE_MS: u16 = 2_000;
/// Questions of one link about the past that are refused in a second, over time: beyond them its lane of the past is read no faster.
/// Who heeds the pause that a refusal names asks once in two seconds for each topic. Without a bound 96 links that do not heed it keep
/// a core busy with questions that are only refused.
pub(super) const REFUSALS_PER_S: u64 = 4;
/// The same at once: one for each topic that we have closed, or have not opened yet.
pub(super) const REFUSALS_BURST: u64 = 64;
/// Fetches of a link in hand, those included that the store reads: one is written while the next is read.
pub(super) const FETCHES_QUEUED: usize = 2;
/// Pages that the store reads at once, for all links.
pub(super) const MAX_STORE_READS: usize = 8;
/// Questions to the store that are under way, ours and those of peers. (Guess: far more than both may have.)
pub(super) const MAX_LOOKS: usize = 1_024;
/// Bytes of the past in a second, all links together, at the start. It grows by a tenth each second while the living don't wait, is
/// halved when they do, and never falls below the other; `Config::history.bytes_per_s` is the most.
pub(super) const FIRST_SERVED_PER_S: u64 = 4 * 1024 * 1024;
/// See [`FIRST_SERVED_PER_S`].
pub(super) const LEAST_SERVED_PER_S: u64 = 64 * 1024;
/// A lane of the living waits if the transport took nothing of it for so long.
pub(super) const LIVING_WAIT: Duration = Duration::from_millis(50);
/// Rotten records of a page that are taken out of the store at once; others when they are read next. (Guess.)
pub(super) const ROTTEN_A_PAGE: usize = 64;

// Topics that were left

/// Topics that were left and of which something is remembered. With as many, no further topic is joined, since it could not
/// be left: the oldest expire within minutes. (Guess: an application that needs more has topics where it wants names in
/// bodies. A floor takes 48 bytes.)
pub(super) const MAX_LEFT: usize = 4_096;

// Peers to dial

/// Most peers that a node keeps links to: four times as many as it can have links. (Guess.)
pub const MAX_KEPT: usize = 1024;
/// Dials under way at once, so that a long list is no burst of handshakes. (Guess: half of the handshakes that a peer lets be half
/// open.)
pub const MAX_DIALS: usize = 32;

/// Most candidates that a node remembers: as many as peers that it keeps. At the bound a new one takes the place of one that was
/// tried in vain, or is refused. (Guess: some 300 bytes each, so a third of a MiB.)
pub const MAX_SUGGESTED: usize = 1024;
/// Peers that a node keeps for its next start. (Guess: that all four are gone by then is rare.)
pub(super) const MAX_ANCHORS: usize = 4;
/// Most feelers at a time, whatever is configured: half of the dials that may be under way.
pub const MAX_FEELERS: usize = 16;
/// Peers that are let rest since they failed this node: some 100 bytes each. At the cap the rest that ends first goes. (Guess.)
pub(super) const MAX_RESTING_PEERS: usize = 4_096;
/// Addresses that are let rest since nobody answered there: the same.
pub(super) const MAX_RESTING_ADDRESSES: usize = 32_768;
/// Dials at once to addresses that strangers named and that have never answered this node: so many members that lie can have it knock
/// where nobody asked for it. (Guess: what twelve links take to find, if more than half of what is tried is dead.)
pub(super) const STRANGERS_AT_ONCE: u32 = 32;
/// One more of them each time.
pub(super) const STRANGER_EVERY: Duration = Duration::from_secs(10);

/// Bytes of the last error that are kept of a peer: some of its words may be the peer's.
pub(super) const MAX_ERROR_LEN: usize = 256;

/// Most addresses that are kept of a peer. Of more, those that worked or were named last stay.
pub const MAX_ADDRESSES: usize = 8;

// Repair of kept topics: what is missing

/// What is missing of a topic and asked for, at most: some 160 bytes each. What does not fit is found again.
pub(super) const MAX_GAPS: usize = 4_096;
/// Of those, bundles that held ones name: the rest is for heads that links list. The store has all of the former.
pub(super) const MAX_HOLES: usize = 2_048;
const _: () = assert!(MAX_HOLES * 2 <= MAX_GAPS, "holes have at most half of the gaps");
/// Holes of one author that are asked for at a time: whoever forks its own chain delays itself.
pub(super) const HOLES_OF_AUTHOR: usize = 8;
/// The same in a topic that lists its authors.
pub(super) const HOLES_OF_LISTED: usize = 64;
/// Heads that we lack and that one link has listed, at most. Where all links together list too many, one that has fewer takes a place
/// of the one that has most.
pub(super) const MAX_CLAIMS: usize = 64;
/// Authors whose past is paced, or who are known to have several chains at a time, in one topic.
pub(super) const PACED_AUTHORS: usize = 1_024;
/// What came, was checked and was not kept, of a topic: 16 bytes of hash each, and as much around it. The oldest half goes at the cap.
pub(super) const REPAIR_REFUSED: usize = 8_192;
/// The same of a state topic, in which what is dead is told for longer.
pub(super) const REPAIR_REFUSED_OF_STATE: usize = 65_536;
/// The same of a node: each topic has at most an equal part.
pub(super) const REPAIR_REFUSED_IN_ALL: usize = 262_144;

// Repair: whom we ask

/// Links of a topic that are asked what they have, at the same time: every second place is for the rotation. (Simulated: with 8 slow
/// links of 24, each honest link is asked within 12 s.)
pub(super) const MAX_PLACES: usize = 4;
/// Sessions of a node, one for each link and topic. The one that has waited longest ends for a new one.
pub(super) const MAX_SESSIONS: usize = 64;
/// Questions in one session; a session that would need more is cut.
pub(super) const SESSION_ASKS: u32 = 32;
/// Bytes of answers in one session.
pub(super) const SESSION_BYTES: usize = 1 << 20;
/// Heads that we lack, in one session.
pub(super) const SESSION_HEADS: usize = 4_096;
/// Ranges that wait in one session: some 70 bytes each.
pub(super) const SESSION_RANGES: usize = 2_048;
/// Heads that the store is asked about at a time.
pub(super) const HEADS_A_LOOK: usize = 256;

// Repair: what we ask for

/// Fetches that a link has to answer at a time; one after it failed to.
pub(super) const FETCHES_OF_LINK: usize = 2;
/// The same of all links together.
pub(super) const MAX_FETCHES: usize = 32;
/// Fetches of a link whose bundles are still taken, though others may be asked by now.
pub(super) const FETCHES_REMEMBERED: usize = 64;
/// Signatures of one link's late bundles that wait, from where we stop reading its history.
pub(super) const MAX_LATE_PER_LINK: usize = 512;
/// The same of all links.
pub(super) const MAX_LATE: usize = 2_048;
/// Bytes of late bundles that wait until the store has room for what waits there, from where no more history is read.
pub(super) const MAX_PARKED: usize = WAITING_KEEPS;
/// Bundles of a topic that another version of the judge has rejected, and that are judged again: what is more, at the next start.
pub(super) const MAX_REJUDGED: usize = 65_536;
/// So many of them are read and judged at a time.
pub(super) const REJUDGED_AT_ONCE: usize = 16;
/// Authors of a topic of whom the application was told that something is missing, until it has come: of more it is told nothing.
pub(super) const MAX_TOLD_HOLES: usize = 1_024;
/// The same of those of whom it was told that they have two chains: keys cost nothing, and each could fork its own.
pub(super) const MAX_TOLD_FORKS: usize = 1_024;
/// Late bundles of a topic that are held back: more are not asked for meanwhile.
pub(super) const MAX_HELD_LATE: usize = 4_096;

// Members

/// Members that a node remembers: some 1.5 kB each. At the cap those who have failed or left go first, and nobody who is here.
pub(super) const MAX_MEMBERS: usize = 16_384;
/// Members whose keys begin alike: a pulse names the first eight bytes, and each is tried. By chance there are two in 2^33 keys.
pub(super) const KEYS_OF_PREFIX: usize = 4;
/// Pulses that wait to be checked, of all links: some 300 bytes each. At the cap the link with the most loses its oldest.
pub(super) const PULSES_WAITING: usize = 16_384;
/// The same of one link: twice as many as a frame has. At the cap its own oldest goes.
pub(super) const PULSES_OF_LINK: usize = 512;
/// Members of which a link has brought a wrong far pulse within a minute. With as many, it brings none for the rest of it.
pub(super) const WRONG_FAR_OF_LINK: usize = 256;
/// Wrong pulses of a link in a minute from which on each of its pulses costs it tenfold.
pub(super) const WRONG_PULSES_FREE: usize = 5;
/// Hashes of pulses in one turn of the engine: about 2 ms (measured: 127 to 147 ns each).
pub(super) const PULSE_HASHES_A_TURN: u16 = 15_000;
/// Members of which one link is asked for records in a minute.
pub(super) const MEMBERS_ASKED_OF_LINK: usize = 1_024;
/// Members in an answer to "whom should I know first?".
pub(super) const MEMBERS_OF_FIRST: usize = 64;
/// Bytes a second of answers about members, to one link.
pub(super) const ANSWER_BYTES_OF_LINK: u64 = 16 * 1024;
/// The same to all links together.
pub(super) const ANSWER_BYTES_IN_ALL: u64 = 128 * 1024;
/// The same at once, to one link and to all.
pub(super) const ANSWER_BYTES_BURST: u64 = 128 * 1024;
/// Records of a member that are passed on one after the other without a pause.
pub(super) const RECORDS_OF_KEY_AT_ONCE: u64 = 4;
/// After them, one in so many seconds: the newest.
pub(super) const RECORD_OF_KEY_EVERY_S: u64 = 60;
/// Records of all members together that are passed on in a second: a flood of one costs each node 4.5 kB.
pub(super) const RECORDS_PER_S: u64 = 10;
/// The same at once.
pub(super) const RECORDS_AT_ONCE: u64 = 400;
/// Where records wait, members of which fewer were passed on in this time come first.
pub(super) const RECORDS_COUNTED_FOR: Duration = Duration::from_secs(600);
/// One turn of so many is that of whichever has waited longest.
pub(super) const TURNS_FOR_OLDEST: u32 = 4;

// Where two bounds must stand in an order, a wrong one is not built.
const _: () =
    assert!(RELAY_PAST.as_secs() == crate::rumor::KEPT_BEYOND as u64, "what leaves the window is kept");
const _: () = assert!(MAX_LINKS <= u8::MAX as usize + 1, "a slot is a byte");
const _: () = assert!(MAX_DIALS <= MAX_KEPT);
const _: () = assert!(MAX_GUESTS < MAX_GUEST_LINKS && MAX_GUEST_LINKS < MAX_LINKS);
const _: () = assert!(MAX_FEELERS < MAX_DIALS, "feelers leave room for other dials");
const _: () = assert!(MAX_SUGGESTED >= MAX_LINKS, "each link can have a candidate behind it");
const _: () = assert!(LEAST_OWED <= FIRST_OWED && FIRST_OWED <= MAX_OWED);
const _: () = assert!(REPLY_QUEUE < REPLIES_AND_CANCELLED && TOLD_AHEAD < LANE_CREDIT);
const _: () = assert!(MAX_WAITING_PER_LINK <= MAX_WAITING, "one link can be read");
const _: () = assert!(WANTS_SHARE <= MAX_WANTS_PER_LINK && MAX_WANTS_PER_LINK <= MAX_WANTS);
const _: () = assert!(MAX_LINKS * WANTS_SHARE <= MAX_WANTS, "each link has its share");
const _: () = assert!(
    WANTS_OF_TOPIC_IF_CROWDED < WANTS_OF_TOPIC && MAX_TOPICS * WANTS_OF_TOPIC_IF_CROWDED <= WANTS_SHARE
);
const _: () = assert!(MAX_EVIDENCE <= MAX_CONVICTED, "a proof is kept with its conviction");
const _: () = assert!(DEBTS_A_ROUND <= MAX_DEBTS && AHEAD_SHARE < 16);
const _: () =
    assert!(MAX_HOLES < MAX_GAPS && HOLES_OF_AUTHOR <= HOLES_OF_LISTED && HOLES_OF_LISTED <= MAX_HOLES);
const _: () = assert!(MAX_LATE_PER_LINK <= MAX_LATE && FETCHES_OF_LINK <= FETCHES_REMEMBERED);
const _: () = assert!(SYSTEM_AHEAD < SYSTEM_QUEUE && SYSTEM_QUEUE < LANE_CREDIT);
const _: () = assert!(MAX_LINKS < PULSE_HASHES_A_TURN as usize, "each link has a part of a turn");
const _: () = assert!(PULSES_OF_LINK < PULSES_WAITING);
const _: () = assert!(MAX_PLACES >= 2, "one for the rotation, one for hints");
