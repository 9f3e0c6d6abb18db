//! Waiting until there are enough of something, with or without a limit.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::error::WaitError;

/// Waits until there are as many links, members or the like as were asked for: await it. [`Wait::within`] says for how long.
///
/// Cancel safe: dropping it leaves nothing behind, and another begins anew. It holds no node and no topic: when the last handle is dropped
/// meanwhile, it ends with an error.
///
/// ```
/// # use std::time::Duration;
/// # use vouchsafe::{Node, TopicHandle, WaitError};
/// # async fn f(node: Node, lobby: TopicHandle) -> Result<(), WaitError> {
/// node.wait_for_members(3).within(Duration::from_secs(30)).await?;
/// if let Err(WaitError::TimedOut { reached, .. }) = lobby.wait_for_links(3).within(Duration::from_secs(10)).await {
///     println!("only {reached} of our peers are in the lobby");
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is waited for before this is awaited"]
pub struct Wait {
    /// What is to be done, until it is begun.
    begins: Option<Begins>,
    limit: Option<Duration>,
    under_way: Option<UnderWay>,
}

type UnderWay = Pin<Box<dyn Future<Output = Result<(), WaitError>> + Send>>;

struct Begins {
    until: UnderWay,
    /// How many there are, for who waits no longer.
    reached: Box<dyn Fn() -> usize + Send>,
    what: &'static str,
    wanted: usize,
}

impl std::fmt::Debug for Wait {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wait").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl Wait {
    /// Waits for `wanted` of `what` by `until`; `reached` says how many there are.
    pub(super) fn new(
        what: &'static str,
        wanted: usize,
        until: impl Future<Output = Result<(), WaitError>> + Send + 'static,
        reached: impl Fn() -> usize + Send + 'static,
    ) -> Self {
        let begins = Begins { until: Box::pin(until), reached: Box::new(reached), what, wanted };
        Self { begins: Some(begins), limit: None, under_way: None }
    }

    /// Waits no longer than this, from when it is first polled: then it ends with [`WaitError::TimedOut`], which says how many there were.
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }
}

impl Future for Wait {
    type Output = Result<(), WaitError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(begins) = self.begins.take() {
            self.under_way = Some(match self.limit {
                Some(limit) => Box::pin(wait(begins, limit)),
                None => begins.until,
            });
        }
        match &mut self.under_way {
            Some(under_way) => under_way.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

async fn wait(begins: Begins, limit: Duration) -> Result<(), WaitError> {
    let Begins { until, reached, what, wanted } = begins;
    match tokio::time::timeout(limit, until).await {
        Ok(ended) => ended,
        Err(_) => Err(WaitError::TimedOut { what, reached: reached(), wanted, limit }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_limit_ends_the_wait_and_says_how_far_it_came() {
        let limit = Duration::from_secs(3);
        let begun = tokio::time::Instant::now();
        let ended = Wait::new("links", 3, std::future::pending(), || 2).within(limit).await;
        assert_eq!(ended, Err(WaitError::TimedOut { what: "links", reached: 2, wanted: 3, limit }));
        assert_eq!(begun.elapsed(), limit);
        let soon = async move {
            tokio::time::sleep(limit / 2).await;
            Ok(())
        };
        assert_eq!(Wait::new("links", 3, soon, || 2).within(limit).await, Ok(()));
        // A limit that no clock can reach is none.
        assert_eq!(Wait::new("links", 0, async { Ok(()) }, || 0).within(Duration::MAX).await, Ok(()));
    }
}
