//! Which parameters can be studied, at which values, and how each is set.

use std::time::Duration;

use vouchsafe::sim::Scenario;

/// One parameter of the engine, or of the network.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    /// For titles and tables, with its unit.
    pub(super) label: &'static str,
    /// What it decides, in a sentence.
    pub(super) meaning: &'static str,
    pub(super) values: &'static [u64],
    /// Whether equal steps of the axis are equal ratios.
    pub(super) by_ratio: bool,
    pub(super) get: fn(&Scenario) -> u64,
    pub(super) set: fn(&mut Scenario, u64),
}

static ALL: [Parameter; 5] = [
    Parameter {
        name: "eager",
        label: "links that a relay pushes to",
        meaning: "`Config::publishing.eager`: links that a relayed rumor is pushed to while its hop budget lasts. (An author pushes to 16.)",
        values: &[2, 4, 8, 12, 16],
        by_ratio: true,
        get: |scenario| scenario.config.publishing.eager as u64,
        set: |scenario, value| scenario.config.publishing.eager = value as usize,
    },
    Parameter {
        name: "links",
        label: "links that each node dials",
        meaning: "Links that each node dials; about as many are dialled by others.",
        values: &[6, 8, 12, 16, 24],
        by_ratio: true,
        get: |scenario| scenario.links as u64,
        set: |scenario, value| scenario.links = value as usize,
    },
    Parameter {
        name: "linger",
        label: "linger of announcements, ms",
        meaning: "`Config::publishing.announce_linger`: how long announcements wait for company.",
        values: &[0, 2, 5, 10, 20],
        by_ratio: false,
        get: |scenario| scenario.config.publishing.announce_linger.as_millis() as u64,
        set: |scenario, value| scenario.config.publishing.announce_linger = Duration::from_millis(value),
    },
    Parameter {
        name: "hops",
        label: "hop budget of an own rumor",
        meaning: "Rounds of pushing before announcements take over. `Config::expected_nodes` decides it: the study tells the \
                  nodes that they are 160, 1 280, 10 240 or 81 920.",
        values: &[1, 2, 3, 4],
        by_ratio: false,
        get: |scenario| {
            let mut config = scenario.config.clone();
            config.expected_nodes = u32::try_from(scenario.nodes).unwrap_or(u32::MAX);
            u64::from(config.hop_budget())
        },
        // The middle of the range of sizes that have this budget (log8(n / 20)).
        set: |scenario, value| scenario.expected_nodes = Some(20 * 8u32.pow(value as u32)),
    },
    Parameter {
        name: "patience",
        label: "margin of a first pull, ms",
        meaning: "`Config::pulls.first_margin`: what a link that has never served may take beyond its round trip and its line \
                  before somebody else is asked too.",
        values: &[0, 25, 50, 100, 200],
        by_ratio: false,
        get: |scenario| scenario.config.pulls.first_margin.as_millis() as u64,
        set: |scenario, value| scenario.config.pulls.first_margin = Duration::from_millis(value),
    },
];

/// By name; `all` for all of them.
pub(super) fn parameters(names: &[String]) -> Result<Vec<&'static Parameter>, String> {
    if names.iter().any(|name| name == "all") {
        return Ok(ALL.iter().collect());
    }
    let one = |name: &String| {
        ALL.iter().find(|parameter| parameter.name == name).ok_or_else(|| {
            let known: Vec<_> = ALL.iter().map(|parameter| parameter.name).collect();
            format!("{name:?} is no parameter: give {}, or all", known.join(", "))
        })
    };
    names.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_can_be_set_and_the_default_is_among_them() {
        let names = ["all".to_owned()];
        for parameter in parameters(&names).unwrap() {
            let usual = Scenario::default();
            assert!(parameter.values.contains(&(parameter.get)(&usual)), "{}", parameter.name);
            for value in parameter.values {
                let mut scenario = Scenario::default();
                (parameter.set)(&mut scenario, *value);
                // (What nodes expect is the scenario's to tell them.)
                scenario.nodes = scenario.expected_nodes.map_or(scenario.nodes, |nodes| nodes as usize);
                assert_eq!((parameter.get)(&scenario), *value, "{}", parameter.name);
            }
        }
    }
}
