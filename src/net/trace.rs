//! What links write to `tracing`, with the feature of that name. Without it all of this compiles to nothing.
//!
//! Nothing that a stranger can cause is above debug, so an operator can leave info on: no flood of links fills a log. Keys and
//! addresses stand in lines at debug only, and bodies nowhere.

use super::connection::Connection;
use super::entrance::AcceptError;
use crate::protocol::LinkId;

/// The span of a link: what its tasks write stands in it. It names the link by its number and says who dialled.
#[derive(Debug)]
pub(crate) struct LinkSpan {
    #[cfg(feature = "tracing")]
    span: tracing::Span,
}

impl LinkSpan {
    /// The span of a link that begins now.
    #[cfg_attr(not(feature = "tracing"), expect(unused_variables, reason = "nobody reads them"))]
    pub(crate) fn new(link: LinkId, connection: &Connection) -> Self {
        #[cfg(feature = "tracing")]
        {
            let span = tracing::info_span!("link", id = link.0, dialled = connection.dialled);
            span.in_scope(|| {
                tracing::debug!(peer = %connection.peer, remote = %connection.remote, "the link begins");
            });
            Self { span }
        }
        #[cfg(not(feature = "tracing"))]
        Self {}
    }

    /// Runs a task of the link in the span.
    pub(crate) fn around<F: Future>(self, task: F) -> impl Future<Output = F::Output> {
        #[cfg(feature = "tracing")]
        {
            tracing::Instrument::instrument(task, self.span)
        }
        #[cfg(not(feature = "tracing"))]
        task
    }
}

/// The link whose span this runs in has ended.
#[cfg_attr(not(feature = "tracing"), expect(unused_variables, reason = "nobody reads it"))]
pub(crate) fn link_ended(why: &super::LinkClosed) {
    #[cfg(feature = "tracing")]
    tracing::debug!(%why, "the link ends");
}

/// A handshake of a peer that dialled this node has failed.
#[cfg_attr(not(feature = "tracing"), expect(unused_variables, reason = "nobody reads it"))]
pub(crate) fn handshake_failed(error: &AcceptError) {
    #[cfg(feature = "tracing")]
    tracing::debug!(%error, "a handshake failed");
}
