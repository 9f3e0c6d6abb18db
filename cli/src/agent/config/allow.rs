//! The file of node keys that may link: one a line, with comments behind `#`.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use vouchsafe::PublicKey;

use super::Fault;
use crate::files;

/// Keys that a node may be given.
const MOST_KEYS: usize = 65_536;
/// Bytes of the file that are read: so many keys, each with a comment as long as a line of text.
const MOST_BYTES: u64 = 16 << 20;

/// All keys of it, or each line that is none.
pub(crate) fn read(path: &Path) -> Result<BTreeSet<PublicKey>, Vec<Fault>> {
    let text =
        files::value(path, MOST_BYTES).map_err(|why| vec![Fault::of_flag(format!("allow_list {why}"))])?;
    let (mut keys, mut faults, mut left_out) = (BTreeSet::new(), Vec::new(), 0);
    for (number, line) in text.lines().enumerate() {
        let word = line.split('#').next().unwrap_or_default().trim();
        if word.is_empty() {
            continue;
        }
        match word.parse::<PublicKey>() {
            Ok(key) => drop(keys.insert(key)),
            Err(error) if faults.len() < super::faults::MOST_FAULTS => {
                faults.push(Fault::in_line(path, number + 1, error.to_string()));
            }
            Err(_) => left_out += 1,
        }
    }
    if left_out > 0 {
        faults.push(Fault::more(path, left_out));
    }
    if faults.is_empty() && keys.is_empty() {
        let what = format!(
            "allow_list {}: it names no key, so nobody could link: name at least one",
            path.display()
        );
        faults.push(Fault::of_flag(what));
    }
    if keys.len() > MOST_KEYS {
        let what = format!(
            "allow_list {}: {} keys, and {MOST_KEYS} is the most: name fewer",
            path.display(),
            keys.len()
        );
        faults.push(Fault::of_flag(what));
    }
    if faults.is_empty() { Ok(keys) } else { Err(faults) }
}

/// One at a time changes the file.
static CHANGES: Mutex<()> = Mutex::new(());

/// Adds a key to the file, unless it is there. What stands in it stays as it is. Blocks until the disk has it.
pub(crate) fn admit(path: &Path, key: &PublicKey) -> io::Result<()> {
    let _changes = CHANGES.lock().unwrap_or_else(PoisonError::into_inner);
    let text = files::text(path, MOST_BYTES)?;
    let is_key = |line: &str| line.split('#').next().is_some_and(|word| word.trim().parse() == Ok(*key));
    if text.lines().any(is_key) {
        return Ok(());
    }
    let words = text.lines().filter_map(|line| line.split('#').next());
    let keys = words.filter(|word| !word.trim().is_empty()).count();
    if keys >= MOST_KEYS {
        let what = format!("it names {MOST_KEYS} keys, which is the most: take one out first");
        return Err(io::Error::new(io::ErrorKind::QuotaExceeded, what));
    }
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = Path::new(&name);
    let mut file = File::create(new)?;
    file.write_all(format!("{text}{end}{key}\n").as_bytes())?;
    file.set_permissions(fs::metadata(path)?.permissions())?;
    file.sync_all()?;
    fs::rename(new, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use vouchsafe::SecretKey;

    use super::*;

    #[test]
    fn keys_that_are_added_at_once_are_all_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("allow");
        fs::write(&path, "").unwrap();
        let keys: Vec<_> = (0..16).map(|seed| SecretKey::from_seed(&[seed; 32]).public()).collect();
        std::thread::scope(|scope| {
            keys.iter().for_each(|key| drop(scope.spawn(|| admit(&path, key).unwrap())))
        });
        assert_eq!(read(&path).unwrap(), keys.into_iter().collect());
    }

    #[test]
    fn a_full_list_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("allow");
        let key = SecretKey::from_seed(&[1; 32]).public();
        let text = format!("{}\n", SecretKey::from_seed(&[2; 32]).public()).repeat(MOST_KEYS);
        fs::write(&path, &text).unwrap();
        assert_eq!(admit(&path, &key).unwrap_err().kind(), io::ErrorKind::QuotaExceeded);
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn a_key_is_added_once_and_every_line_that_is_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("allow");
        let [one, two] = [1, 2].map(|seed| SecretKey::from_seed(&[seed; 32]).public());
        fs::write(&path, format!("# ours\n\n{one} # db1")).unwrap();
        assert_eq!(read(&path).unwrap(), BTreeSet::from([one]));
        admit(&path, &two).unwrap();
        admit(&path, &two).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("# ours\n\n{one} # db1\n{two}\n"));
        fs::write(&path, format!("x\n{one}\n12\n")).unwrap();
        let faults: Vec<_> = read(&path).unwrap_err().iter().map(ToString::to_string).collect();
        assert!(faults.len() == 2 && faults[0].contains(":1: ") && faults[1].contains(":3: "), "{faults:?}");
        fs::write(&path, "x\n".repeat(250)).unwrap();
        let faults = read(&path).unwrap_err();
        assert_eq!((faults.len(), Fault::count(&faults)), (101, 250));
        fs::write(&path, "# nobody\n").unwrap();
        assert!(read(&path).unwrap_err()[0].to_string().contains("no key"));
    }
}
