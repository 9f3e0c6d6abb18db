//! Which lanes of a link we do not read, and why.

use super::Link;
use crate::wire::Lane;

/// Why we do not read from a link. A lane is read again when no reason is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::protocol) enum Pause {
    /// It has cost too much: nothing is read but its system lane.
    Budget = 1,
    /// Its signatures wait: the lanes of the living are not read.
    Verification = 2,
    /// What it brings of the past waits: its lane of the history is not read.
    History = 4,
    /// Its system lane has cost too much: that alone is not read.
    System = 8,
    /// Signatures wait that came on its system lane: that alone is not read.
    SystemVerification = 16,
    /// It was refused too much of the past: its lane of the history is not read.
    Refusals = 32,
}

/// The reasons not to read a lane, as bits.
const fn reasons(lane: Lane) -> u8 {
    match lane {
        Lane::Control | Lane::Rumors | Lane::Replies => Pause::Budget as u8 | Pause::Verification as u8,
        Lane::History => Pause::Budget as u8 | Pause::History as u8 | Pause::Refusals as u8,
        Lane::System => Pause::System as u8 | Pause::SystemVerification as u8,
    }
}

impl Link {
    /// Adds a reason not to read. Gives the lanes that must not be read any more.
    pub(in crate::protocol) fn pause(&mut self, why: Pause) -> impl Iterator<Item = Lane> + use<> {
        let before = self.paused;
        self.paused |= why as u8;
        let after = self.paused;
        Lane::ALL.into_iter().filter(move |lane| before & reasons(*lane) == 0 && after & reasons(*lane) != 0)
    }

    /// Removes a reason. Gives the lanes that must be read again.
    pub(in crate::protocol) fn resume(&mut self, why: Pause) -> impl Iterator<Item = Lane> + use<> {
        let before = self.paused;
        self.paused &= !(why as u8);
        let after = self.paused;
        Lane::ALL.into_iter().filter(move |lane| before & reasons(*lane) != 0 && after & reasons(*lane) == 0)
    }

    /// Whether we do not read a lane of it, for whatever reason.
    pub(in crate::protocol) const fn is_paused_on(&self, lane: Lane) -> bool {
        self.paused & reasons(lane) != 0
    }

    /// Whether what it brings of the past is held up here, and not by its own questions that were refused: or whoever asks without end
    /// could owe an answer for ever.
    pub(in crate::protocol) const fn is_held_up_with_the_past(&self) -> bool {
        self.paused & reasons(Lane::History) & !(Pause::Refusals as u8) != 0
    }

    pub(in crate::protocol) const fn is_paused(&self, why: Pause) -> bool {
        self.paused & why as u8 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::PublicKey;
    use crate::protocol::linkset::Slot;
    use crate::protocol::random::Keyed;
    use crate::protocol::{Config, LinkId, Mono};

    fn link() -> Link {
        let (peer, config) = (PublicKey::from_bytes([1; 32]), Config::default());
        let topic = crate::rumor::TopicId::from_bytes([9; 32]);
        Link::new(LinkId(1), Slot(0), peer, true, false, Mono::default(), &config, Keyed::default(), topic)
    }

    #[test]
    fn what_waits_of_the_past_holds_up_the_past_alone() {
        let mut link = link();
        let living = [Lane::Control, Lane::Rumors, Lane::Replies];
        let history = [Lane::History];
        assert!(link.pause(Pause::Refusals).eq(history) && !link.is_held_up_with_the_past());
        assert!(link.resume(Pause::Refusals).eq(history));
        assert!(link.pause(Pause::History).eq(history) && link.is_held_up_with_the_past());
        assert!(link.pause(Pause::History).eq([]), "once");
        assert!(link.pause(Pause::Refusals).eq([]), "it is not read already");
        assert!(link.resume(Pause::Refusals).eq([]), "what it brought still waits");
        assert!(link.pause(Pause::Verification).eq(living));
        assert!(link.pause(Pause::Budget).eq([]), "nothing more is to be paused");
        assert!(link.resume(Pause::History).eq([]), "what is too dear is not read");
        assert!(link.resume(Pause::Budget).eq(history));
        assert!(Lane::ALL.into_iter().filter(|lane| link.is_paused_on(*lane)).eq(living));
        assert!(link.resume(Pause::Verification).eq(living));
        let all_but_one = [Lane::Control, Lane::Rumors, Lane::Replies, Lane::History];
        assert!(link.pause(Pause::Budget).eq(all_but_one) && link.resume(Pause::Budget).eq(all_but_one));
    }

    #[test]
    fn no_pause_of_another_lane_stops_the_system_lane_nor_the_other_way_round() {
        let mut link = link();
        for why in [Pause::Budget, Pause::Verification, Pause::History] {
            assert!(link.pause(why).all(|lane| lane != Lane::System));
        }
        assert!(!link.is_paused_on(Lane::System));
        assert!(link.pause(Pause::System).eq([Lane::System]));
        assert!(link.pause(Pause::SystemVerification).eq([]));
        assert!(link.resume(Pause::System).eq([]), "signatures of it still wait");
        assert!(link.resume(Pause::SystemVerification).eq([Lane::System]));
    }
}
