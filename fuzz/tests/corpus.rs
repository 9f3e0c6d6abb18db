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
