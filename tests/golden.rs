//! Golden encodings: what other implementations must produce, byte for byte. A red test here means that the format
//! changed; that needs a new wire version. After a change on purpose:
//! `VOUCHSAFE_WRITE_GOLDEN=1 cargo test --test golden`.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use vouchsafe::rumor::{Bundle, Previous, RuleSet, seal_after};
use vouchsafe::{Authors, Evidence, Guarantee, NetworkId, Position, Proof, SecretKey, Topic, verify};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/rumors.json");

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn rules_of(rules: &RuleSet) -> Value {
    json!({ "name": rules.name(), "encoding": hex(rules.encode()), "topic_id": rules.id().to_string() })
}

fn bundle_of(bundle: &Arc<Bundle>) -> Value {
    json!({
        "header": hex(bundle.header().encode()),
        "id": bundle.id().to_string(),
        "signature": hex(bundle.signed_header().signature.as_bytes()),
        "encoding": hex(bundle.encoded()),
        "rumors": bundle.rumors().map(|rumor| json!({
            "slot": rumor.position().slot,
            "body": hex(rumor.body()),
            "id": rumor.id().to_string(),
            "proof": hex(rumor.proof().encode()),
        })).collect::<Vec<_>>(),
    })
}

fn golden() -> Value {
    let network = NetworkId::of("golden");
    let key = SecretKey::from_seed(&[0x42; 32]);
    let other = SecretKey::from_seed(&[0x43; 32]);
    let plain = Topic::named("plain").bind(network).unwrap();
    let strict = Topic::named("strict")
        .slots_per_tick(1000)
        .tick_len(Duration::from_millis(250))
        .max_body(65_536)
        .retention(Duration::from_secs(3600))
        .guarantee(Guarantee::HoldBack(Duration::from_secs(2)))
        .authors(Authors::Listed(vec![key.public(), other.public()]))
        .bind(network)
        .unwrap();
    let state = Topic::named("state").state(1024).bind(network).unwrap();
    let endless = Topic::named("endless").retention_forever().bind(network).unwrap();
    let owned = Topic::named("owned").authors(Authors::Owned(key.public())).bind(network).unwrap();
    let list = owned.authors_topic().unwrap();
    let seal_at = |prev, slot, bodies: &[&'static str]| {
        let bodies: Vec<_> = bodies.iter().map(|body| body.as_bytes().into()).collect();
        let position = Position { tick: 1_700_000_000, slot };
        Arc::new(seal_after(&key, plain.id(), prev, position, &bodies).unwrap())
    };
    let one = seal_at(None, 0, &["hello"]);
    let three = seal_at(Some(Previous::of(&one)), 5, &["one", "", "three"]);
    let regrouped = seal_at(Some(Previous::of(&one)), 6, &["", "three"]);
    let evidence = Evidence::new(*three.signed_header(), *regrouped.signed_header()).unwrap();
    json!({
        "network": { "name": "golden", "id": network.to_string() },
        "author": { "seed": hex([0x42; 32]), "public": key.public().to_string() },
        "topics": [rules_of(&plain), rules_of(&strict), rules_of(&state), rules_of(&endless), rules_of(&owned), rules_of(&list)],
        "bundles": [bundle_of(&one), bundle_of(&three), bundle_of(&regrouped)],
        "evidence": hex(evidence.encode()),
    })
}

#[test]
fn the_golden_encodings_have_not_changed() {
    let now = format!("{:#}\n", golden());
    if std::env::var_os("VOUCHSAFE_WRITE_GOLDEN").is_some() {
        std::fs::write(FILE, &now).unwrap();
    }
    assert_eq!(std::fs::read_to_string(FILE).unwrap(), now);
}

#[test]
fn the_golden_encodings_are_read_back_and_verify() {
    let golden: Value = serde_json::from_str(&std::fs::read_to_string(FILE).unwrap()).unwrap();
    let bytes = |value: &Value| -> Vec<u8> {
        let text = value.as_str().unwrap();
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    };
    for topic in golden["topics"].as_array().unwrap() {
        let rules = RuleSet::decode(&bytes(&topic["encoding"])).unwrap();
        assert_eq!(rules.id().to_string(), topic["topic_id"]);
    }
    for entry in golden["bundles"].as_array().unwrap() {
        let bundle = Arc::new(Bundle::decode(bytes(&entry["encoding"]).into()).unwrap());
        assert!(verify::bundle(&bundle));
        assert_eq!(bundle.id().to_string(), entry["id"]);
        for (rumor, expected) in bundle.rumors().zip(entry["rumors"].as_array().unwrap()) {
            let proof = Proof::decode(&bytes(&expected["proof"])).unwrap();
            assert_eq!(verify::proof(&proof, rumor.body()).unwrap().to_string(), expected["id"]);
        }
    }
    let evidence = Evidence::decode(bytes(&golden["evidence"]).as_slice().try_into().unwrap()).unwrap();
    assert_eq!(verify::evidence(&evidence), Ok(()));
    assert_eq!(evidence.author().to_string(), golden["author"]["public"]);
}
