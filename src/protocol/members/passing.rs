//! What is passed on of the topic of members: the newest record of each, at its pace.

use super::Members;
use super::life::MemberState;
use crate::key::PublicKey;
use crate::protocol::context::Cx;
use crate::rumor::BundleId;

impl Members {
    /// Whether a bundle that was accepted is passed on now. What is no record, older than the newest of its member, or of somebody whom
    /// there is no room for, never is; what comes too fast waits.
    pub(in crate::protocol) fn may_spread(&mut self, cx: &mut Cx, author: &PublicKey, id: &BundleId) -> bool {
        let now = cx.now.mono;
        if *author == self.me {
            self.outranked = !self.is_newest(author, id);
        }
        if !self.is_newest(author, id) {
            cx.counters.records_unspread += 1;
            return false;
        }
        self.stirred = true;
        if *author == self.me
            && self.table.get(author).is_some_and(|entry| entry.state() == MemberState::Left)
        {
            self.pace.goes_at_once(*author, now);
            return true;
        }
        let goes = self.pace.comes(*author, *id, now);
        cx.counters.records_waited += u64::from(!goes);
        goes
    }

    /// The records whose turn it is to be passed on.
    pub(in crate::protocol) fn lets_go(
        &mut self,
        cx: &mut Cx,
        held: impl Fn(&BundleId) -> bool,
    ) -> Vec<BundleId> {
        let turn = self.pace.lets_go(held, cx.now.mono);
        cx.counters.records_unspread += turn.gone.len() as u64;
        turn.go
    }

    /// Whether links may be told that this node holds a bundle of the topic: whoever asks is given it in any case.
    pub(in crate::protocol) fn may_be_told(&self, author: &PublicKey, id: &BundleId) -> bool {
        self.is_newest(author, id) && !self.pace.waits(author, id)
    }

    fn is_newest(&self, author: &PublicKey, id: &BundleId) -> bool {
        self.table.get(author).is_some_and(|entry| entry.bundle().id() == *id)
    }
}
