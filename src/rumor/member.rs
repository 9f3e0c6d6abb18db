//! Member records: what a node says of itself under its own key, as the value of one key of the topic of members.
//!
//! ```text
//!   Beacon = 1   boot_ms u64 | epoch_s u16 | chain_start u32 | chain_len u16 | anchor 16 | flags u8 (0)
//!                | addresses u8 (0 to 3) x { ip 16 | port u16 } | metadata u16 (0 to 512) | metadata        37 to 603 bytes
//!   Leave  = 2   boot_ms u64                                                                             9 bytes
//! ```
//! Numbers are little-endian. An IPv4 address is written as `::ffff:a.b.c.d`.

use core::net::{IpAddr, Ipv6Addr, SocketAddr};

use bytes::Bytes;

use super::Position;
use super::pulse::{ChainPoint, MAX_CHAIN, PULSE_LEN, PulseValue};

/// Most addresses of a member.
pub const MAX_MEMBER_ADDRESSES: usize = 3;
/// Most bytes of metadata. (Guess: tags and a version fit; what is larger belongs into a topic.)
pub const MAX_METADATA: usize = 512;
/// Longest encoded record.
pub const MAX_RECORD: usize = BEACON_LEN + MAX_MEMBER_ADDRESSES * ADDRESS_LEN + MAX_METADATA;
/// Shortest and longest epoch, seconds: how often a member gives a sign of life.
pub const EPOCHS: std::ops::RangeInclusive<u16> = 5..=3600;
/// A chain lasts no longer, seconds: a day.
pub const LONGEST_CHAIN: u64 = 86_400;
/// A chain may begin so long after the record that tells of it, seconds: clocks differ.
const CHAIN_AHEAD: u64 = 60;

/// A beacon without addresses and metadata.
const BEACON_LEN: usize = 37;
const LEAVE_LEN: usize = 9;
const ADDRESS_LEN: usize = 18;
const BEACON: u8 = 1;
const LEAVE: u8 = 2;

/// What a node says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MemberRecord {
    /// It is here.
    Beacon(Beacon),
    /// It has left, in order.
    Leave {
        /// As [`Beacon::boot_ms`].
        boot_ms: u64,
    },
}

/// A node that is here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Beacon {
    /// When this life of the node began, Unix milliseconds. A later life has a greater one.
    pub boot_ms: u64,
    /// The chain that its pulses come from.
    pub chain: ChainTerms,
    /// Where it can be dialled; none if nowhere.
    pub addresses: Vec<SocketAddr>,
    /// What its application says.
    pub metadata: Bytes,
}

/// What a beacon commits to: a [chain](super::PulseChain) of pulses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChainTerms {
    /// Seconds of an epoch, 5 to 3 600: each has one pulse. Epoch `n` begins `n x epoch_s` seconds after 1970.
    pub epoch_s: u16,
    /// The epoch before that of the first pulse.
    pub start: u32,
    /// Pulses, 1 to 4 096, that last a day at most.
    pub len: u16,
    /// The value before the first.
    pub anchor: PulseValue,
}

impl ChainTerms {
    /// What is known before any pulse.
    #[must_use]
    pub const fn known(&self) -> ChainPoint {
        ChainPoint { index: 0, value: self.anchor }
    }

    /// The number of the epoch that holds a Unix time, seconds.
    #[must_use]
    pub const fn epoch_at(&self, unix_s: u64) -> u64 {
        match unix_s.checked_div(self.epoch_s as u64) {
            Some(epoch) => epoch,
            // An epoch has a length, or it was not checked.
            None => unix_s,
        }
    }

    /// When an epoch begins, Unix seconds.
    #[must_use]
    pub fn starts(&self, epoch: u64) -> u64 {
        epoch.saturating_mul(self.epoch_s.into())
    }

    /// The pulse of an epoch: which value of the chain it reveals, from 1; `None` if the chain has none for it.
    #[must_use]
    pub fn index_of(&self, epoch: u64) -> Option<u16> {
        let index = epoch.checked_sub(self.start.into())?;
        u16::try_from(index).ok().filter(|index| (1..=self.len).contains(index))
    }

    /// The epoch of a pulse.
    #[must_use]
    pub fn epoch_of(&self, index: u16) -> u64 {
        u64::from(self.start).saturating_add(index.into())
    }

    fn check(&self) -> Result<(), RecordError> {
        let lasts = u64::from(self.len).saturating_mul(self.epoch_s.into());
        if !EPOCHS.contains(&self.epoch_s) {
            return Err(RecordError::Epoch(self.epoch_s));
        }
        if self.len == 0 || self.len > MAX_CHAIN || lasts > LONGEST_CHAIN {
            return Err(RecordError::Chain { len: self.len, lasts });
        }
        Ok(())
    }
}

impl MemberRecord {
    /// When the life that it tells of began.
    #[must_use]
    pub const fn boot_ms(&self) -> u64 {
        match self {
            Self::Beacon(beacon) => beacon.boot_ms,
            Self::Leave { boot_ms } => *boot_ms,
        }
    }

    /// Its bytes.
    ///
    /// # Errors
    /// If it can't be decoded again: what is too long or out of its bounds.
    pub fn encode(&self) -> Result<Bytes, RecordError> {
        let mut out = Vec::with_capacity(MAX_RECORD);
        match self {
            Self::Leave { boot_ms } => {
                out.push(LEAVE);
                out.extend_from_slice(&boot_ms.to_le_bytes());
            }
            Self::Beacon(beacon) => {
                beacon.check()?;
                let chain = &beacon.chain;
                out.push(BEACON);
                out.extend_from_slice(&beacon.boot_ms.to_le_bytes());
                out.extend_from_slice(&chain.epoch_s.to_le_bytes());
                out.extend_from_slice(&chain.start.to_le_bytes());
                out.extend_from_slice(&chain.len.to_le_bytes());
                out.extend_from_slice(&chain.anchor);
                // Both were checked to be small.
                out.extend_from_slice(&[0, beacon.addresses.len() as u8]);
                for address in &beacon.addresses {
                    out.extend_from_slice(&octets(address.ip()));
                    out.extend_from_slice(&address.port().to_le_bytes());
                }
                out.extend_from_slice(&(beacon.metadata.len() as u16).to_le_bytes());
                out.extend_from_slice(&beacon.metadata);
            }
        }
        Ok(out.into())
    }

    /// Reads a record. Metadata share its allocation.
    ///
    /// # Errors
    /// Each is a fact about the bytes.
    pub fn decode(bytes: &Bytes) -> Result<Self, RecordError> {
        match bytes.first() {
            Some(&LEAVE) if bytes.len() == LEAVE_LEN => {
                let boot_ms = bytes.last_chunk::<8>().copied().ok_or(RecordError::Length)?;
                Ok(Self::Leave { boot_ms: u64::from_le_bytes(boot_ms) })
            }
            Some(&BEACON) => Beacon::decode(bytes).map(Self::Beacon),
            Some(&LEAVE) | None => Err(RecordError::Length),
            Some(&kind) => Err(RecordError::Kind(kind)),
        }
    }

    /// Whether what it says fits the position it is said at, of a topic whose tick is a second.
    ///
    /// # Errors
    /// If its chain begins more than a day before, or a minute after.
    pub fn fits(&self, at: Position) -> Result<(), RecordError> {
        let Self::Beacon(Beacon { chain, .. }) = self else { return Ok(()) };
        let starts = chain.starts(chain.start.into());
        let (earliest, latest) = (at.tick.saturating_sub(LONGEST_CHAIN), at.tick.saturating_add(CHAIN_AHEAD));
        if (earliest..=latest).contains(&starts) { Ok(()) } else { Err(RecordError::Dates) }
    }
}

impl Beacon {
    fn check(&self) -> Result<(), RecordError> {
        self.chain.check()?;
        if self.addresses.len() > MAX_MEMBER_ADDRESSES {
            return Err(RecordError::Addresses(self.addresses.len()));
        }
        if self.addresses.iter().any(|address| address.ip().to_canonical() != address.ip()) {
            return Err(RecordError::Mapped);
        }
        if self.metadata.len() > MAX_METADATA {
            return Err(RecordError::Metadata(self.metadata.len()));
        }
        Ok(())
    }

    fn decode(bytes: &Bytes) -> Result<Self, RecordError> {
        let mut read = Read(bytes.get(1..).unwrap_or_default());
        let boot_ms = u64::from_le_bytes(read.take()?);
        let chain = ChainTerms {
            epoch_s: u16::from_le_bytes(read.take()?),
            start: u32::from_le_bytes(read.take()?),
            len: u16::from_le_bytes(read.take()?),
            anchor: read.take::<PULSE_LEN>()?,
        };
        chain.check()?;
        let [flags, count] = read.take()?;
        if flags != 0 {
            return Err(RecordError::Flags(flags));
        }
        let count = usize::from(count);
        if count > MAX_MEMBER_ADDRESSES {
            return Err(RecordError::Addresses(count));
        }
        let mut addresses = Vec::with_capacity(count);
        for _ in 0..count {
            let ip = Ipv6Addr::from(read.take::<16>()?).to_canonical();
            addresses.push(SocketAddr::new(ip, u16::from_le_bytes(read.take()?)));
        }
        let len = usize::from(u16::from_le_bytes(read.take()?));
        if len > MAX_METADATA {
            return Err(RecordError::Metadata(len));
        }
        // All that is left.
        if read.0.len() != len {
            return Err(RecordError::Length);
        }
        Ok(Self { boot_ms, chain, addresses, metadata: bytes.slice(bytes.len().saturating_sub(len)..) })
    }
}

const fn octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

struct Read<'a>(&'a [u8]);

impl Read<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(RecordError::Length)?;
        self.0 = rest;
        Ok(*taken)
    }
}

/// Why bytes are no member record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// It ends too early, or goes on.
    #[error("the record has not the length that its parts have")]
    Length,
    /// It is neither a beacon nor a leave.
    #[error("a record is a beacon (1) or a leave (2), this one is {0}")]
    Kind(u8),
    /// An epoch is too short or too long.
    #[error("an epoch lasts 5 to 3600 s, this one {0}")]
    Epoch(u16),
    /// The chain has too many values, or none, or lasts too long.
    #[error("a chain has 1 to 4096 values and lasts a day at most, this one has {len} and lasts {lasts} s")]
    Chain {
        /// Values.
        len: u16,
        /// Seconds.
        lasts: u64,
    },
    /// It says something that this version does not know.
    #[error("flags are 0, here they are {0}")]
    Flags(u8),
    /// There are too many addresses.
    #[error("a member has at most 3 addresses, this one has {0}")]
    Addresses(usize),
    /// An IPv4 address was given as an IPv6 one, which would be read back as another.
    #[error("an IPv4 address is given as one, and not as ::ffff:a.b.c.d")]
    Mapped,
    /// There is too much metadata.
    #[error("metadata have at most 512 bytes, these have {0}")]
    Metadata(usize),
    /// Its chain does not fit the time at which it is said.
    #[error("the chain begins more than a day before the record, or a minute after it")]
    Dates,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn beacon() -> Beacon {
        Beacon {
            boot_ms: 1_700_000_000_123,
            chain: ChainTerms { epoch_s: 5, start: 340_000_000, len: 4_096, anchor: [7; PULSE_LEN] },
            addresses: vec!["192.0.2.1:4433".parse().unwrap(), "[2001:db8::1]:4433".parse().unwrap()],
            metadata: Bytes::from_static(b"role=web"),
        }
    }

    fn decoded(beacon: &Beacon) -> Result<MemberRecord, RecordError> {
        MemberRecord::decode(&MemberRecord::Beacon(beacon.clone()).encode()?)
    }

    #[test]
    fn a_record_is_read_back_and_has_the_size_that_the_format_says() {
        let mut beacon = beacon();
        let sizes = [(0, 0, 37), (1, 8, 63), (2, 8, 81), (3, 512, 603)];
        for (addresses, metadata, len) in sizes {
            beacon.addresses =
                (0..addresses).map(|port| SocketAddr::new([192, 0, 2, 1].into(), port)).collect();
            beacon.metadata = vec![b'm'; metadata].into();
            let record = MemberRecord::Beacon(beacon.clone());
            let bytes = record.encode().unwrap();
            assert_eq!((bytes.len(), MemberRecord::decode(&bytes)), (len, Ok(record)));
        }
        assert_eq!(MAX_RECORD, 603);
        let leave = MemberRecord::Leave { boot_ms: 9 };
        let bytes = leave.encode().unwrap();
        assert_eq!((bytes.len(), leave.boot_ms()), (9, 9));
        assert_eq!(MemberRecord::decode(&bytes), Ok(leave));
    }

    #[test]
    fn what_is_no_record_is_refused() {
        let refused = |change: fn(&mut Beacon)| {
            let mut beacon = beacon();
            change(&mut beacon);
            decoded(&beacon).unwrap_err()
        };
        assert_eq!(refused(|beacon| beacon.chain.epoch_s = 4), RecordError::Epoch(4));
        assert_eq!(refused(|beacon| beacon.chain.epoch_s = 3_601), RecordError::Epoch(3_601));
        let too_long = |len, lasts| RecordError::Chain { len, lasts };
        assert_eq!(refused(|beacon| beacon.chain.len = 0), too_long(0, 0));
        assert_eq!(refused(|beacon| beacon.chain.len = 4_097), too_long(4_097, 20_485));
        assert_eq!(
            refused(|beacon| (beacon.chain.len, beacon.chain.epoch_s) = (25, 3_600)),
            too_long(25, 90_000)
        );
        assert_eq!(refused(|beacon| beacon.metadata = vec![0; 513].into()), RecordError::Metadata(513));
        let four = |beacon: &mut Beacon| beacon.addresses = vec![([1, 1, 1, 1], 1).into(); 4];
        assert_eq!(refused(four), RecordError::Addresses(4));
        let mapped = |beacon: &mut Beacon| beacon.addresses = vec!["[::ffff:1.2.3.4]:5".parse().unwrap()];
        assert_eq!(refused(mapped), RecordError::Mapped);

        let bytes = MemberRecord::Beacon(beacon()).encode().unwrap();
        let spoilt = |at: usize, value: u8| {
            let mut bytes = bytes.to_vec();
            bytes[at] = value;
            MemberRecord::decode(&bytes.into())
        };
        assert_eq!(spoilt(0, 3), Err(RecordError::Kind(3)));
        assert_eq!(spoilt(33, 1), Err(RecordError::Flags(1)));
        assert_eq!(spoilt(34, 4), Err(RecordError::Addresses(4)));
        assert_eq!(spoilt(34, 1), Err(RecordError::Length), "what follows is another length");
        assert_eq!(spoilt(71, 9), Err(RecordError::Length));
        assert_eq!(spoilt(72, 3), Err(RecordError::Metadata(776)));
        for len in 0..bytes.len() {
            assert_eq!(MemberRecord::decode(&bytes.slice(..len)), Err(RecordError::Length), "{len}");
        }
        let leave = MemberRecord::Leave { boot_ms: 1 }.encode().unwrap();
        assert_eq!(MemberRecord::decode(&leave.slice(..8)), Err(RecordError::Length));
        assert_eq!(MemberRecord::decode(&[&leave[..], &[0]].concat().into()), Err(RecordError::Length));
    }

    #[test]
    fn a_chain_begins_at_most_a_day_before_its_record_and_a_minute_after() {
        let beacon = beacon();
        let starts = beacon.chain.starts(beacon.chain.start.into());
        let record = MemberRecord::Beacon(beacon);
        let at = |tick| record.fits(Position { tick, slot: 0 });
        assert_eq!((at(starts - 60), at(starts + 86_400)), (Ok(()), Ok(())));
        assert_eq!(
            (at(starts - 61), at(starts + 86_401)),
            (Err(RecordError::Dates), Err(RecordError::Dates))
        );
        assert_eq!(MemberRecord::Leave { boot_ms: 1 }.fits(Position { tick: 0, slot: 0 }), Ok(()));
    }

    #[test]
    fn epochs_and_pulses_are_two_names_of_one_thing() {
        let chain = ChainTerms { epoch_s: 10, start: 100, len: 3, anchor: [0; PULSE_LEN] };
        assert_eq!((chain.epoch_at(1_009), chain.epoch_at(1_010), chain.starts(101)), (100, 101, 1_010));
        assert_eq!(
            [99, 100, 101, 103, 104].map(|epoch| chain.index_of(epoch)),
            [None, None, Some(1), Some(3), None]
        );
        assert_eq!(chain.epoch_of(3), 103);
        assert_eq!(chain.index_of(u64::MAX), None);
    }

    proptest! {
        #[test]
        fn what_is_read_has_one_encoding(bytes in prop::collection::vec(any::<u8>(), 0..700)) {
            let bytes = Bytes::from(bytes);
            if let Ok(record) = MemberRecord::decode(&bytes) {
                prop_assert_eq!(record.encode().unwrap(), bytes);
            }
        }
    }
}
