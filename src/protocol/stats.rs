//! Counters: everything that was refused, degraded or dropped, by stage and reason. Fixed names, never a peer's.

/// Declares the counters once: the struct, and its list of (name, value).
macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counts since the engine started. Each says at which stage of the intake or of the spread it counts.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        #[cfg_attr(feature = "serde", serde(default))]
        #[non_exhaustive]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            /// Names and values, in the order of the stages.
            #[must_use]
            pub fn list(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)*]
            }
        }
    };
}

counters! {
    /// Stage 1: frames taken from links.
    frames_in,
    /// Stage 1: payload bytes of those frames.
    bytes_in,
    /// Stage 2: times a link was paused because its budget was empty.
    paused_for_budget,
    /// Stage 2: times a link was paused because its signatures were waiting.
    paused_for_verification,
    /// Stage 2: times the system lane of a link was paused because its own budget was empty.
    paused_for_system,
    /// Stage 2: times the lane of the past of a link was paused because it had been refused too much.
    paused_for_refusals,
    /// Stage 3: questions about members and signs of life that nobody here could use.
    members_unheard,
    /// Stage 3: copies of bundles that came in, duplicates included.
    copies_in,
    /// Stage 3: copies of what was already known or in flight.
    duplicates,
    /// Stage 3: copies, headers and announcements of ids that had been refused before.
    refused_again,
    /// Stage 3: answers about the past that we had not asked for.
    unasked_history,
    /// Stage 3: questions about the past that found too many answers waiting on their link.
    history_unanswered,
    /// Stage 3: questions and hints about the past that overtook the hello of their link, and were not looked at.
    history_early,
    /// Bundles that the store keeps since the start.
    kept,
    /// Bundles of kept topics that were relayed and not kept: the store was slow, failed, or had no use for them. Peers bring them again.
    not_kept,
    /// Bundles that were relayed and not kept, since their topic had no room in the store.
    store_full,
    /// Questions about the past that were refused: too many at once, or as of a time that nobody asks for.
    history_refused,
    /// Questions about the past that were answered.
    history_asks,
    /// Bundles of the past that were sent.
    history_served,
    /// Sessions in which a link was asked what it has of a kept topic.
    sessions,
    /// Questions in them.
    asks,
    /// Bundles that links have listed in answer, that we lacked, and that nobody had listed before.
    claims,
    /// Of those, the ones that nobody who had listed them brought.
    claims_forgotten,
    /// Bundles that kept ones name as their previous one, and that were missing when they were named.
    holes_found,
    /// Times that all links had been asked for such a bundle in vain, so that it was left for a while.
    holes_rested,
    /// Bundles that were missing and are kept now, however they came.
    gaps_closed,
    /// Fetches of bundles of the past.
    fetches,
    /// Answers about the past that came too late, or were none.
    history_missed,
    /// Links that did not have, or did not bring in time, what another brought.
    history_strikes,
    /// Copies of bundles of the past.
    late_copies,
    /// Of those, the ones that were held, or on their way.
    late_duplicates,
    /// Times a link's history was not read because signatures of it were waiting.
    paused_for_late,
    /// Bundles of the past that repair has brought and the store keeps.
    repaired,
    /// Rumors in them.
    rumors_repaired,
    /// Hints to links that there is more.
    hints,
    /// Bundles of the topic of members that are no records.
    members_odd,
    /// Records of members that there was no room for.
    members_refused,
    /// Records of members that had to wait before they were passed on.
    records_waited,
    /// Of those, records that a newer one of the same member took the place of.
    records_superseded,
    /// Records of members that were not passed on: a newer one is known, there is no room for the member, or their window was over
    /// before their turn.
    records_unspread,
    /// Diallers for which there was no place, and that were heard for a moment.
    guests,
    /// Questions about members that were answered.
    members_answered,
    /// Questions about members that came while one of the same link waited.
    members_unanswered,
    /// Questions and answers about members that a link had no room for.
    members_unsent,
    /// Pulses that were of no time or no chain that they could be of.
    pulses_refused,
    /// Pulses that were dropped unchecked, since their link had brought too many, or a wrong one that was as far, or was gone.
    pulses_shed,
    /// Pulses that were none of the chain of their member, as far as it is known here.
    pulses_wrong,
    /// Stage 4: bundles, headers and announcements in topics we don't relay.
    unknown_topic,
    /// Stage 4 and 7: offences, of all kinds.
    offences,
    /// Stages 5 and 8: bundles and headers of convicted authors.
    convicted_author,
    /// Stage 5: bundles and headers of authors that the topic does not admit.
    not_admitted,
    /// Stage 6: bundles and headers from outside the relay window (late, replayed, or a clock is wrong).
    outside_relay_window,
    /// Stage 6: accepted and forwarded, but not delivered: outside the delivery window.
    outside_delivery_window,
    /// Stage 6: refused because the topic's index or bytes, or its author's, are at their cap.
    over_cap,
    /// Stage 7: bundles whose signature cost their link eight times as much, since others waited and their author, or newcomers
    /// over that link, sign more often than they need to. They are announced instead of pushed.
    surcharged,
    /// Stage 7: further copies of an id in flight that found no place among its candidates.
    candidates_full,
    /// Stage 7: signatures verified.
    verified,
    /// Stage 7: batches they came in.
    batches,
    /// Stage 8: second bundles at a position: refused, their author convicted.
    conflicts,
    /// Stage 9: bundles that the application ignored, or did not answer for in time.
    validator_ignored,
    /// Stage 9: bundles that the application rejected.
    validator_rejected,
    /// Stage 9: of those, the ones that it did not answer for in time.
    validator_timed_out,
    /// Stage 9: bundles ignored because too many were waiting for the validators.
    validator_overload,
    /// Stage 10: bundles accepted, own ones included.
    accepted,
    /// Stage 10: rumors in them.
    rumors_accepted,
    /// Stage 10: bodies older than 10 s dropped before their retention was over, because newer ones needed the room.
    bodies_evicted,
    /// Stage 11: bundles handed to the application.
    delivered,
    /// Stage 11: hold-back: bundles never delivered because their author was convicted first.
    held_back,
    /// Stage 11: pushes queued, one per bundle and link.
    pushed,
    /// Stage 11: ids and headers queued to be announced, one per link.
    announced,
    /// Stage 11: pushes degraded to announcements, because a queue was full or an author too fast.
    push_degraded,
    /// Stage 11: announcements degraded to a later resync of the link, because its list was full.
    announce_degraded,
    /// Times that proofs were left for a later round, because a link's queue of them was full.
    evidence_degraded,
    /// Pulls sent, one per id and link.
    pulls,
    /// Pulls that were not served in time.
    pulls_unserved,
    /// Announced ids not remembered because a cap was reached; they are asked for again when there is room.
    wants_refused,
    /// Wanted ids given up after every announcer was tried six times; a new announcement brings them back, and those that
    /// have served before are asked for one.
    wants_given_up,
    /// Bundles queued for links that pulled them, those that were cancelled later included.
    served,
    /// Pulls that we could not or would not serve.
    gone,
    /// Queued replies dropped because the other side has cancelled them.
    cancelled,
    /// Queued copies dropped because their author was convicted.
    dropped_convicted,
    /// Evidence that told us nothing new.
    evidence_known,
    /// Evidence about authors that no topic of ours admits.
    evidence_irrelevant,
    /// Authors convicted.
    convictions,
    /// Proofs against authors, and convictions of authors, forgotten because their book was full.
    evidence_shed,
    /// Bans of peers forgotten because there were newer ones, as many as are kept.
    bans_shed,
    /// Links closed because they took no byte for too long or never said hello.
    links_stalled,
}

/// A snapshot of an engine.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Stats {
    /// Since the start.
    pub counters: Counters,
    /// One per link.
    pub links: Vec<LinkStats>,
    /// One per topic.
    pub topics: Vec<TopicStats>,
    /// Signatures that wait.
    pub waiting_verification: usize,
    /// Announced ids that we lack.
    pub wants: usize,
    /// For how long no peer has brought anything genuine that was new; `None` if none ever has. When others are known to
    /// speak, a long silence means that all links lead to liars: dial somebody else.
    pub heard_ago: Option<std::time::Duration>,
    /// What keeps this node from its work, and for how long it has.
    pub impaired: Vec<(super::Impairment, std::time::Duration)>,
}

/// One link now.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct LinkStats {
    /// The node key at the other end.
    pub peer: crate::key::PublicKey,
    /// Whether we dialled.
    pub dialled: bool,
    /// Both sides have said hello.
    pub live: bool,
    /// Measured round trip.
    pub rtt: std::time::Duration,
    /// Copies of bundles that came over it.
    pub copies_in: u64,
    /// Of those, the ones that came first and verified.
    pub accepted_first: u64,
    /// Bytes of bundles that are queued, and of whatever is with the transport. Proofs and lists of ids that wait do not count.
    pub queued_bytes: usize,
    /// Pulls that it owes us.
    pub owed_pulls: usize,
    /// Wanted ids that it has announced.
    pub wanted_from: usize,
    /// Smoothed time from pull to copy.
    pub serve_delay: Option<std::time::Duration>,
    /// It failed to serve so often that it is asked last.
    pub last_resort: bool,
    /// Its signatures that wait to be verified.
    pub waiting_verification: usize,
    /// Bytes of bodies that wait with them.
    pub waiting_bytes: usize,
    /// The peer says that others can dial it.
    pub listens: bool,
    /// Where it says that it sees us.
    pub sees_us_at: Option<core::net::SocketAddr>,
    /// How many live members it says it knows; 0 if it knows of none.
    pub members: u32,
    /// How often it says something on a silent link, by its word, milliseconds; 0 if never.
    pub keep_alive_ms: u16,
}

/// One topic now.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct TopicStats {
    /// Which.
    pub topic: crate::rumor::TopicId,
    /// Bundles in its index.
    pub bundles: usize,
    /// Bytes of bodies held.
    pub body_bytes: usize,
    /// Links that relay it.
    pub links: usize,
}
