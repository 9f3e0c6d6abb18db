//! One verdict on every path: alone, cached, and in any batch, whatever a hostile signer makes.
//!
//! The same property as `testkit/tests/verify_agree.rs`, with a fuzzer choosing instead of a random generator.

use arbitrary::{Arbitrary, Result, Unstructured};
use vouchsafe_testkit::twisted::{self, Plan, Twist};

/// Most signatures of one run: enough for groupings to matter. Each costs some eight verifications, and the fuzzer's
/// instrumentation makes those slow: with 24 there were 4 runs a second.
const MOST: usize = 6;

#[derive(Debug, Arbitrary)]
struct Run {
    seed: [u8; 32],
    cuts: [u8; 4],
    choices: Vec<Choice>,
}

#[derive(Debug, Arbitrary)]
struct Choice {
    author: u8,
    torsion: u8,
    nonce: u8,
    /// Honest unless this is below 64: most of a batch must hold for the sum to be asked.
    honest: u8,
    twist: Chosen,
}

/// A [`Twist`], which is of another crate.
#[derive(Debug)]
struct Chosen(Twist);

/// Read as a derived one would be.
impl<'a> Arbitrary<'a> for Chosen {
    fn arbitrary(data: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self(match (u64::from(u32::arbitrary(data)?) * 11) >> 32 {
            0 => Twist::Nothing,
            1 => Twist::FlipSignature(data.arbitrary()?),
            2 => Twist::FlipKey(data.arbitrary()?),
            3 => Twist::OtherMessage,
            4 => Twist::AddOrderToS,
            5 => Twist::EdgeS(data.arbitrary()?),
            6 => Twist::SmallR(data.arbitrary()?),
            7 => Twist::SmallKey(data.arbitrary()?),
            8 => Twist::HighR(data.arbitrary()?),
            9 => Twist::HighKey(data.arbitrary()?),
            _ => Twist::ForgeAll(data.arbitrary()?),
        }))
    }
}

impl From<Choice> for Plan {
    fn from(choice: Choice) -> Self {
        Self {
            author: choice.author % 4,
            torsion_of_key: choice.torsion / 8,
            torsion_of_r: choice.torsion,
            nonce: choice.nonce.into(),
            twist: if choice.honest < 64 { choice.twist.0 } else { Twist::Nothing },
        }
    }
}

/// Every path gives every item the verdict of the plain rule.
pub fn verify_agree(data: &[u8]) {
    let Ok(run) = Run::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let plans: Vec<_> = run.choices.into_iter().take(MOST).map(Plan::from).collect();
    twisted::check(&plans, &run.cuts, run.seed);
}
