//! What peers ask about the past: answered within the budget of [`Server`](crate::protocol::repair::Server), or "no".

use bytes::Bytes;

use crate::protocol::engine::Engine;
use crate::protocol::keeping::{Forget, Found, LookId, Query, Range, StoreJob, StoreTrouble};
use crate::protocol::limits::{BUSY_PAUSE_MS, ROTTEN_A_PAGE};
use crate::protocol::links::Sender;
use crate::protocol::linkset::Slot;
use crate::protocol::repair::{Cost, KeptTopic, Purpose, Reading, Work, moments};
use crate::protocol::timers::Timer;
use crate::protocol::{Action, keeping};
use crate::wire::{
    self, Answer, Ask, Fetch, FetchedRange, Frame, MAX_PAUSE_MS, MAX_TELL_LEN, Mark, Page, Reason, Tell,
};

impl Engine {
    pub(super) fn on_history(&mut self, sender: Sender, frame: Frame, bytes: usize) {
        match frame {
            Frame::Ask(ask) => self.on_ask(sender, ask),
            Frame::Fetch(fetch) => self.on_fetch(sender, fetch),
            Frame::Stop(session) => {
                self.repair.server_mut().stops(sender.slot, session);
                if let Some(link) = self.links.at_mut(sender.slot) {
                    link.outbox_mut().drop_pages(session);
                }
            }
            Frame::More(more) => self.on_more(sender, &more),
            Frame::Tell(tell) => self.on_tell(sender, &tell, bytes),
            Frame::Page(page) => self.on_page(sender, &page),
            Frame::Bundles(bundles) => self.on_late_bundles(sender, bundles),
            _ => self.close(sender.link, Reason::OutOfOrder),
        }
    }

    fn on_ask(&mut self, sender: Sender, ask: Ask) {
        let now = self.cx.now;
        let Some(kept) = self.repair.topic(&ask.topic).filter(|kept| kept.is_open()) else {
            self.refuses(sender.slot);
            return self.say_no(sender.slot, &ask, MAX_PAUSE_MS);
        };
        if !moments::is_told(kept.rules().tick_len(), ask.as_of, now.unix_ms) {
            self.refuses(sender.slot);
            return self.say_no(sender.slot, &ask, MAX_PAUSE_MS);
        }
        // (The ask is moved into the queue; a second one in hand comes back.)
        if let Some(ask) = self.repair.server_mut().asks(sender.slot, ask, now.mono) {
            self.refuses(sender.slot);
            self.say_no(sender.slot, &ask, BUSY_PAUSE_MS);
        }
    }

    fn on_fetch(&mut self, sender: Sender, fetch: Fetch) {
        let keeps = self.repair.topic(&fetch.topic).is_some_and(KeptTopic::is_open);
        if !keeps {
            self.refuses(sender.slot);
            return self.begin_nothing(sender.slot, &fetch);
        }
        if let Some(fetch) = self.repair.server_mut().fetches(sender.slot, fetch) {
            self.refuses(sender.slot);
            self.begin_nothing(sender.slot, &fetch);
        }
    }

    /// Answers what waits, as far as the budget goes.
    pub(super) fn serve_history(&mut self) {
        let now = self.cx.now.mono;
        for (slot, ask) in self.repair.server_mut().overdue(now) {
            self.refuses(slot);
            self.say_no(slot, &ask, BUSY_PAUSE_MS);
        }
        loop {
            let links = &self.links;
            let reads = |slot| links.at(slot).is_some_and(|link| link.outbox().reads_history(now));
            match self.repair.server_mut().next(now, reads) {
                Some(Work::Ask(slot, ask)) => self.answer(slot, &ask),
                Some(Work::Fetch(slot, fetch)) => self.read_page(slot, fetch),
                None => break,
            }
        }
        if let Some(at) = self.repair.server_mut().wakes(now) {
            self.cx.timers.set(at, Timer::HistoryDue);
        }
    }

    /// Once a second: whether the living have room for more of the past. One link that does not read tells nothing, it may lie: only
    /// where more than half of them wait is it our line.
    pub(super) fn adapt_history(&mut self) {
        let now = self.cx.now.mono;
        let (mut links, mut waiting) = (0usize, 0usize);
        for link in self.links.iter_mut().filter(|link| link.is_in_use()) {
            links = links.saturating_add(1);
            let waits = link.outbox_mut().has_living_waited(now);
            waiting = waiting.saturating_add(usize::from(waits));
        }
        let wait = waiting.saturating_mul(2) > links;
        let most = self.cx.config.history.bytes_per_s;
        self.repair.server_mut().adapts(now, wait, most);
    }

    fn answer(&mut self, slot: Slot, ask: &Ask) {
        let now = self.cx.now.mono;
        let Some((kept, server)) = self.repair.serving(&ask.topic).filter(|(kept, _)| kept.is_open()) else {
            return self.say_no(slot, ask, MAX_PAUSE_MS);
        };
        let floor = kept.low();
        let book = kept.book_mut();
        server.computes(now, Cost { items: book.slice_cost(ask.as_of), ..Cost::default() });
        let slice = book.slice(ask.as_of);
        let (mut answers, mut room) = (Vec::new(), MAX_TELL_LEN);
        for range in &ask.ranges {
            // The rest is asked again.
            if !answers.is_empty() && !server.may_compute(now) {
                break;
            }
            server.computes(now, slice.cost(range, room));
            let Some(answer) = slice.answer(range, |item| book.head(item), room) else { break };
            room = room.saturating_sub(wire::answer_len(&answer));
            answers.push(answer);
        }
        self.cx.counters.history_asks += 1;
        let tell = Tell { topic: ask.topic, session: ask.session, floor, answers };
        let frame = wire::tell(&tell);
        self.repair.server_mut().sends(now, frame.len() as u64);
        if let Some(link) = self.links.at_mut(slot) {
            link.budget_mut().charge_bytes(now, frame.len() as u64);
        }
        self.send_history(slot, frame);
    }

    /// Has the store read what a peer asks for: not what is below our floor, and nothing of convicted authors.
    fn read_page(&mut self, slot: Slot, fetch: Fetch) {
        let now = self.cx.now.mono;
        let kept = self.repair.topic(&fetch.topic).filter(|kept| kept.is_open());
        let (Some(low), Some(link)) = (kept.map(KeptTopic::low), self.links.at(slot).map(|link| link.id()))
        else {
            self.refuses(slot);
            return self.begin_nothing(slot, &fetch);
        };
        // Also where nothing is read: it is free to name a thousand ranges that are empty.
        self.repair.server_mut().computes(now, Cost { ranges: fetch.ranges.len(), ..Cost::default() });
        let mut parts = Vec::with_capacity(fetch.ranges.len());
        for range in &fetch.ranges {
            let convicted = self.evidence.is_convicted(&range.author);
            if convicted {
                self.remind_of_conviction(slot, &range.author);
            }
            parts.push((range.from, part_of(range, low, convicted)));
        }
        let ranges: Vec<_> = parts.iter().filter_map(|(_, part)| part.ok()).collect();
        let charged = u64::from(fetch.max_bytes);
        let (topic, session) = (fetch.topic, fetch.session);
        let reading = Reading { link, slot, topic, session, charged, parts };
        if ranges.is_empty() {
            return self.send_page(&Reading { charged: 0, ..reading }, None);
        }
        let Some(look) = self.repair.looks_mut().ask(Purpose::Page(reading)) else {
            self.refuses(slot);
            return self.begin_nothing(slot, &fetch);
        };
        let server = self.repair.server_mut();
        server.sends(now, charged);
        server.reads(slot, session);
        let query = Query::Page { topic, ranges, max_bytes: fetch.max_bytes as usize };
        self.cx.actions.push_back(Action::Store(StoreJob::Look { look, query }));
    }

    /// The store has answered a question.
    pub(super) fn on_looked(&mut self, look: LookId, found: Result<Found, StoreTrouble>) {
        match self.repair.looks_mut().answered(look) {
            Some(Purpose::Page(reading)) => self.on_page_read(&reading, found),
            Some(Purpose::Asker(what)) => self.on_asker_looked(&what, &found),
            Some(Purpose::Members) => self.on_members_read(found),
            Some(Purpose::List(topic)) => self.on_list_read(&topic, found),
            Some(Purpose::Over) => self.left_topics_expire(found),
            None => {}
        }
    }

    /// The store has started anew, and answers nothing that was asked before.
    pub(super) fn looks_are_lost(&mut self) {
        for purpose in self.repair.looks_mut().lost() {
            match purpose {
                Purpose::Page(reading) => self.on_page_read(&reading, Err(StoreTrouble::Damaged)),
                Purpose::Asker(what) => self.on_asker_looked(&what, &Err(StoreTrouble::Damaged)),
                // Its topic is opened anew, and read again; and what is over will be.
                Purpose::Members | Purpose::List(_) | Purpose::Over => {}
            }
        }
    }

    fn on_page_read(&mut self, reading: &Reading, found: Result<Found, StoreTrouble>) {
        let same_link = self.links.at(reading.slot).is_some_and(|link| link.id() == reading.link);
        let wanted = self.repair.server_mut().was_read(reading.slot, reading.session, same_link);
        let page = if let Ok(Found::Page(page)) = found { Some(page) } else { None };
        for (author, position) in page.iter().flat_map(|page| &page.rotten).take(ROTTEN_A_PAGE) {
            let what = Forget::Rotten(*author, *position);
            self.cx.actions.push_back(Action::Store(StoreJob::Forget { topic: reading.topic, what }));
        }
        if wanted {
            self.send_page(reading, page);
        }
    }

    /// Sends what was read: bundles, and then where that leaves each range. Without a page nothing was begun.
    fn send_page(&mut self, reading: &Reading, page: Option<keeping::Page>) {
        let now = self.cx.now.mono;
        let floor = self.repair.topic(&reading.topic).map_or(0, KeptTopic::low);
        let page = page.unwrap_or_default();
        let mut read = page.next.iter();
        let next = reading.parts.iter().map(|(from, part)| match part {
            Err(stands) => *stands,
            // Where it was to begin it has not begun.
            Ok(range) => match read.next() {
                Some((tick, slot)) if (*tick, *slot) != range.from => Mark { tick: *tick, slot: *slot },
                _ => *from,
            },
        });
        let (topic, session) = (reading.topic, reading.session);
        let end = wire::page(&Page { topic, session, floor: floor.max(page.floor), next: next.collect() });
        self.cx.counters.history_served += page.bundles.len() as u64;
        let Some(link) = self.links.at_mut(reading.slot) else { return };
        let sent = link.outbox_mut().page(session, page.bundles, end) as u64;
        link.budget_mut().charge_bytes(now, sent);
        self.cx.dirty.insert(reading.slot);
        let server = self.repair.server_mut();
        server.sends_less(reading.charged.saturating_sub(sent));
        server.sends(now, sent.saturating_sub(reading.charged));
    }

    /// "No" to the first range: the others are not answered, which says the same.
    /// Counts a question that is refused. A link that is refused too many is asked for patience by not being read.
    fn refuses(&mut self, slot: Slot) {
        self.cx.counters.history_refused += 1;
        if let Some(link) = self.links.at_mut(slot) {
            link.is_refused(self.cx.now.mono);
        }
    }

    fn say_no(&mut self, slot: Slot, ask: &Ask, after_ms: u16) {
        let floor = self.repair.topic(&ask.topic).map_or(ask.as_of, KeptTopic::low);
        let answers = vec![Answer::No { after_ms }];
        self.send_history(slot, wire::tell(&Tell { topic: ask.topic, session: ask.session, floor, answers }));
    }

    /// A page that stands where each range begins: nothing was begun.
    fn begin_nothing(&mut self, slot: Slot, fetch: &Fetch) {
        let next = fetch.ranges.iter().map(|range| range.from).collect();
        // Who keeps nothing will not begin.
        let end = || fetch.ranges.iter().map(|range| range.upto.tick.saturating_add(1)).max().unwrap_or(0);
        let floor = self.repair.topic(&fetch.topic).map_or_else(end, KeptTopic::low);
        let page = Page { topic: fetch.topic, session: fetch.session, floor, next };
        self.send_history(slot, wire::page(&page));
    }

    /// Queues a small frame of the history.
    fn send_history(&mut self, slot: Slot, frame: Bytes) {
        let Some(link) = self.links.at_mut(slot) else { return };
        if !link.outbox_mut().history(frame) {
            self.cx.counters.history_unanswered += 1;
        }
        self.cx.dirty.insert(slot);
    }
}

/// What is read of a range that a peer asks for, or where it stands, since there is nothing of it.
fn part_of(range: &FetchedRange, low: u64, convicted: bool) -> Result<Range, Mark> {
    let from = range.from.max(Mark { tick: low, slot: 0 });
    let past = Mark { tick: range.upto.tick, slot: u32::from(range.upto.slot).saturating_add(1) };
    if convicted || from >= past {
        return Err(past.max(range.from));
    }
    Ok(Range { author: range.author, from: (from.tick, from.slot), upto: range.upto })
}
