//! Opening a stream.

use std::time::Duration;

use tokio::time::timeout;

use super::desk::Desk;
use super::ends::{Hold, RecvStream, SendStream, StreamError};
use super::name::ProtocolName;
use super::ways::{UsedWay, Way};
use super::{OPENING, PRIORITY, header, refused};
use crate::net::closed::LinkClosed;
use crate::wire::Reason;

/// Why a stream was not opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotOpened {
    /// Nobody there accepts the protocol.
    NotAccepted,
    /// So many are open there that one more may not be.
    Busy,
    /// The peer belongs to another network.
    OtherNetwork,
    /// The peer said nothing in time.
    Slow,
    /// The connection has ended before anything was said on it, or nobody has heard what was.
    Unheard(LinkClosed),
    /// The connection has ended. What was said may have been heard.
    Lost(LinkClosed),
    /// The stream has.
    Stream(StreamError),
}

/// A stream to the other end of a connection, on which something was said already, if it is a question.
pub(crate) struct Opened {
    pub(crate) send: SendStream,
    pub(crate) recv: RecvStream,
}

/// Opens a stream and says what it is for; and a whole question, if there is one. Dropping the future leaves no stream open.
pub(crate) async fn open(
    desk: &Desk,
    UsedWay { way, used }: UsedWay,
    name: &ProtocolName,
    question: Option<&[u8]>,
) -> Result<Opened, NotOpened> {
    let connection = &way.connection;
    // Waits as long as all that may be are open; of a peer that lets none be opened, no longer than for its answer.
    let (mut send, recv) = loop {
        match timeout(OPENING, connection.open_both_ways()).await {
            Ok(opened) => break opened.map_err(|why| unheard(lost(LinkClosed::of(why))))?,
            Err(_) if way.has_opened() => {}
            Err(_) => return Err(NotOpened::Slow),
        }
    };
    let opened = async {
        send.set_priority(PRIORITY);
        let hold = Hold::opened(used, way.is_opened());
        let (mut send, mut recv) = (SendStream::new(send, hold.clone()), RecvStream::new(recv, hold));
        let network = desk.network().ok_or(NotOpened::OtherNetwork)?;
        let said = async {
            send.write_all(&header::encode(&network, name)).await?;
            if let Some(question) = question {
                send.write_all(question).await?;
                send.finish()?;
            }
            Ok(())
        };
        if let Err(error) = said.await {
            return Err(why(&way, error));
        }
        match recv.is_accepted().await {
            Ok(true) => Ok(Opened { send, recv }),
            Ok(false) => Err(NotOpened::Stream(StreamError::Dropped)),
            Err(error) => Err(why(&way, error)),
        }
    };
    // A question takes as long as it is, which its asker limits.
    let most = if question.is_none() { OPENING } else { Duration::MAX };
    timeout(most, opened).await.unwrap_or(Err(NotOpened::Slow))
}

fn is_unneeded(why: &LinkClosed) -> bool {
    matches!(why, LinkClosed::ByPeer { code, .. } if *code == Reason::Unneeded.code())
}

/// Nothing was said yet.
fn unheard(why: NotOpened) -> NotOpened {
    match why {
        NotOpened::Lost(why) => NotOpened::Unheard(why),
        why => why,
    }
}

fn lost(why: LinkClosed) -> NotOpened {
    match why {
        LinkClosed::ByPeer { code: refused::NOT_ACCEPTED, .. } => NotOpened::NotAccepted,
        why => NotOpened::Lost(why),
    }
}

/// What the end of a stream means that was not accepted yet.
fn why(way: &Way, error: StreamError) -> NotOpened {
    match error {
        StreamError::Reset { code } | StreamError::Stopped { code } => match code {
            refused::NOT_ACCEPTED => NotOpened::NotAccepted,
            refused::BUSY => NotOpened::Busy,
            refused::OTHER_NETWORK => NotOpened::OtherNetwork,
            _ => NotOpened::Stream(error),
        },
        StreamError::Lost(_) => match way.connection.close_reason() {
            Some(reason) => match lost(reason) {
                // A connection for streams is given up by a node that has none on it.
                NotOpened::Lost(why) if way.is_own() && is_unneeded(&why) => NotOpened::Unheard(why),
                lost => lost,
            },
            None => NotOpened::Stream(error),
        },
        error => NotOpened::Stream(error),
    }
}
