//! Files that are replaced as a whole.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// For the owner alone.
pub(super) const PRIVATE: u32 = 0o600;

/// Writes a file under another name, syncs it, renames it over what was there and syncs the folder: a crash leaves the old file or the new
/// one. One writer at a time.
pub(super) fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let fresh = unfinished(path);
    step()?;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = options.open(&fresh)?;
    step()?;
    file.write_all(bytes)?;
    file.sync_all()?;
    step()?;
    fs::rename(&fresh, path)?;
    step()?;
    sync_folder_of(path)
}

/// Removes what a crash has left of a file under way.
pub(super) fn remove_unfinished(path: &Path) -> io::Result<()> {
    match fs::remove_file(unfinished(path)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// What stands in a folder is durable once the folder is.
#[cfg(unix)]
pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Elsewhere a folder can't be opened as a file.
#[cfg(not(unix))]
pub(super) fn sync_folder_of(_: &Path) -> io::Result<()> {
    Ok(())
}

/// The mode of a folder that others than its owner can read or write.
#[cfg(unix)]
pub(super) fn open_to_others(found: &Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = found.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then_some(mode)
}

/// Elsewhere a folder has no mode.
#[cfg(not(unix))]
pub(super) fn open_to_others(_: &Metadata) -> Option<u32> {
    None
}

#[cfg(test)]
std::thread_local! {
    /// Changes of the disk that this thread may still make: for tests of what a kill leaves.
    pub(super) static STEPS: std::cell::Cell<u32> = const { std::cell::Cell::new(u32::MAX) };
}

/// Comes before each change of the disk.
#[cfg(test)]
pub(super) fn step() -> io::Result<()> {
    let left = STEPS.get();
    STEPS.set(left.saturating_sub(1));
    if left == 0 { Err(io::Error::other("killed")) } else { Ok(()) }
}

#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "tests are killed, programs are not asked")]
pub(super) const fn step() -> io::Result<()> {
    Ok(())
}
