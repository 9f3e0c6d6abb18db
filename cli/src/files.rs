//! Files and folders that the user names. `-` is stdin, and of no file more is read than can be of use.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use crate::exit::Failure;

/// Whether a path means stdin, or stdout where something is written. A file of that name is `./-`.
pub(crate) fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// A file, or stdin.
pub(crate) fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    if is_dash(path) {
        return Ok(Box::new(io::stdin().lock()));
    }
    Ok(Box::new(BufReader::new(File::open(path)?)))
}

/// A text of at most `max` bytes. Of a longer file nothing is read, and of a stream no more than that.
pub fn text(path: &Path, max: u64) -> io::Result<String> {
    let input: Box<dyn Read> = match is_dash(path) {
        true => Box::new(io::stdin().lock()),
        false => {
            let file = File::open(path)?;
            if file.metadata()?.len() > max {
                return Err(too_long(max));
            }
            Box::new(file)
        }
    };
    let mut bytes = Vec::new();
    input.take(max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max {
        return Err(too_long(max));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        io::Error::new(io::ErrorKind::InvalidData, format!("it is not a text (UTF-8), from line {line} on"))
    })
}

fn too_long(max: u64) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("it has more than {max} bytes"))
}

/// [`text`] for the value of a flag.
pub(crate) fn value(path: &Path, max: u64) -> Result<String, String> {
    text(path, max)
        .map_err(|error| format!("{}: {error}: check the path and its permissions", path.display()))
}

/// A folder for what is written, made if it is missing. Tried before a run, so that nobody waits for it in vain.
pub fn folder(path: &Path) -> Result<(), Failure> {
    if is_dash(path) {
        return Err(Failure::usage(
            "--out - would be stdout, and pictures need a folder: give its name (./- for one that is called so); for figures \
             alone give --json",
        ));
    }
    match fs::create_dir_all(path).and_then(|()| try_to_write(path)) {
        Err(_) if path.exists() && !path.is_dir() => {
            Err(Failure::Usage(format!("--out {} is no folder: give another name", path.display())))
        }
        Err(error) => Err(Failure::file(path, &error)),
        Ok(()) => Ok(()),
    }
}

/// Makes a file there and takes it away.
fn try_to_write(folder: &Path) -> io::Result<()> {
    let path = folder.join(format!(".vouchsafe-{}.new", std::process::id()));
    OpenOptions::new().write(true).create_new(true).open(&path)?;
    fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_as_long_as_it_may_be_and_no_longer() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "12345").unwrap();
        assert_eq!(text(file.path(), 5).unwrap(), "12345");
        assert!(text(file.path(), 4).unwrap_err().to_string().contains("more than 4 bytes"));
        fs::write(file.path(), b"\xff").unwrap();
        assert!(text(file.path(), 5).unwrap_err().to_string().contains("UTF-8"));
        // A device has no length, and no end.
        assert!(!cfg!(unix) || text(Path::new("/dev/zero"), 5).is_err());
    }

    #[test]
    fn a_folder_is_made_and_left_empty() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        folder(&path).unwrap();
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
        let file = path.join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(folder(&file), Err(Failure::Usage(what)) if what.contains("is no folder")));
        assert!(matches!(folder(Path::new("-")), Err(Failure::Usage(what)) if what.contains("--json")));
    }
}
