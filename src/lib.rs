//! Signed gossip that liars cannot break.

pub mod key;
pub mod net;
pub mod node;
pub mod protocol;
pub mod rumor;
pub mod store;
pub mod verify;
pub mod wire;

pub use key::{PublicKey, SecretKey};
pub use node::{Delivery, Lagged, Node, PeerAddr, Subscription, TopicHandle, VerifierPool};
pub use protocol::{Event, PublishError, Validation};
pub use rumor::{Authors, Guarantee, Rumor, RumorId, Topic, TopicId};
