//! Strategies that an application brings along.

use std::fmt;
use std::sync::Arc;

use super::{Adversary, Liar, Me};

type Make = dyn Fn(&mut Me) -> Box<dyn Adversary> + Send + Sync;

/// How to make liars of a kind that this crate does not know: [`Liar::custom`].
#[derive(Clone)]
pub struct Custom {
    name: Arc<str>,
    make: Arc<Make>,
}

impl Custom {
    /// What it is called in reports.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn adversary(&self, me: &mut Me) -> Box<dyn Adversary> {
        (self.make)(me)
    }
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Custom").field(&self.name).finish()
    }
}

/// Only a copy is the same: two closures can't be compared.
impl PartialEq for Custom {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.make, &other.make)
    }
}

impl Eq for Custom {}

impl Liar {
    /// A strategy of one's own. `make` is called once for each liar, when the network is built; [`Me`] tells it the rules and
    /// its key, and draws what is left to chance, so that the seed decides that too. (Its links come up later.)
    ///
    /// ```
    /// use std::time::Duration;
    /// use vouchsafe::adversary::{Adversary, Liar, Me, Outgoing};
    /// use vouchsafe::sim::{Network, Scenario};
    /// use vouchsafe::wire::{Kind, Lane};
    ///
    /// /// Never announces, and pushes everything a second late.
    /// #[derive(Debug)]
    /// struct Sluggard;
    ///
    /// impl Adversary for Sluggard {
    ///     fn outgoing(&mut self, me: &mut Me, frame: Outgoing) {
    ///         match Kind::of(&frame.payload) {
    ///             Some(Kind::Announce) => {}
    ///             _ if frame.lane == Lane::Rumors => me.send(Outgoing { delay: Duration::from_secs(1), ..frame }),
    ///             _ => me.send(frame),
    ///         }
    ///     }
    /// }
    ///
    /// let liar = Liar::custom("sluggard", |_me| Box::new(Sluggard));
    /// let mut network = Network::new(Scenario { nodes: 50, liars: 0.2, liar, ..Scenario::default() });
    /// network.run_for(Duration::from_secs(1));
    /// let author = network.random_honest();
    /// network.publish(author, vec![7; 300]);
    /// network.run_checked(Duration::from_secs(4)).unwrap();
    /// assert_eq!(network.measures().coverage(), 1.0);
    /// ```
    pub fn custom(
        name: impl Into<Arc<str>>,
        make: impl Fn(&mut Me) -> Box<dyn Adversary> + Send + Sync + 'static,
    ) -> Self {
        Self::Custom(Custom { name: name.into(), make: Arc::new(make) })
    }
}
