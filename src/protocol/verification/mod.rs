//! What waits for a verdict: signatures for a verifier, bundles for the application's validator.

pub(super) mod questions;
pub(super) mod queue;
pub(super) mod work;
