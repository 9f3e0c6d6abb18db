//! Limits by the kind of place in which an agent runs.

use std::str::FromStr;

use vouchsafe::Config;

/// A set of limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Default,
    Local,
    Mobile,
    Hardened,
}

impl Profile {
    const ALL: [(&'static str, Self); 4] = [
        ("default", Self::Default),
        ("local", Self::Local),
        ("mobile", Self::Mobile),
        ("hardened", Self::Hardened),
    ];

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, profile)| *profile == self).map_or("", |(name, _)| name)
    }

    /// The limits.
    pub(crate) fn config(self) -> Config {
        match self {
            Self::Default => Config::default(),
            Self::Local => Config::local(),
            Self::Mobile => mobile(),
            Self::Hardened => Config::hardened(),
        }
    }
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(name, _)| *name == text);
        found.map(|(_, profile)| *profile).ok_or_else(|| "give default, local, mobile or hardened".to_owned())
    }
}

/// For a line that is slow or paid by the byte, and a battery. Each link costs keep-alives, announcements and its share of pushes, so there
/// are few: six that the node chose itself still lead to the network when some of them lie or fall away. What others would fetch from here is
/// little, and signs of life come a fifth as often. Every figure is a guess.
///
/// A member with slower signs of life is known to have crashed later; nobody else's are slower for it.
fn mobile() -> Config {
    Config::default().with(|config| {
        (config.links.max, config.links.inbound, config.links.hash_selected) = (16, 8, 4);
        config.dialling.outbound = 6;
        config.dialling.feelers = 1;
        (config.publishing.eager, config.publishing.eager_author) = (3, 6);
        config.pulls.repair_every = std::time::Duration::from_secs(5);
        (config.budget.bytes_per_s, config.budget.bytes_burst) = (1 << 20, 1 << 20);
        (config.topics.bundles, config.topics.bytes) = (16_384, 32 << 20);
        config.topics.author_bytes = 16 << 20;
        (config.history.bytes, config.history.topic_bytes) = (1 << 30, 256 << 20);
        config.history.bytes_per_s = 1 << 20;
        config.members.renewals_per_s = 2;
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_can_be_used_and_reads_back() {
        for (name, profile) in Profile::ALL {
            assert_eq!((name.parse(), profile.name()), (Ok(profile), name));
            profile.config().check().unwrap();
        }
        assert!("Local".parse::<Profile>().is_err());
        let (mobile, default) = (Profile::Mobile.config(), Profile::Default.config());
        assert!(mobile.links.max < default.links.max);
        assert!(mobile.members.renewals_per_s < default.members.renewals_per_s);
    }
}
