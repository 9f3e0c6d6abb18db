//! Questions to all who have joined a topic, and their answers, which go straight to the asker.
//!
//! ```text
//! asker:      question ─▶ rumor in the topic's topic of questions ─▶ everybody who takes questions
//! everybody:  answer   ─▶ stream to the asker's node ─▶ counted, limited, in the order of arrival
//! ```
//!
//! A question names the node that is to be answered, and carries that node's signature: else a liar could have all members dial a
//! victim. Where it can be dialled only its own beacon says, and an address where it does not answer rests.

mod accepting;
mod asking;
mod envelope;
mod error;
mod questions;
#[cfg(test)]
mod tests;

pub use asking::Query;
pub use error::{AnswerError, QueryError};
pub use questions::{Question, Questions};
