//! A model of the physical partitions of a DynamoDB table in on-demand mode, without I/O and without a clock.
//!
//! **Problem.** Where the throughput of a table ends depends on how its keys are spread over partitions, and on what DynamoDB does
//! about a partition that is too hot. No local engine models either.
//!
//! **Approach.** A partition has a contiguous range of the keys, ordered by the hash of the partition key and then by the
//! sort key. Time passes in steps. In a step, [`Traffic`] is a rate, not a list of requests: it has some key ranges that many
//! requests share, and a rest whose partition keys are unique, which is spread evenly over all hashes. Each step does the
//! following, by the rules in [`parameters`](super::parameters):
//! 1. The requests of each partition are reduced to its limit. A request passes only if each of its items does, so one that a
//!    partition refuses leaves more to others in its other partitions (`admission`).
//! 2. All requests are reduced to what the table takes: its warm throughput or twice its previous peak, and what it has not
//!    used in the last five minutes (`allowance`).
//! 3. A partition that has been hot for some minutes is split where its traffic is halved, if that is possible: neither
//!    one item can be divided, nor keys that are written in their order, since all writes are at the end (`topology`, `split`).
//! 4. A partition that has reached 10 GB is split where its bytes are halved. If the table takes more than its partitions do,
//!    the widest ones are split.
//!
//! **Not in the model.** Retries, which shift load to later and add no capacity. The units that a refused transaction used before
//! one of its items was refused. Conflicts between transactions. Replicas: in part 2 of the series that `parameters` names, a
//! partition serves 4,500 instead of 3,000 units of eventually consistent reads; the reads here are strongly consistent. The
//! seconds in which a partition is split. Fluctuation within a second: the figures are means, so a partition at exactly its
//! limit is not throttled here. Behavior of DynamoDB that AWS has not
//! published.

mod admission;
mod allowance;
mod split;
#[cfg(test)]
mod tests;
mod topology;

use self::admission::{Admitted, Routes};
use self::allowance::Allowance;
use self::topology::{Heat, Topology};
use super::parameters::{NEW_TABLE, PARTITION_LIMIT};
use super::traffic::{Traffic, Units};

/// What the table takes when it is created, and at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct TableSettings {
    /// Its warm throughput per second.
    pub(super) warm: Units,
    /// The write units per second of its on-demand maximum.
    pub(super) max_writes: f64,
}

impl TableSettings {
    /// A new table without a maximum.
    pub(super) const NEW: Self = Self { warm: NEW_TABLE, max_writes: f64::INFINITY };

    /// A table that was warmed for this many write units per second, and three times as many read units.
    pub(super) fn warm(writes: f64) -> Self {
        Self { warm: Units { reads: 3.0 * writes, writes }, ..Self::NEW }
    }
}

/// What happened in a step, per second.
#[derive(Debug, Clone)]
pub(super) struct Step {
    /// The requests that passed.
    pub(super) accepted: f64,
    /// What they used of the table.
    pub(super) used: Units,
    /// The partition with the largest share of its limit in use: the pattern of the keys that most of it is for, and the share.
    pub(super) hottest: (String, f64),
}

/// A table under one kind of traffic.
pub(super) struct Model {
    traffic: Traffic,
    topology: Topology,
    routes: Routes,
    admitted: Admitted,
    allowance: Allowance,
}

impl Model {
    /// A table that stores nothing yet.
    pub(super) fn new(traffic: Traffic, settings: TableSettings) -> Self {
        let topology = Topology::new(traffic.ranges.clone(), settings.warm);
        let routes = Routes::find(&traffic.classes, &topology);
        let admitted = Admitted::all(topology.len());
        Self { traffic, topology, routes, admitted, allowance: Allowance::new(settings) }
    }

    /// The number of partitions.
    #[cfg(test)]
    fn partitions(&self) -> usize {
        self.topology.len()
    }

    /// Lets `seconds` pass, in which `rate` requests per second are sent.
    pub(super) fn step(&mut self, seconds: f64, rate: f64) -> Step {
        self.routes.admit(rate, &mut self.admitted);
        let excess = sum(&self.routes.uses(rate, &self.admitted)).part_of(self.allowance.available(seconds)).max(1.0);
        let admitted_rate = rate / excess;
        let uses = self.routes.uses(admitted_rate, &self.admitted);
        let used = sum(&uses);
        let accepted = self.routes.accepted(admitted_rate, &self.admitted);
        let heat = Heat::of(&self.traffic, rate);
        let hottest = self.hottest(&heat, &uses);

        for (partition, range, bytes) in self.routes.bytes(seconds * admitted_rate, &self.admitted) {
            self.topology.store(partition, range, bytes);
        }
        self.allowance.pass(seconds, used);
        let before = self.topology.len();
        self.topology.split_hot(seconds, &heat, &uses);
        self.topology.split_large();
        self.topology.grow(self.allowance.per_second());
        if self.topology.len() > before {
            self.routes = Routes::find(&self.traffic.classes, &self.topology);
            self.admitted = Admitted::all(self.topology.len());
        }
        Step { accepted, used, hottest }
    }

    fn hottest(&self, heat: &Heat, uses: &[Units]) -> (String, f64) {
        let Some((partition, part)) = most_loaded(uses) else { return (String::new(), 0.0) };
        let own = |range: usize| heat.of_range(range) * self.topology.traffic_share(range, partition);
        let unique = heat.of_unique_keys() * self.topology.width(partition);
        let hottest = (0..self.traffic.ranges.len()).max_by(|a, b| own(*a).total_cmp(&own(*b)));
        let name = match hottest {
            Some(range) if own(range) >= unique => self.traffic.ranges[range].name.clone(),
            _ => self.traffic.unique_name.clone(),
        };
        (name, part)
    }
}

/// The partition with the largest share of its limit in use, and the share.
fn most_loaded(uses: &[Units]) -> Option<(usize, f64)> {
    let parts = uses.iter().map(|used| used.part_of(PARTITION_LIMIT)).enumerate();
    parts.max_by(|a, b| a.1.total_cmp(&b.1))
}

fn sum(uses: &[Units]) -> Units {
    uses.iter().copied().fold(Units::default(), Units::plus)
}
