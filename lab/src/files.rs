//! Files that are written again and again while a command runs.

use std::path::Path;

use vouchsafe_cli::exit::Failure;

/// Beside and then over the old one: whoever breaks the run off between two bytes keeps the last whole file. Two runs with one
/// folder do not write into each other's.
pub(crate) fn replace(folder: &Path, name: &str, text: &str) -> Result<(), Failure> {
    let (path, fresh) = (folder.join(name), folder.join(format!(".{name}.{}.new", std::process::id())));
    let written = std::fs::write(&fresh, text).and_then(|()| std::fs::rename(&fresh, &path));
    written.map_err(|error| Failure::file(&path, &error))
}

/// The sentence that says how a report is made again, from the arguments of this process.
pub(crate) fn made_by(args: impl Iterator<Item = String>) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_=,.:@+%/".contains(letter);
    let words = args.skip(1).map(|word| match word.chars().all(plain) && !word.is_empty() {
        true => word,
        false => format!("'{}'", word.replace('\'', "'\\''")),
    });
    let words: Vec<_> = words.collect();
    format!("Made by `vouchsafe-lab {}`.", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::made_by;

    #[test]
    fn a_command_can_be_pasted() {
        let made = |args: &[&str]| made_by(args.iter().map(|word| (*word).to_owned()));
        let small = ["/any/where", "matrix", "--nodes", "20", "--loss", "5%"];
        assert_eq!(made(&small), "Made by `vouchsafe-lab matrix --nodes 20 --loss 5%`.");
        let quoted = "Made by `vouchsafe-lab study all --out 'my run'\\''s'`.";
        assert_eq!(made(&["x", "study", "all", "--out", "my run's"]), quoted);
    }
}
