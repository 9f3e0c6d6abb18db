//! What all clients together may take of an agent.

use std::time::Duration;

/// Connections at once, of both sockets: a thousand subscribers, and room for others. One more is told that there are too many.
pub(crate) const CONNECTIONS: usize = 1_200;
/// Of those, how many may come by an address, as anybody on this machine may. The others are the socket's, which its user alone may open.
pub(crate) const BY_ADDRESS: usize = 900;
/// Clients of an interface that only shows, beside nodes that need files of their own.
pub(crate) const SHOWN_TO: usize = 64;
/// Streams of events at once.
pub(crate) const STREAMS: usize = 1_024;
/// Requests under way at once, streams left out.
pub(crate) const REQUESTS: usize = 256;
/// Bytes of a request before its body: its line and headers. (hyper takes no less than 8 KiB.)
pub(crate) const HEAD: usize = 16 * 1024;
/// Bytes of a body: the largest that a topic may allow.
pub(crate) const BODY: usize = 64 * 1024;
/// How long a client may take for the head of a request, or be idle between two.
pub(crate) const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// How long it may take for a body.
pub(crate) const BODY_WITHIN: Duration = Duration::from_secs(10);
/// A client that takes no byte for so long is cut.
pub(crate) const STALLED: Duration = Duration::from_secs(30);
/// A stream on which nothing happens says so as often: whoever is gone is noticed.
pub(crate) const QUIET: Duration = Duration::from_secs(15);
/// Streams that read a topic that is kept by themselves, each with a page of 128 KiB. Others wait for their turn ...
pub(crate) const ALONE: usize = 64;
/// ... which comes when one has had so long.
pub(crate) const TURN: Duration = Duration::from_secs(1);
/// Parts of a stream that wait for a slow client. Then its source is not read further.
pub(crate) const PARTS: usize = 16;
/// Bytes of them, or one part that is larger.
pub(crate) const PART_BYTES: usize = 64 * 1024;
/// Longest a request may ask to wait, for a publication or for answers.
pub(crate) const LONGEST: Duration = Duration::from_secs(300);
/// What it waits if it does not say.
pub(crate) const WITHIN: Duration = Duration::from_secs(30);
/// Most rumors, or entries, in one answer.
pub(crate) const PAGE: usize = 10_000;
/// Bytes of them after which an answer ends early and says where to go on.
pub(crate) const PAGE_BYTES: usize = 4 << 20;
/// Pages that are made at once. Others wait their turn.
pub(crate) const PAGES: usize = 8;
/// Answers up to so many bytes are made and given as they come ...
pub(crate) const SMALL: usize = 16 * 1024;
/// ... and of larger ones so many bytes wait for clients to take them.
pub(crate) const ANSWERS: usize = 64 << 20;
/// Clients that are being told that there is no place. The next one is taken when one of them knows.
pub(crate) const TURNED_AWAY: usize = 64;
/// How long what a client still sends is read and thrown away, so that it can read the answer it has ...
pub(crate) const LINGER: Duration = Duration::from_secs(1);
/// ... and how many bytes.
pub(crate) const LINGER_BYTES: usize = 1 << 20;
/// Open files that the agent needs beside those of its clients.
pub(crate) const OWN_FILES: usize = 200;
/// Longest token, bytes.
pub(crate) const TOKEN: usize = 256;
