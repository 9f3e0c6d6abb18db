//! Frames about members as values: each within the limits, or just beyond one.

use arbitrary::Arbitrary;
use bytes::Bytes;
use vouchsafe::wire::{
    self, Frame, KeyPrefix, MAX_PULSES, MAX_RECORDS_ASKED, MembersAsk, Pulse, PulsePage, Pulses,
};

#[derive(Arbitrary, Debug)]
pub(crate) enum Members {
    Pulses { page: u8, pulses: Vec<([u8; 8], u32, [u8; 16], bool)>, again: u16 },
    First,
    AskPulses(Vec<[u8; 8]>, u16),
    Since(u32, [u8; 8]),
    AskRecords(Vec<[u8; 8]>, u8),
}

/// The last one again, so that a list of any length is few bytes.
fn many<T: Copy>(mut list: Vec<T>, again: usize, most: usize) -> Vec<T> {
    list.extend(list.last().copied().into_iter().cycle().take(again % (most + 2)));
    list.truncate(most);
    list
}

impl Members {
    /// How it is written, and what that means: `None` if it may not travel.
    pub(crate) fn frame(self) -> (Bytes, Option<Frame>) {
        match self {
            Self::Pulses { page, pulses, again } => {
                let page = [PulsePage::Pushed, PulsePage::More, PulsePage::Last][usize::from(page) % 3];
                let pulses = many(pulses, usize::from(again), MAX_PULSES).into_iter();
                let pulses = pulses.map(|(member, index, value, failed_here)| Pulse {
                    member: KeyPrefix(member),
                    index: index % (1 << 30),
                    value,
                    failed_here,
                });
                let pulses = Pulses { page, pulses: pulses.collect() };
                let good = page == PulsePage::Last || !pulses.pulses.is_empty();
                (wire::pulses(&pulses), good.then_some(Frame::Pulses(pulses)))
            }
            Self::First => asked(MembersAsk::First, true),
            Self::Since(since, after) => asked(MembersAsk::Since { since, after: KeyPrefix(after) }, true),
            Self::AskPulses(keys, again) => {
                let keys: Vec<_> =
                    many(keys, usize::from(again), MAX_PULSES).into_iter().map(KeyPrefix).collect();
                let some = !keys.is_empty();
                asked(MembersAsk::Pulses(keys), some)
            }
            Self::AskRecords(keys, again) => {
                let keys: Vec<_> =
                    many(keys, usize::from(again), MAX_RECORDS_ASKED).into_iter().map(KeyPrefix).collect();
                let some = !keys.is_empty();
                asked(MembersAsk::Records(keys), some)
            }
        }
    }
}

fn asked(ask: MembersAsk, good: bool) -> (Bytes, Option<Frame>) {
    (wire::members_ask(&ask), good.then_some(Frame::MembersAsk(ask)))
}
