//! Every file that was ever worth keeping, through its harness, without a fuzzer.

use std::path::Path;

/// The seeds are what `examples/seeds.rs` writes, and every file in every corpus passes.
#[test]
fn every_corpus_passes() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (target, harness) in vouchsafe_fuzz::TARGETS {
        let files: Vec<_> =
            std::fs::read_dir(corpora.join(target)).unwrap().map(|file| file.unwrap()).collect();
        assert!(!files.is_empty(), "{target} has no corpus");
        for file in files {
            println!("{}", file.path().display());
            harness(&std::fs::read(file.path()).unwrap());
        }
    }
}

#[test]
fn the_committed_seeds_are_the_ones_that_are_made() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for seed in vouchsafe_fuzz::seeds() {
        let path = corpora.join(seed.target).join(&seed.name);
        assert_eq!(
            std::fs::read(&path).ok().as_ref(),
            Some(&seed.bytes),
            "{}: write the seeds again",
            path.display()
        );
    }
}

/// A dictionary that is older than the wire helps nobody.
#[test]
fn the_committed_dictionaries_are_the_ones_that_are_made() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dictionaries");
    for (target, text) in vouchsafe_fuzz::dictionaries() {
        assert!(vouchsafe_fuzz::TARGETS.iter().any(|(name, _)| *name == target), "{target} is no target");
        let path = folder.join(target).with_extension("dict");
        let written = std::fs::read_to_string(&path).ok();
        assert_eq!(written, Some(text), "{}: write the seeds again", path.display());
    }
}

#[test]
fn traffic_has_every_kind_of_frame_and_the_same_bytes_each_time() {
    let (seeds, again) = (vouchsafe_fuzz::traffic(), vouchsafe_fuzz::traffic());
    let named = |seeds: &[vouchsafe_fuzz::Seed]| -> Vec<_> {
        seeds.iter().map(|seed| (seed.target, seed.name.clone(), seed.bytes.clone())).collect()
    };
    assert_eq!(named(&seeds), named(&again));
    let frames = seeds.iter().filter(|seed| seed.target == "frame").filter_map(|seed| seed.bytes.first());
    let mut kinds: Vec<_> = frames.copied().collect();
    kinds.dedup();
    assert_eq!(kinds, (0..18).collect::<Vec<u8>>());
    for target in ["bundle", "proof", "evidence"] {
        assert!(seeds.iter().any(|seed| seed.target == target), "no {target} was ever said");
    }
    assert!(seeds.len() <= 60);
}
