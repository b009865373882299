//! Which requests pass, if partitions and table have limits.

use super::topology::Topology;
use crate::simulate::parameters::PARTITION_LIMIT;
use crate::simulate::traffic::{Class, Load, Units};

/// The relative error at which the solution is good enough, and the most rounds to it.
const TOLERANCE: f64 = 1e-4;
const MOST_ROUNDS: usize = 100;

/// The ways that requests take through the partitions.
pub(super) struct Routes {
    routes: Vec<Route>,
    /// The share of all hashes that each partition has.
    widths: Vec<f64>,
}

/// The part of a class of requests that goes to the same partitions.
#[derive(Clone)]
struct Route {
    /// Its share of all requests.
    share: f64,
    /// What a request takes from a partition, for a key range or for unique keys.
    loads: Vec<(usize, Option<usize>, Load)>,
    /// What it takes from the partition to which the hash of a unique key leads. A request has several such keys; one partition
    /// for all of them has the same load on average.
    unique: Load,
}

/// The part that each partition admits of the requests that reach it.
pub(super) struct Admitted(Vec<f64>);

impl Admitted {
    /// Admits all requests, in each of `partitions` partitions.
    pub(super) fn all(partitions: usize) -> Self {
        Self(vec![1.0; partitions])
    }
}

impl Routes {
    /// The routes of these classes.
    pub(super) fn find(classes: &[Class], topology: &Topology) -> Self {
        let widths: Vec<_> = (0..topology.len()).map(|index| topology.width(index)).collect();
        let of_class = |class: &Class| {
            if class.is_batch {
                vec![Route::of_batch(class, topology, &widths)]
            } else {
                Route::alternatives(class, topology)
            }
        };
        Self { routes: classes.iter().flat_map(of_class).collect(), widths }
    }

    /// Finds what the partitions admit of `rate` requests per second, beginning with what they admitted before.
    ///
    /// A partition that admits less than all is at its limit: it would admit more otherwise. Requests of which another
    /// partition refuses an item leave units for others, so each partition depends on the rest, and the solution is approached.
    /// The root keeps two partitions that share all requests from correcting the same excess twice.
    pub(super) fn admit(&self, rate: f64, admitted: &mut Admitted) {
        for _ in 0..MOST_ROUNDS {
            let mut error: f64 = 0.0;
            let uses = self.uses(rate, admitted);
            for (part, used) in admitted.0.iter_mut().zip(uses) {
                let corrected = (*part * used.part_of(PARTITION_LIMIT).recip().sqrt()).min(1.0);
                error = error.max((corrected / *part - 1.0).abs());
                *part = corrected;
            }
            if error < TOLERANCE {
                break;
            }
        }
    }

    /// The units per second that the passing requests use of each partition.
    pub(super) fn uses(&self, rate: f64, admitted: &Admitted) -> Vec<Units> {
        let mut uses = vec![Units::default(); self.widths.len()];
        self.visit(rate, admitted, |partition, _, load| uses[partition] = uses[partition].plus(load.units));
        uses
    }

    /// The bytes that the passing ones of `requests` add: the partition, the key range, and the number.
    pub(super) fn bytes(&self, requests: f64, admitted: &Admitted) -> Vec<(usize, Option<usize>, f64)> {
        let mut bytes = Vec::new();
        self.visit(requests, admitted, |partition, range, load| bytes.push((partition, range, load.bytes)));
        bytes
    }

    /// The requests that pass of `requests`.
    pub(super) fn accepted(&self, requests: f64, admitted: &Admitted) -> f64 {
        let unique_part = self.unique_part(admitted);
        let shares = self.routes.iter().map(|route| {
            let unique_part = if route.has_unique_keys() { unique_part } else { 1.0 };
            route.share * route.part(admitted) * unique_part
        });
        requests * shares.sum::<f64>()
    }

    /// Calls `add` with what the passing requests take from a partition, for a key range or for unique keys.
    fn visit(&self, requests: f64, admitted: &Admitted, mut add: impl FnMut(usize, Option<usize>, Load)) {
        let unique_part = self.unique_part(admitted);
        let mut unique = Load::default();
        for route in &self.routes {
            let requests = requests * route.share * route.part(admitted);
            let of_loads = if route.has_unique_keys() { requests * unique_part } else { requests };
            for (partition, range, load) in &route.loads {
                add(*partition, *range, load.times(of_loads));
            }
            unique = unique.plus(route.unique.times(requests));
        }
        if unique != Load::default() {
            for (partition, (width, part)) in self.widths.iter().zip(&admitted.0).enumerate() {
                add(partition, None, unique.times(width * part));
            }
        }
    }

    /// The part of unique keys that passes.
    fn unique_part(&self, admitted: &Admitted) -> f64 {
        self.widths.iter().zip(&admitted.0).map(|(width, part)| width * part).sum()
    }
}

impl Route {
    /// The route of a transaction that has items in every partition of its ranges.
    fn of_batch(class: &Class, topology: &Topology, widths: &[f64]) -> Self {
        let mut loads = Vec::new();
        for (range, load) in &class.loads {
            let partitions = topology.partitions_of(*range).into_iter();
            loads.extend(partitions.map(|(partition, share)| (partition, Some(*range), load.times(share))));
        }
        let unique = widths.iter().enumerate().map(|(partition, width)| (partition, None, class.unique.times(*width)));
        loads.extend(unique);
        Self { share: class.share, loads, unique: Load::default() }
    }

    /// One route for each choice of a partition for each key range: a range that has been split has several.
    fn alternatives(class: &Class, topology: &Topology) -> Vec<Self> {
        let mut routes = vec![Self { share: class.share, loads: Vec::new(), unique: class.unique }];
        for (range, load) in &class.loads {
            let partitions = topology.partitions_of(*range);
            let extended = routes.iter().flat_map(|route| {
                partitions.iter().map(|(partition, share)| {
                    let mut route = route.clone();
                    route.share *= share;
                    route.loads.push((*partition, Some(*range), *load));
                    route
                })
            });
            routes = extended.collect();
        }
        routes
    }

    /// The part that passes of the requests with this route, but for their unique keys: the most loaded partition decides.
    fn part(&self, admitted: &Admitted) -> f64 {
        self.loads.iter().map(|(partition, ..)| admitted.0[*partition]).fold(1.0, f64::min)
    }

    fn has_unique_keys(&self) -> bool {
        self.unique != Load::default()
    }
}
