//! A recount of a window.

use super::Window;

impl Window {
    pub(in crate::protocol) fn check(&self, recount: &mut crate::protocol::check::Recount) {
        for (author, bundles) in self.authors.bundles() {
            let of_author = self.generations.values().filter_map(|generation| generation.claims.get(author));
            recount.same("an author's bundles in the index", bundles, of_author.map(Vec::len).sum());
        }
        let unclaimed: usize = self.generations.values().map(|generation| generation.unclaimed.len()).sum();
        let mut without_claim = 0;
        for (id, entry) in &self.entries {
            let header = entry.header();
            let generation = self.generations.get(&header.tick);
            let waits = generation.is_some_and(|generation| generation.unclaimed.contains(id));
            let claims = generation.and_then(|generation| generation.claims.get(&header.author));
            let claimed = claims.is_some_and(|claims| claims.iter().any(|claim| claim.id == *id));
            without_claim += usize::from(waits);
            recount.holds(waits || claimed, "a bundle is in no generation, and would never expire");
            recount.holds(!entry.is_counted() || self.bodies.holds(id), "a body is kept and not counted");
        }
        recount.same("bundles without a claim", unclaimed, without_claim);
        recount.same("bundles that hold no place", self.unclaimed, without_claim);
        let claims = self.generations.values().flat_map(|generation| generation.claims.values()).flatten();
        let paid = claims.filter(|claim| claim.payer.is_some()).count();
        recount.same("newcomers' places by their links", self.newcomers.values().sum(), paid);
        self.debts.check(recount);
        recount.same(
            "bodies",
            self.bodies.count(),
            self.entries.values().filter(|entry| entry.is_counted()).count(),
        );
        self.bodies.check(recount);
        self.refused.check(recount);
    }
}
