//! What is wrong with a configuration, each with its line.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::path::Path;

/// Faults of one file that are told. (Guess: who has more than these has given the wrong file.)
pub(super) const MOST_FAULTS: usize = 100;

/// Characters of a fault that are told at its beginning and at its end, if it has more. (Guess: the kinds of events, which are the longest
/// list of what may be given, have 700.)
const HEAD: usize = 400;
const TAIL: usize = 1_000;

/// Something that can't be used, where it stands, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The file, and the line in it; a fault of a flag has none.
    place: Option<(String, usize)>,
    what: String,
    /// How many it stands for.
    count: usize,
}

impl Fault {
    /// In a line of a file.
    pub(crate) fn in_line(file: &Path, line: usize, what: impl Into<String>) -> Self {
        Self { place: Some((file.display().to_string(), line)), what: short(what.into()), count: 1 }
    }

    /// Of a flag, or of no line.
    pub(crate) fn of_flag(what: impl Into<String>) -> Self {
        Self { place: None, what: short(what.into()), count: 1 }
    }

    /// Those of a file that are not told.
    pub(super) fn more(file: &Path, count: usize) -> Self {
        let what = format!("{}: {count} more: mend these first", file.display());
        Self { place: None, what, count }
    }

    /// The same in that line, unless it has a place of its own.
    pub(super) fn placed(self, file: &Path, line: usize) -> Self {
        Self { place: self.place.or_else(|| Some((file.display().to_string(), line))), ..self }
    }

    /// How many these are.
    pub(crate) fn count(faults: &[Self]) -> usize {
        faults.iter().map(|fault| fault.count).sum()
    }
}

/// What a fault says, without the middle of what is very long: what is wrong stands before it, and what to do behind it.
fn short(what: String) -> String {
    let count = what.chars().count();
    if count <= HEAD + TAIL {
        return what;
    }
    let head: String = what.chars().take(HEAD).collect();
    let tail: String = what.chars().skip(count - TAIL).collect();
    format!("{head} [...] {tail}")
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some((file, line)) => write!(f, "{file}:{line}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// Collects the first of them while a text is read, and counts the others.
pub(super) struct Faults<'a> {
    file: &'a Path,
    text: &'a str,
    /// The first of them.
    found: RefCell<BTreeSet<(usize, String)>>,
    left_out: Cell<usize>,
}

impl<'a> Faults<'a> {
    pub(super) const fn of(file: &'a Path, text: &'a str) -> Self {
        Self { file, text, found: RefCell::new(BTreeSet::new()), left_out: Cell::new(0) }
    }

    /// Notes one that stands there.
    pub(super) fn add(&self, span: &Range<usize>, what: impl Into<String>) {
        let mut found = self.found.borrow_mut();
        found.insert((span.start, what.into()));
        if found.len() > MOST_FAULTS {
            found.pop_last();
            self.left_out.set(self.left_out.get() + 1);
        }
    }

    /// The first of them, in the order of lines, and how many more there are.
    pub(super) fn sorted(self) -> Vec<Fault> {
        let Self { file, text, found, left_out } = self;
        let fault = |(at, what): (usize, String)| Fault::in_line(file, line_of(text, at), what);
        let mut faults: Vec<_> = found.into_inner().into_iter().map(fault).collect();
        if left_out.get() > 0 {
            faults.push(Fault::more(file, left_out.get()));
        }
        faults
    }
}

/// The number of the line in which a byte stands, from 1.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}
