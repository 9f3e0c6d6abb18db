//! Repair of this library beside other libraries: `README.md` says what is measured, and how.

mod find;
mod items;
mod join;
mod process;
mod table;

use items::Difference;

const USAGE: &str = "vouchsafe-history [find|join] [--items 100000] [--systems vouchsafe,negentropy,..] \
                     [--differences equal,middle,tail,scattered] [--repeat 3]";

/// What is measured, and how often.
pub(crate) struct Plan {
    items: Option<Vec<usize>>,
    systems: Option<Vec<String>>,
    differences: Vec<&'static str>,
    repeat: usize,
}

fn find_in<T: Copy>(all: &[(&'static str, T)], name: &str) -> anyhow::Result<T> {
    let found = all.iter().find(|(known, _)| *known == name);
    found.map(|(_, one)| *one).ok_or_else(|| anyhow::anyhow!("{name:?} is unknown: {USAGE}"))
}

fn plan(words: &[String]) -> anyhow::Result<Plan> {
    let names = Difference::ALL.map(|(name, _)| name).to_vec();
    let mut plan = Plan { items: None, systems: None, differences: names, repeat: 3 };
    for pair in words.chunks(2) {
        let [word, value] = pair else { anyhow::bail!("{pair:?} needs a value: {USAGE}") };
        let mut list = value.split(',');
        match word.as_str() {
            "--items" => plan.items = Some(list.map(str::parse).collect::<Result<_, _>>()?),
            "--systems" => plan.systems = Some(list.map(str::to_owned).collect()),
            "--differences" => {
                let known = |name: &str| Difference::ALL.iter().find(|(known, _)| *known == name);
                plan.differences.retain(|name| list.clone().any(|word| word == *name));
                anyhow::ensure!(list.all(|word| known(word).is_some()), "{value:?} is unknown: {USAGE}");
            }
            "--repeat" => plan.repeat = value.parse::<usize>()?.max(1),
            _ => anyhow::bail!("{word:?} is unknown: {USAGE}"),
        }
    }
    Ok(plan)
}

fn main() -> anyhow::Result<()> {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let borrowed: Vec<_> = words.iter().map(String::as_str).collect();
    match borrowed[..] {
        // The measuring processes.
        ["one", system, difference, count] => {
            process::stay_on(0)?;
            let system = find_in(&find::System::ALL, system)?;
            find::one(system, find_in(&Difference::ALL, difference)?, count.parse()?)
        }
        ["serve", system, count] => {
            process::stay_on(0)?;
            join::serve(find_in(&join::System::ALL, system)?, count.parse()?)
        }
        ["take", system, count, addr] => {
            process::stay_on(1)?;
            join::take(find_in(&join::System::ALL, system)?, count.parse()?, addr)
        }
        ["find", ..] => table::find(&plan(&words[1..])?),
        ["join", ..] => table::join(&plan(&words[1..])?),
        _ => anyhow::bail!("{USAGE}"),
    }
}
