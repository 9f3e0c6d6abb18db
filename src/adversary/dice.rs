//! Chance, as one seed decides it.

/// Numbers from the scenario's seed.
#[derive(Debug)]
pub(crate) struct Dice {
    stream: blake3::OutputReader,
    /// A block of the stream: the reader computes one for each call, however few bytes are asked for.
    block: [u8; 64],
    used: usize,
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self::of(&seed.to_le_bytes())
    }

    /// From as much seed as there is.
    pub(crate) fn of(seed: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("vouchsafe simulation dice v1");
        Self { stream: hasher.update(seed).finalize_xof(), block: [0; 64], used: 64 }
    }

    pub(crate) fn next(&mut self) -> u64 {
        if self.used >= self.block.len() {
            self.stream.fill(&mut self.block);
            self.used = 0;
        }
        let word = self.block.get(self.used..).and_then(|rest| rest.first_chunk::<8>());
        self.used += 8;
        word.map_or(0, |word| u64::from_le_bytes(*word))
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// Evenly from 0 to 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// The time to the next of things that happen so often per second, independently of each other.
    pub(crate) fn gap(&mut self, per_second: f64) -> std::time::Duration {
        let seconds = -(1.0 - self.unit()).ln() / per_second.max(1e-9);
        std::time::Duration::from_secs_f64(seconds.min(1e6))
    }

    /// Any order, all alike likely (Fisher and Yates).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }

    pub(crate) fn bytes(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for part in bytes.chunks_mut(8) {
            part.copy_from_slice(&self.next().to_le_bytes());
        }
        bytes
    }
}
