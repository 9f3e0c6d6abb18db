//! Cells: what the bodies of a topic of state are. A cell gives a key a value, or says that it has none any more.
//!
//! ```text
//!   op u8: 0 put, 1 delete | key_len u16, 1 to 512 | key | value (a delete has none)
//! ```

use std::fmt;

use bytes::Bytes;

/// Longest key, bytes. (Guess: a path or an id fits; what is longer belongs into the value.)
pub const MAX_KEY: usize = 512;

/// Bytes of a cell before its key.
const BEFORE_KEY: usize = 3;
const PUT: u8 = 0;
const DELETE: u8 = 1;

/// What one author says of one key.
#[derive(Clone, PartialEq, Eq)]
pub struct Cell {
    key: Bytes,
    value: Option<Bytes>,
}

impl Cell {
    /// The key has this value from now on.
    ///
    /// # Errors
    /// [`CellError::Key`] if the key is empty or too long.
    pub fn put(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Result<Self, CellError> {
        Ok(Self { key: checked(key.into())?, value: Some(value.into()) })
    }

    /// The key has no value from now on. What says so is kept like a value, so that none of the older ones comes back.
    ///
    /// # Errors
    /// [`CellError::Key`] if the key is empty or too long.
    pub fn delete(key: impl Into<Bytes>) -> Result<Self, CellError> {
        Ok(Self { key: checked(key.into())?, value: None })
    }

    /// Which key.
    #[must_use]
    pub const fn key(&self) -> &Bytes {
        &self.key
    }

    /// Its value; `None` if it is deleted.
    #[must_use]
    pub const fn value(&self) -> Option<&Bytes> {
        self.value.as_ref()
    }

    /// Both, without a copy.
    #[must_use]
    pub fn into_parts(self) -> (Bytes, Option<Bytes>) {
        (self.key, self.value)
    }

    /// The bytes of its body.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let value = self.value.as_ref().map(AsRef::as_ref).unwrap_or_default();
        let len = BEFORE_KEY.saturating_add(self.key.len()).saturating_add(value.len());
        let mut out = Vec::with_capacity(len);
        out.push(if self.value.is_some() { PUT } else { DELETE });
        // The key was checked to be at most MAX_KEY bytes.
        out.extend_from_slice(&(self.key.len() as u16).to_le_bytes());
        out.extend_from_slice(&self.key);
        out.extend_from_slice(value);
        out.into()
    }

    /// Reads a body. Key and value share its allocation.
    ///
    /// # Errors
    /// Each is a fact about the bytes.
    pub fn decode(body: &Bytes) -> Result<Self, CellError> {
        let (op, key_len) = split(body)?;
        let end = BEFORE_KEY.saturating_add(key_len);
        Ok(Self { key: body.slice(BEFORE_KEY..end), value: (op == PUT).then(|| body.slice(end..)) })
    }

    /// Whether a body is a cell.
    pub(super) fn is_one(body: &[u8]) -> bool {
        split(body).is_ok()
    }

    /// The same, with the reason.
    pub(super) fn check(body: &[u8]) -> Result<(), CellError> {
        split(body).map(drop)
    }
}

impl fmt::Debug for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "Cell({:?}: {} bytes)", self.key, value.len()),
            None => write!(f, "Cell({:?} deleted)", self.key),
        }
    }
}

fn checked(key: Bytes) -> Result<Bytes, CellError> {
    if key.is_empty() || key.len() > MAX_KEY { Err(CellError::Key(key.len())) } else { Ok(key) }
}

/// What a body does, and how long its key is.
fn split(body: &[u8]) -> Result<(u8, usize), CellError> {
    let ([op, low, high], rest) = body.split_first_chunk::<BEFORE_KEY>().ok_or(CellError::Short)?;
    if !matches!(*op, PUT | DELETE) {
        return Err(CellError::Op(*op));
    }
    let key_len = usize::from(u16::from_le_bytes([*low, *high]));
    if key_len == 0 || key_len > MAX_KEY {
        return Err(CellError::Key(key_len));
    }
    match rest.len().checked_sub(key_len) {
        None => Err(CellError::Short),
        Some(value) if value > 0 && *op == DELETE => Err(CellError::DeletedValue),
        Some(_) => Ok((*op, key_len)),
    }
}

/// Why bytes are no cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CellError {
    /// The key is empty or too long.
    #[error("a key has 1 to {MAX_KEY} bytes, this one has {0}")]
    Key(usize),
    /// It neither puts nor deletes.
    #[error("a cell puts (0) or deletes (1), this one does {0}")]
    Op(u8),
    /// It ends within its key.
    #[error("the cell ends before its key does")]
    Short,
    /// It deletes and has a value.
    #[error("the cell deletes its key, and has a value")]
    DeletedValue,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_cell_is_refused() {
        let long = vec![b'k'; MAX_KEY + 1];
        let of = |op: u8, len: usize, rest: &[u8]| {
            let mut body = vec![op];
            body.extend_from_slice(&(len as u16).to_le_bytes());
            body.extend_from_slice(rest);
            Cell::decode(&body.into())
        };
        assert_eq!(Cell::decode(&Bytes::new()), Err(CellError::Short));
        assert_eq!(Cell::decode(&Bytes::from_static(&[0, 1])), Err(CellError::Short));
        assert_eq!(of(0, 0, b"value"), Err(CellError::Key(0)));
        assert_eq!(of(0, MAX_KEY + 1, &long), Err(CellError::Key(MAX_KEY + 1)));
        assert_eq!(of(0, 3, b"ke"), Err(CellError::Short));
        assert_eq!(of(2, 3, b"key"), Err(CellError::Op(2)));
        assert_eq!(of(1, 3, b"keyvalue"), Err(CellError::DeletedValue));
        assert_eq!(Cell::put("", "value"), Err(CellError::Key(0)));
        assert_eq!(Cell::delete(long), Err(CellError::Key(MAX_KEY + 1)));
    }

    #[test]
    fn a_cell_is_read_back_and_has_one_encoding() {
        for cell in [
            Cell::put("k", "").unwrap(),
            Cell::put("key", "value").unwrap(),
            Cell::put(vec![7; MAX_KEY], vec![1; 60_000]).unwrap(),
            Cell::delete("key").unwrap(),
            Cell::delete(vec![7; MAX_KEY]).unwrap(),
        ] {
            let body = cell.encode();
            assert!(Cell::is_one(&body));
            assert_eq!(Cell::decode(&body), Ok(cell));
            assert_eq!(Cell::decode(&body).unwrap().encode(), body);
        }
        // An empty value is a value.
        assert_ne!(Cell::put("k", "").unwrap().encode(), Cell::delete("k").unwrap().encode());
    }
}
