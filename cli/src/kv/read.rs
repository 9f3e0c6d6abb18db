//! `vouchsafe kv DIR get` and `scan`: what a node has left in its folder.

use std::path::Path;

use bytes::Bytes;
use vouchsafe::Resolve;

use super::said::{Keys, digits};
use super::show::Shown;
use crate::exit::{self, Failure};
use crate::text::printable;

/// Print the value of a key
///
/// Of several authors the newest value, by the time that they give. Control characters are escaped; with --json nothing is lost.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Get {
    /// Name of the topic, or its id
    #[arg(value_name = "TOPIC")]
    topic: String,
    /// The key
    #[arg(value_name = "KEY")]
    key: String,
    /// What the author says whose key begins with these digits
    #[arg(long, value_name = "KEY", conflicts_with = "agreed")]
    author: Option<String>,
    /// What so many authors say, value for value; only in a topic that names its writers
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    agreed: Option<u32>,
    /// As JSON: one object. What is no text (UTF-8) is in `key_hex` or `value_hex`
    #[arg(long)]
    json: bool,
}

/// Print the keys that have a value
///
/// A line for each author and key, as "AUTHOR POSITION KEY", a tab, and the value, in the order of keys: the first 8 digits of the author's
/// key, the tick and slot, key and value with control characters escaped.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Scan {
    /// Name of the topic, or its id
    #[arg(value_name = "TOPIC")]
    topic: String,
    /// Only keys that begin so
    #[arg(value_name = "PREFIX", default_value = "", hide_default_value = true)]
    prefix: String,
    /// Only of the author whose key begins with these digits
    #[arg(long, value_name = "KEY")]
    author: Option<String>,
    /// As JSON: one object a line. What is no text (UTF-8) is in `key_hex` or `value_hex`
    #[arg(long)]
    json: bool,
}

#[cfg(unix)]
impl Get {
    /// Asks an agent.
    pub(super) fn ask(&self, at: &crate::client::At) -> Result<(), Failure> {
        crate::client::get(at, &self.topic, &self.key, self.author.as_deref(), self.agreed, self.json)
    }
}

#[cfg(unix)]
impl Scan {
    /// Asks an agent.
    pub(super) fn ask(&self, at: &crate::client::At) -> Result<(), Failure> {
        crate::client::scan(at, &self.topic, &self.prefix, self.author.as_deref(), self.json)
    }
}

pub(super) fn get(folder: &Path, args: &Get) -> Result<(), Failure> {
    let digits = digits(args.author.as_deref())?;
    let keys = Keys::read(folder, &args.topic)?;
    let (whose, value) = match &digits {
        Some(digits) => {
            let (author, newest) = keys.of_author(&args.key, digits)?;
            (Some((author, newest.position)), newest.value)
        }
        None => {
            let resolve = args.agreed.map_or(Resolve::Newest, |count| Resolve::Agreed(count as usize));
            match keys.shared(&args.key, resolve)? {
                Some(answer) => (answer.whose, Some(answer.value)),
                None => (None, None),
            }
        }
    };
    let Some(value) = value else {
        let name = &args.key;
        let so_many = args.agreed.map_or_else(String::new, |count| format!(" that {count} authors agree on"));
        return Err(Failure::Failed(format!(
            "{name:?} has no value{so_many}: `vouchsafe kv {} scan {}` lists the keys that have one",
            folder.display(),
            args.topic
        )));
    };
    if !args.json {
        return exit::print(format!("{}\n", printable(&value)));
    }
    let key = Bytes::from(args.key.clone());
    let (author, position) = whose.unzip();
    Shown { author, position, key: Some(&key), value: Some(&value), ..Shown::default() }.print(true)
}

pub(super) fn scan(folder: &Path, args: &Scan) -> Result<(), Failure> {
    let digits = digits(args.author.as_deref())?;
    let keys = Keys::read(folder, &args.topic)?;
    let mut text = String::new();
    for (key, author, newest) in keys.values(&args.prefix, digits.as_deref()) {
        let (author, position) = (Some(*author), Some(newest.position));
        let shown =
            Shown { author, position, key: Some(key), value: newest.value.as_ref(), ..Shown::default() };
        text += &if args.json { shown.json() } else { shown.line() };
    }
    exit::print(text)
}
