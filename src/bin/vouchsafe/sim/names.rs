//! Adversaries by name.

use vouchsafe::sim::Liar;

pub(super) fn liar(text: &str) -> Result<Liar, String> {
    let found = ALL.iter().find(|(name, _)| *name == text).map(|(_, liar)| *liar);
    found.ok_or_else(|| format!("give one of {}", ALL.map(|(name, _)| name).join(", ")))
}

pub(super) fn name(liar: &Liar) -> String {
    ALL.iter().find(|(_, known)| known == liar).map_or("flash", |(name, _)| name).to_owned()
}

pub(super) fn all() -> Vec<Liar> {
    ALL.map(|(_, liar)| liar).to_vec()
}

const ALL: [(&str, Liar); 4] =
    [("silent", Liar::Silent), ("announce", Liar::Announce), ("hops", Liar::Hops), ("slow", Liar::Slow)];
