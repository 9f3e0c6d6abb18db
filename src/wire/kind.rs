//! The number of each kind of frame.

/// The number of each kind of frame, its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// [`Frame::Hello`](super::Frame::Hello)
    Hello = 0,
    /// [`Frame::Topics`](super::Frame::Topics)
    Topics = 1,
    /// [`Frame::Bundles`](super::Frame::Bundles)
    Bundles = 2,
    /// [`Frame::Announce`](super::Frame::Announce)
    Announce = 3,
    /// [`Frame::Headers`](super::Frame::Headers)
    Headers = 4,
    /// [`Frame::Pull`](super::Frame::Pull)
    Pull = 5,
    /// [`Frame::Gone`](super::Frame::Gone)
    Gone = 6,
    /// [`Frame::Cancel`](super::Frame::Cancel)
    Cancel = 7,
    /// [`Frame::Evidence`](super::Frame::Evidence)
    Evidence = 8,
    /// [`Frame::Goodbye`](super::Frame::Goodbye)
    Goodbye = 9,
    /// [`Frame::Ask`](super::Frame::Ask)
    Ask = 10,
    /// [`Frame::Tell`](super::Frame::Tell)
    Tell = 11,
    /// [`Frame::Fetch`](super::Frame::Fetch)
    Fetch = 12,
    /// [`Frame::Page`](super::Frame::Page)
    Page = 13,
    /// [`Frame::More`](super::Frame::More)
    More = 14,
    /// [`Frame::Pulses`](super::Frame::Pulses)
    Pulses = 15,
    /// [`Frame::MembersAsk`](super::Frame::MembersAsk)
    MembersAsk = 16,
    /// [`Frame::Stop`](super::Frame::Stop)
    Stop = 17,
}

impl Kind {
    /// The kind of a frame's payload, without decoding it.
    #[must_use]
    pub fn of(payload: &[u8]) -> Option<Self> {
        payload.first().copied().and_then(Self::from_byte)
    }

    pub(super) const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Hello,
            1 => Self::Topics,
            2 => Self::Bundles,
            3 => Self::Announce,
            4 => Self::Headers,
            5 => Self::Pull,
            6 => Self::Gone,
            7 => Self::Cancel,
            8 => Self::Evidence,
            9 => Self::Goodbye,
            10 => Self::Ask,
            11 => Self::Tell,
            12 => Self::Fetch,
            13 => Self::Page,
            14 => Self::More,
            15 => Self::Pulses,
            16 => Self::MembersAsk,
            17 => Self::Stop,
            _ => return None,
        })
    }
}
