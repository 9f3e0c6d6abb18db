//! Files that are written again and again while a command runs.

use std::path::Path;

use crate::exit::Failure;

/// Beside and then over the old one: whoever breaks the run off between two bytes keeps the last whole file.
pub(super) fn replace(folder: &Path, name: &str, text: &str) -> Result<(), Failure> {
    let (path, fresh) = (folder.join(name), folder.join(format!(".{name}.new")));
    let written = std::fs::write(&fresh, text).and_then(|()| std::fs::rename(&fresh, &path));
    written.map_err(|error| Failure::file(&path, &error))
}
