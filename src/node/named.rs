//! Replays with a name, whose places the node keeps.

use super::folder::CursorError;
use super::{Replay, TopicHandle};

impl TopicHandle {
    /// As [`TopicHandle::replay`], and the node keeps the cursor, in its [state folder](crate::Builder::state): the replay begins where
    /// [`Replay::save`] was called last under this name in this topic, in this life or an earlier one; at first at the beginning. A name has
    /// one reader at a time, and it is free again when that replay is dropped.
    ///
    /// A rumor that was read and not saved comes again after a crash. An app that can keep the cursor together with its effects, in one
    /// transaction, is given each rumor once: it takes [`TopicHandle::replay`].
    ///
    /// ```
    /// # use vouchsafe::{Item, TopicHandle};
    /// # async fn f(orders: TopicHandle) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut past = orders.replay_named("billing")?;
    /// while let Some(item) = past.next().await {
    ///     if let Item::Rumor { rumor, .. } = item? {
    ///         println!("{}", String::from_utf8_lossy(rumor.body()));
    ///     }
    ///     past.save().await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the node has no state folder, the topic is not kept, the name is none (1 to 64 ASCII letters, digits, dots, dashes and
    /// underscores) or is in use in this topic, or there are 256 names already.
    pub fn replay_named(&self, name: &str) -> Result<Replay, CursorError> {
        let cursors = self.node().cursors().ok_or(CursorError::NoFolder)?;
        if !self.rules().is_kept() {
            return Err(CursorError::NotKept(self.id()));
        }
        let (name, cursor) = cursors.begin(name, self.id())?;
        Ok(self.replay(cursor).named(name))
    }

    /// Forgets where the replays of this name stand in this topic: the next one begins at the beginning. Gives whether anything was saved.
    ///
    /// Dropping this future before it is done leaves it open whether the name is forgotten by the next life.
    ///
    /// # Errors
    /// If the node has no state folder or has ended, the name is none, a replay of this name goes on, or the disk fails.
    pub async fn forget_replay(&self, name: &str) -> Result<bool, CursorError> {
        self.node().cursors().ok_or(CursorError::NoFolder)?.forget(name, self.id()).await
    }
}
