//! A table of a configuration, of which each key is asked for once: what is left over is unknown.

use std::cell::RefCell;
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::faults::Faults;

/// A value, and where it stands.
pub(super) struct Found<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

/// A table of the file.
pub(super) struct Table<'a> {
    entries: &'a DeTable<'a>,
    span: Range<usize>,
    /// How it is called in faults, such as "[api]"; the file itself has no name.
    name: String,
    faults: &'a Faults<'a>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Table<'a> {
    /// The file itself.
    pub(super) fn whole(file: &'a Spanned<DeTable<'a>>, faults: &'a Faults<'a>) -> Self {
        Self::new(file.get_ref(), file.span(), String::new(), faults)
    }

    const fn new(entries: &'a DeTable<'a>, span: Range<usize>, name: String, faults: &'a Faults<'a>) -> Self {
        Self { entries, span, name, faults, asked: RefCell::new(Vec::new()) }
    }

    /// Where it begins.
    pub(super) fn span(&self) -> &Range<usize> {
        &self.span
    }

    pub(super) fn fault(&self, span: &Range<usize>, what: impl Into<String>) {
        self.faults.add(span, what);
    }

    /// Where the value of a key stands; where the table begins, if it has no such key.
    pub(super) fn span_of(&self, key: &str) -> Range<usize> {
        let found = self.entries.iter().find(|(name, _)| name.get_ref() == key);
        found.map_or_else(|| self.span.clone(), |(_, value)| value.span())
    }

    /// A text, if it is one, without asking for it.
    pub(super) fn peek(&self, key: &str) -> Option<&'a str> {
        let (_, value) = self.entries.iter().find(|(name, _)| name.get_ref() == key)?;
        value.get_ref().as_str()
    }

    /// Whether it has such a key, whatever stands there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(name, _)| name.get_ref() == key)
    }

    fn find(&self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.asked.borrow_mut().push(key);
        self.entries.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value)
    }

    fn wrong(&self, key: &str, value: &Spanned<DeValue<'_>>, wanted: &str) {
        let found = value.get_ref().type_str();
        self.fault(&value.span(), format!("{key} is {wanted}, and this is of type {found}"));
    }

    /// A text.
    pub(super) fn text(&self, key: &'static str) -> Option<Found<String>> {
        let value = self.find(key)?;
        let DeValue::String(text) = value.get_ref() else {
            self.wrong(key, value, "a text in quotes");
            return None;
        };
        Some(Found { value: text.to_string(), span: value.span() })
    }

    /// A text that means something.
    pub(super) fn parsed<T>(
        &self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let Found { value, span } = self.text(key)?;
        parse(&value).map_err(|why| self.fault(&span, format!("{key} = {value:?}: {why}"))).ok()
    }

    /// A whole number in a range.
    pub(super) fn number(&self, key: &'static str, range: RangeInclusive<u32>) -> Option<u32> {
        let value = self.find(key)?;
        let (least, most) = (range.start(), range.end());
        let DeValue::Integer(digits) = value.get_ref() else {
            self.wrong(key, value, &format!("a whole number from {least} to {most}"));
            return None;
        };
        let number = u32::from_str_radix(digits.as_str(), digits.radix()).ok();
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            self.fault(
                &value.span(),
                format!("{key} = {digits}: give a whole number from {least} to {most}"),
            );
        }
        number
    }

    /// A list of texts. `None` if there is no such key, or no such list.
    pub(super) fn texts(&self, key: &'static str) -> Option<Vec<Found<String>>> {
        self.list(key).map(|texts| texts.into_iter().flatten().collect())
    }

    /// The same, with `None` for what is no text.
    fn list(&self, key: &'static str) -> Option<Vec<Option<Found<String>>>> {
        let value = self.find(key)?;
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong(key, value, "a list of texts, as in [\"a\", \"b\"]");
            return None;
        };
        let text = |item: &Spanned<DeValue<'_>>| match item.get_ref() {
            DeValue::String(text) => Some(Found { value: text.to_string(), span: item.span() }),
            _ => {
                self.wrong(key, item, "a list of texts");
                None
            }
        };
        Some(items.iter().map(text).collect())
    }

    /// A list of texts that mean something. `None` if one of them means nothing.
    pub(super) fn all_parsed<T>(
        &self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let parsed = self.list(key)?.into_iter().map(|text| {
            let Found { value, span } = text?;
            parse(&value).map_err(|why| self.fault(&span, format!("{key}: {value:?}: {why}"))).ok()
        });
        // All of them are tried first, so that each fault is told.
        parsed.collect::<Vec<_>>().into_iter().collect()
    }

    /// A table of its own.
    pub(super) fn table(&self, key: &'static str) -> Option<Self> {
        let value = self.find(key)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(self.inner(table, value.span(), format!("[{key}]"))),
            _ => {
                self.wrong(key, value, &format!("a table, which begins with [{key}]"));
                None
            }
        }
    }

    /// Tables that repeat, as `[[topic]]` does.
    pub(super) fn tables(&self, key: &'static str) -> Vec<Self> {
        let Some(value) = self.find(key) else { return Vec::new() };
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong(key, value, &format!("a list of tables, each of which begins with [[{key}]]"));
            return Vec::new();
        };
        let table = |item: &'a Spanned<DeValue<'a>>| match item.get_ref() {
            DeValue::Table(table) => Some(self.inner(table, item.span(), format!("[[{key}]]"))),
            _ => {
                self.wrong(key, item, &format!("a list of tables, each of which begins with [[{key}]]"));
                None
            }
        };
        items.iter().filter_map(table).collect()
    }

    fn inner(&self, entries: &'a DeTable<'a>, span: Range<usize>, name: String) -> Self {
        Self::new(entries, span, name, self.faults)
    }

    /// Refuses what nobody has asked for. To be called when all keys were.
    pub(super) fn end(self) {
        let asked = self.asked.borrow();
        for (key, _) in self.entries {
            if !asked.iter().any(|known| *known == key.get_ref()) {
                let place = if self.name.is_empty() { "the file" } else { &self.name };
                let mut known = asked.clone();
                known.sort_unstable();
                known.dedup();
                let known = known.join(", ");
                self.fault(&key.span(), format!("{place} has no key {:?}; it has {known}", key.get_ref()));
            }
        }
    }
}
