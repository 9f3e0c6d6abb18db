//! Writes the seed corpora and the dictionaries, the same bytes each time: `cargo run --manifest-path fuzz/Cargo.toml --example seeds`.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for seed in vouchsafe_fuzz::seeds() {
        let folder = corpora.join(seed.target);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(seed.name), seed.bytes)?;
    }
    let dictionaries = corpora.with_file_name("dictionaries");
    std::fs::create_dir_all(&dictionaries)?;
    for (target, text) in vouchsafe_fuzz::dictionaries() {
        std::fs::write(dictionaries.join(target).with_extension("dict"), text)?;
    }
    Ok(())
}
