//! Stub: the limits and lanes that the network room needs.

/// The longest frame payload, in bytes.
pub const MAX_FRAME_LEN: usize = 128 * 1024;

/// One of the three streams of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Hello, announce, pull, evidence.
    Control = 0,
    /// Pushed rumors.
    Rumors = 1,
    /// Replies to pulls.
    Replies = 2,
}

impl Lane {
    /// Every lane, in the order of its number.
    pub const ALL: [Lane; 3] = [Lane::Control, Lane::Rumors, Lane::Replies];
    /// How many lanes there are.
    pub const COUNT: usize = 3;

    /// The number of the lane.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The lane of a number.
    pub const fn from_byte(byte: u8) -> Option<Lane> {
        match byte {
            0 => Some(Lane::Control),
            1 => Some(Lane::Rumors),
            2 => Some(Lane::Replies),
            _ => None,
        }
    }
}
