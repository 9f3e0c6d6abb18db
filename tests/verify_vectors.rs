//! Published vectors: the rule gives every published verdict, on every path.

use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::Value;
use vouchsafe::PublicKey;
use vouchsafe::rumor::Signature;
use vouchsafe::verify::{Item, Verifier, is_signing_key, verify_raw, verify_single};

const WYCHEPROOF: &str = include_str!("vectors/wycheproof_ed25519.json");
const RFC_8032: &str = include_str!("vectors/rfc8032.json");

struct Case {
    name: String,
    key: Vec<u8>,
    message: Vec<u8>,
    signature: Vec<u8>,
    valid: bool,
}

/// A case whose lengths are right, as the typed paths take it.
struct Typed {
    name: String,
    key: PublicKey,
    message: Vec<u8>,
    signature: Signature,
    valid: bool,
}

impl Typed {
    fn item(&self) -> Item<'_> {
        Item { key: &self.key, message: &self.message, signature: &self.signature }
    }
}

fn hex(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn wycheproof() -> Vec<Case> {
    let file: Value = serde_json::from_str(WYCHEPROOF).unwrap();
    let mut cases = Vec::new();
    for group in file["testGroups"].as_array().unwrap() {
        for test in group["tests"].as_array().unwrap() {
            cases.push(Case {
                name: format!("{} {}", test["tcId"], test["comment"]),
                key: hex(&group["publicKey"]["pk"]),
                message: hex(&test["msg"]),
                signature: hex(&test["sig"]),
                valid: test["result"] == "valid",
            });
        }
    }
    cases
}

/// The cases of 64-byte signatures; the others must be invalid by their length alone.
fn typed() -> Vec<Typed> {
    let mut typed = Vec::new();
    for case in wycheproof() {
        match <[u8; 64]>::try_from(case.signature.as_slice()) {
            Ok(signature) => typed.push(Typed {
                name: case.name,
                key: PublicKey::from_bytes(case.key.try_into().unwrap()),
                message: case.message,
                signature: Signature::from_bytes(signature),
                valid: case.valid,
            }),
            Err(_) => assert!(!case.valid, "{}", case.name),
        }
    }
    typed
}

#[test]
fn wycheproof_151_of_151_alone() {
    let cases = wycheproof();
    let agree = cases.iter().filter(|c| {
        let verdict = verify_raw(&c.key, &c.message, &c.signature);
        assert_eq!(verdict, c.valid, "{}", c.name);
        verdict == c.valid
    });
    assert_eq!(agree.count(), 151);
    assert_eq!((typed().len(), cases.iter().filter(|c| c.valid).count()), (139, 88));
    for case in typed() {
        assert_eq!(verify_single(&case.key, &case.message, &case.signature), case.valid, "{}", case.name);
        assert!(is_signing_key(&case.key), "{}", case.name);
    }
}

#[test]
fn wycheproof_with_the_cache_cold_and_warm() {
    let cases = typed();
    let mut warm = Verifier::new();
    for round in 0..2 {
        for case in &cases {
            let cold = Verifier::with_seed([round; 32]).verify_one(case.item());
            assert_eq!((cold, warm.verify_one(case.item())), (case.valid, case.valid), "{}", case.name);
        }
    }
}

#[test]
fn wycheproof_in_one_batch() {
    let cases = typed();
    let expected: Vec<bool> = cases.iter().map(|case| case.valid).collect();
    let all: Vec<Item<'_>> = cases.iter().map(Typed::item).collect();
    let mut verifier = Verifier::new();
    assert_eq!(verifier.verify_batch(&all), expected);
    assert_eq!(verifier.verify_batch(&all), expected);
    let good: Vec<Item<'_>> = cases.iter().filter(|case| case.valid).map(Typed::item).collect();
    assert_eq!(verifier.verify_batch(&good), vec![true; 88]);
}

#[test]
fn wycheproof_each_among_good_ones() {
    let cases = typed();
    let good: Vec<Item<'_>> = cases.iter().filter(|case| case.valid).take(7).map(Typed::item).collect();
    let mut verifier = Verifier::new();
    for (n, case) in cases.iter().enumerate() {
        let place = n % (good.len() + 1);
        let mut batch = good.clone();
        batch.insert(place, case.item());
        let mut expected = vec![true; batch.len()];
        expected[place] = case.valid;
        assert_eq!(verifier.verify_batch(&batch), expected, "{}", case.name);
    }
}

#[test]
fn rfc_8032_section_7_1() {
    let tests: Vec<Value> = serde_json::from_str(RFC_8032).unwrap();
    assert_eq!(tests.len(), 5);
    let mut cases = Vec::new();
    for test in &tests {
        let signing = SigningKey::from_bytes(&hex(&test["secret"]).try_into().unwrap());
        assert_eq!(signing.verifying_key().to_bytes().as_slice(), hex(&test["public"]));
        let message = hex(&test["message"]);
        assert_eq!(signing.sign(&message).to_bytes().as_slice(), hex(&test["signature"]));
        assert!(verify_raw(&hex(&test["public"]), &message, &hex(&test["signature"])), "{}", test["name"]);
        cases.push(Typed {
            name: test["name"].to_string(),
            key: PublicKey::from_bytes(hex(&test["public"]).try_into().unwrap()),
            message,
            signature: Signature::from_bytes(hex(&test["signature"]).try_into().unwrap()),
            valid: true,
        });
    }
    let items: Vec<Item<'_>> = cases.iter().map(Typed::item).collect();
    assert_eq!(Verifier::new().verify_batch(&items), vec![true; 5]);
}

#[test]
fn wrong_lengths_and_an_empty_batch() {
    let case = &typed()[0];
    let (key, signature) = (case.key.as_bytes(), case.signature.as_bytes());
    assert!(verify_raw(key, &case.message, signature));
    assert!(!verify_raw(&key[..31], &case.message, signature));
    assert!(!verify_raw(key, &case.message, &signature[..63]));
    assert!(!verify_raw(&[], &[], &[]));
    assert_eq!(Verifier::new().verify_batch(&[]), Vec::<bool>::new());
}
