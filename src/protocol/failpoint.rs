//! Defences that the crate's own tests can take out, one at a time, to see what breaks without it. In every other build all
//! of them are in place, and asking costs nothing.

/// One defence that is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(all(test, feature = "sim")), allow(dead_code, reason = "only tests take a defence out"))]
pub(crate) enum Failpoint {
    /// An id counts as seen as soon as a copy came in, not only when its signature has held.
    SeenBeforeVerified,
    /// Positions are claimed, and so conflicts found, before the signature is checked.
    ClaimedBeforeVerified,
    /// A node goes on pushing however many of the pushes that it gets are needless.
    RedundancyUnheeded,
    /// Every other node of a simulation verifies by another rule, without the cofactor.
    TwoRules,
    /// Signatures of new and of failing links share batches with everybody's.
    SharedBatches,
    /// Whoever announces is asked, however often it did not serve.
    NobodyDoubted,
    /// An author's bundles are pushed however many it releases at once.
    UnpacedPushes,
    /// Evidence convicts, and is kept to oneself.
    EvidenceUntold,
    /// What was outside the delivery window on acceptance is delivered too.
    LateDelivered,
    /// What arrives outside the relay window is blamed on who sent it.
    LateBlamed,
    /// All inbound places go to whoever comes first.
    PlacesForAll,
    /// Candidates are dialled in any order, not first those that keep inbound places for us.
    AnyOrder,
}
