//! Several writes as one.

use bytes::Bytes;

use super::{Kv, PutError, Written};
use crate::rumor::{Cell, CellError};

/// Writes of which all are done, or none. Of several writes of one key the last one counts.
///
/// ```
/// # async fn f(kv: vouchsafe::Kv) -> Result<(), vouchsafe::PutError> {
/// let written = kv.batch().put("limits/mail", "200").delete("limits/post").commit().await?;
/// println!("at {}", written.position);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing is written before `commit` is awaited"]
pub struct Batch<'a> {
    kv: &'a Kv,
    cells: Vec<Cell>,
    error: Option<CellError>,
}

impl<'a> Batch<'a> {
    pub(super) const fn new(kv: &'a Kv) -> Self {
        Self { kv, cells: Vec::new(), error: None }
    }

    /// Gives a key a value.
    pub fn put(self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        self.add(Cell::put(key, value))
    }

    /// Deletes a key.
    pub fn delete(self, key: impl Into<Bytes>) -> Self {
        self.add(Cell::delete(key))
    }

    fn add(mut self, cell: Result<Cell, CellError>) -> Self {
        match cell {
            Ok(cell) => {
                self.cells.retain(|other| other.key() != cell.key());
                self.cells.push(cell);
            }
            Err(error) => self.error = self.error.or(Some(error)),
        }
        self
    }

    /// Does them. A batch of nothing is an error.
    ///
    /// # Errors
    /// As [`Kv::put`]; [`PublishError::NoBundle`](crate::PublishError::NoBundle) if they are too many.
    pub async fn commit(self) -> Result<Written, PutError> {
        match self.error {
            Some(error) => Err(error.into()),
            None if self.cells.is_empty() => Err(PutError::Empty),
            None => self.kv.write(self.cells).await,
        }
    }
}
