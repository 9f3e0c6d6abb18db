//! A node that is told to dial itself.

use super::Host;

/// Whether the application knows that it told the node to dial itself.
#[derive(Debug, Default)]
pub(super) enum OwnKey {
    /// It did not.
    #[default]
    NotGiven,
    /// It did, and is told as soon as it listens: bootstrap lists are read before anybody can.
    Given(Host),
    /// It knows.
    Told,
}

impl OwnKey {
    /// The application names the node itself, there.
    pub(super) fn is_given(&mut self, host: Host) {
        if matches!(self, Self::NotGiven) {
            *self = Self::Given(host);
        }
    }

    /// Where the application has named the node itself, if it does not know yet. From now on it does.
    pub(super) fn is_told(&mut self) -> Option<Host> {
        match std::mem::replace(self, Self::Told) {
            Self::Given(host) => Some(host),
            other => {
                *self = other;
                None
            }
        }
    }
}
