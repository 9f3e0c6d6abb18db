//! What the author of a rumor gets back.

use crate::rumor::{Position, Proof, Rumor, RumorId};

/// A rumor that was published: its id, where it stands, and what proves it to others. Cheap to clone; it shares the bundle.
///
/// It compares with the ids of rumors:
///
/// ```
/// # async fn f(topic: vouchsafe::TopicHandle, heard: vouchsafe::Rumor) -> Result<(), vouchsafe::PublishError> {
/// let published = topic.publish("hello").await?;
/// println!("{} at {}", published.id(), published.position());
/// if published == heard.id() {
///     println!("it came back");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Published(Rumor);

impl Published {
    pub(super) const fn new(rumor: Rumor) -> Self {
        Self(rumor)
    }

    /// The content address. Hashes the body: keep the result where you need it often.
    #[must_use]
    pub fn id(&self) -> RumorId {
        self.0.id()
    }

    /// Which of the author's positions it has. The author says nothing else there, ever.
    #[must_use]
    pub fn position(&self) -> Position {
        self.0.position()
    }

    /// What a third party needs, beside the body, to check offline that the author has said it.
    #[must_use]
    pub fn proof(&self) -> Proof {
        self.0.proof()
    }

    /// The rumor itself, as others are given it.
    #[must_use]
    pub const fn rumor(&self) -> &Rumor {
        &self.0
    }
}

impl PartialEq<RumorId> for Published {
    fn eq(&self, id: &RumorId) -> bool {
        self.id() == *id
    }
}

impl PartialEq<Published> for RumorId {
    fn eq(&self, published: &Published) -> bool {
        *self == published.id()
    }
}

impl From<Published> for Rumor {
    fn from(published: Published) -> Self {
        published.0
    }
}
