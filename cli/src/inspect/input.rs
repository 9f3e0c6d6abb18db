//! Where the bytes come from.

use std::io::{self, Read as _};
use std::path::Path;

use vouchsafe::rumor::{MAX_BODY, MAX_RUMORS, SIGNED_HEADER_LEN};

use crate::exit::Failure;
use crate::files;

/// The longest of the three kinds is a bundle with the largest body; as hexadecimal twice that, with line breaks three
/// times. More is not read: a wrong file name must not fill the memory.
const MAX_INPUT: usize = 3 * (SIGNED_HEADER_LEN + 4 * MAX_RUMORS + MAX_BODY as usize);

pub(super) fn from_hex(text: &str) -> Result<Vec<u8>, Failure> {
    let digits: String = text.split_whitespace().collect();
    match hex::decode(&digits) {
        Ok(bytes) if bytes.is_empty() => {
            Err(Failure::usage("--hex is empty: give the digits of a bundle, a proof or evidence"))
        }
        Ok(bytes) => Ok(bytes),
        Err(error) => {
            let shown = crate::text::shortened(&crate::text::printable(digits.as_bytes()), 40);
            Err(Failure::Usage(format!("--hex {shown}: {error}: write two hexadecimal digits a byte")))
        }
    }
}

/// A file of hexadecimal digits (and white space), or else of the bytes themselves. No bundle, proof or evidence
/// consists of nothing but digits: their hashes would have to.
pub(super) fn from_file(path: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = raw_file(path)?;
    if bytes.is_empty() {
        return Err(Failure::Usage(format!(
            "{} is empty: give the bytes of a bundle, a proof or evidence",
            path.display()
        )));
    }
    let digits: Vec<u8> = bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    Ok(hex::decode(digits).ok().filter(|decoded| !decoded.is_empty()).unwrap_or(bytes))
}

/// The bytes of a file as they are.
pub(super) fn raw_file(path: &Path) -> Result<Vec<u8>, Failure> {
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        files::open(path)?.take(MAX_INPUT as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|error| Failure::file(path, &error))?;
    if bytes.len() > MAX_INPUT {
        return Err(Failure::Usage(format!(
            "{} has more than {MAX_INPUT} bytes, which no bundle, proof, evidence or body has: is it the right file?",
            path.display()
        )));
    }
    Ok(bytes)
}
