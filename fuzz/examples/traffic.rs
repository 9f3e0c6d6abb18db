//! Adds what a small network of honest nodes and a liar says to the corpora, the same bytes each time:
//! `cargo run --manifest-path fuzz/Cargo.toml --example traffic`.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for seed in vouchsafe_fuzz::traffic() {
        println!("{}/{}: {} bytes", seed.target, seed.name, seed.bytes.len());
        std::fs::write(corpora.join(seed.target).join(seed.name), seed.bytes)?;
    }
    Ok(())
}
