//! Traffic as the model sees it: which keys the requests of one kind share, and how they come in.
//!
//! A [`Sample`] is a list of requests in the order of time, made by the project's own key functions. [`Traffic`] is derived from
//! it and from nothing else: keys with one partition key and one prefix of the sort key are a [`KeyRange`], whose [`Order`] is seen
//! from the order of the sample, so that a change of a key function changes the result. Partition keys that occur once in
//! the sample are unique, and only the sum of their load is kept.

use std::collections::{BTreeMap, HashMap};

use sha2::{Digest, Sha256};
use shared::dynamodb::keys::Key;

/// The share of the items of a range that have to be greater than all before them if its order is [`Order::Increasing`]. In a
/// random order it is a few per cent.
const INCREASING: f64 = 0.5;

/// Capacity units.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Units {
    pub(super) reads: f64,
    pub(super) writes: f64,
}

impl Units {
    pub(super) const fn reads(reads: f64) -> Self {
        Self { reads, writes: 0.0 }
    }

    pub(super) const fn writes(writes: f64) -> Self {
        Self { reads: 0.0, writes }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    pub(super) fn times(self, factor: f64) -> Self {
        Self { reads: self.reads * factor, writes: self.writes * factor }
    }

    /// How much of `limit` this is: the larger one of reads and writes, which are limited apart.
    pub(super) fn part_of(self, limit: Self) -> f64 {
        (self.reads / limit.reads).max(self.writes / limit.writes)
    }

    /// A function of the reads of both, and of the writes of both.
    pub(super) fn zip(self, other: Self, function: impl Fn(f64, f64) -> f64) -> Self {
        Self { reads: function(self.reads, other.reads), writes: function(self.writes, other.writes) }
    }
}

/// What a request takes from a table.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Load {
    pub(super) units: Units,
    /// The bytes that it adds.
    pub(super) bytes: f64,
}

impl Load {
    pub(super) fn plus(self, other: Self) -> Self {
        Self { units: self.units.plus(other.units), bytes: self.bytes + other.bytes }
    }

    pub(super) fn times(self, factor: f64) -> Self {
        Self { units: self.units.times(factor), bytes: self.bytes * factor }
    }
}

/// The items that a request reads or writes: the key of each, and what it takes.
pub(super) type Request = Vec<(Key, Load)>;

/// Requests in the order of time.
pub(super) struct Sample {
    pub(super) requests: Vec<Request>,
    /// `true` if each request is a transaction with items in all partitions of its ranges: it passes if all of them do.
    pub(super) is_batch: bool,
}

/// How the sort keys of a range come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Anywhere in the range.
    Scattered,
    /// Each one after all before it.
    Increasing,
    /// There is one sort key.
    OneItem,
}

/// A point in the order of keys: the hash of the partition key as a fraction of all hashes, then the sort key as a fraction of
/// those in use.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(super) struct Position {
    pub(super) hash: f64,
    pub(super) sk: f64,
}

/// The keys with one partition key and one prefix of the sort key.
#[derive(Debug, Clone)]
pub(super) struct KeyRange {
    /// The pattern of its keys, without ids.
    pub(super) name: String,
    pub(super) hash: f64,
    /// Its part of the sort keys of the partition key.
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) order: Order,
}

impl KeyRange {
    /// The part of the sort keys between two positions, if there is one.
    pub(super) fn overlap(&self, start: Position, end: Position) -> Option<(f64, f64)> {
        if start.hash > self.hash || end.hash < self.hash {
            return None;
        }
        let lo = if start.hash < self.hash { self.from } else { self.from.max(start.sk) };
        let hi = if end.hash > self.hash { self.to } else { self.to.min(end.sk) };
        if lo < hi { Some((lo, hi)) } else { None }
    }

    /// The share of its traffic between two positions.
    pub(super) fn traffic_share(&self, start: Position, end: Position) -> f64 {
        match (self.overlap(start, end), self.order) {
            (None, _) => 0.0,
            (Some((lo, hi)), Order::Scattered) => (hi - lo) / (self.to - self.from),
            // All of it is at the end.
            (Some((_, hi)), Order::Increasing | Order::OneItem) => {
                if hi < self.to {
                    0.0
                } else {
                    1.0
                }
            }
        }
    }
}

/// The requests that use the same key ranges.
#[derive(Debug, Clone)]
pub(super) struct Class {
    /// Its share of all requests.
    pub(super) share: f64,
    /// What a request takes from each range.
    pub(super) loads: Vec<(usize, Load)>,
    /// What it takes for items with a unique partition key.
    pub(super) unique: Load,
    /// See [`Sample::is_batch`].
    pub(super) is_batch: bool,
}

/// One kind of traffic.
#[derive(Debug, Clone)]
pub(super) struct Traffic {
    /// The key ranges, in the order of keys.
    pub(super) ranges: Vec<KeyRange>,
    pub(super) classes: Vec<Class>,
    /// The pattern of the first unique keys.
    pub(super) unique_name: String,
}

/// A partition key, and the prefix of a sort key.
type RangeKey<'a> = (&'a str, &'a str);

impl Traffic {
    /// The traffic of which this is a sample.
    pub(super) fn of(sample: &Sample) -> Self {
        let mut uses: HashMap<&str, u32> = HashMap::new();
        for (key, _) in sample.requests.iter().flatten() {
            *uses.entry(&key.pk).or_default() += 1;
        }
        let is_unique = |key: &Key| uses[key.pk.as_str()] == 1;
        let shared = sample.requests.iter().flatten().map(|(key, _)| key).filter(|key| !is_unique(key));
        let mut sort_keys: BTreeMap<RangeKey, Vec<&str>> = BTreeMap::new();
        for key in shared {
            sort_keys.entry((&key.pk, prefix(&key.sk))).or_default().push(&key.sk);
        }
        let mut ranges = key_ranges(&sort_keys);
        ranges.sort_by(|(_, a), (_, b)| a.hash.total_cmp(&b.hash).then(a.from.total_cmp(&b.from)));
        let index: HashMap<_, _> = ranges.iter().enumerate().map(|(index, (key, _))| (*key, index)).collect();

        let mut classes: BTreeMap<Vec<usize>, ClassSum> = BTreeMap::new();
        for request in &sample.requests {
            let mut class = ClassSum { count: 1.0, ..ClassSum::default() };
            for (key, load) in request {
                let total = if is_unique(key) {
                    &mut class.unique
                } else {
                    class.loads.entry(index[&(key.pk.as_str(), prefix(&key.sk))]).or_default()
                };
                *total = total.plus(*load);
            }
            let used = if sample.is_batch { Vec::new() } else { class.loads.keys().copied().collect() };
            classes.entry(used).or_default().add(class);
        }
        let total: f64 = classes.values().map(|class| class.count).sum();
        let mean = |ClassSum { count, loads, unique }| Class {
            share: count / total,
            loads: loads.into_iter().map(|(range, sum)| (range, sum.times(1.0 / count))).collect(),
            unique: unique.times(1.0 / count),
            is_batch: sample.is_batch,
        };
        let classes = classes.into_values().map(mean).collect();
        let first_unique = sample.requests.iter().flatten().find(|(key, _)| is_unique(key));
        let unique_name = first_unique.map_or_else(String::new, |(key, _)| pattern(key));
        Self { classes, ranges: ranges.into_iter().map(|(_, range)| range).collect(), unique_name }
    }
}

/// The sum of what the requests of a class take.
#[derive(Default)]
struct ClassSum {
    count: f64,
    loads: BTreeMap<usize, Load>,
    unique: Load,
}

impl ClassSum {
    fn add(&mut self, other: Self) {
        self.count += other.count;
        for (range, load) in other.loads {
            let sum = self.loads.entry(range).or_default();
            *sum = sum.plus(load);
        }
        self.unique = self.unique.plus(other.unique);
    }
}

/// The ranges of these sort keys. Those of one partition key share its sort keys, in the order of their prefixes.
fn key_ranges<'a>(sort_keys: &BTreeMap<RangeKey<'a>, Vec<&'a str>>) -> Vec<(RangeKey<'a>, KeyRange)> {
    let mut counts: HashMap<&str, u32> = HashMap::new();
    for (pk, _) in sort_keys.keys() {
        *counts.entry(pk).or_default() += 1;
    }
    let mut rank = 0;
    let mut previous = "";
    let ranges = sort_keys.iter().map(|((pk, prefix), in_time)| {
        rank = if *pk == previous { rank + 1 } else { 0 };
        previous = pk;
        let count = f64::from(counts[pk]);
        let key = Key { pk: (*pk).to_owned(), sk: in_time[0].to_owned() };
        let range = KeyRange {
            name: pattern(&key),
            hash: hash(pk),
            from: f64::from(rank) / count,
            to: f64::from(rank + 1) / count,
            order: order(in_time),
        };
        ((*pk, *prefix), range)
    });
    ranges.collect()
}

/// How these sort keys come in.
fn order(in_time: &[&str]) -> Order {
    let mut greatest = in_time[0];
    let (mut others, mut increases) = (0_u32, 0_u32);
    for sk in in_time {
        others += u32::from(*sk != in_time[0]);
        if *sk > greatest {
            greatest = sk;
            increases += 1;
        }
    }
    if others == 0 {
        Order::OneItem
    } else if f64::from(increases) >= INCREASING * f64::from(others) {
        Order::Increasing
    } else {
        Order::Scattered
    }
}

fn prefix(sk: &str) -> &str {
    sk.split('#').next().unwrap_or_default()
}

/// The position of a partition key among all hashes. DynamoDB's function is not published; any good one spreads keys as evenly.
fn hash(pk: &str) -> f64 {
    let digest = Sha256::digest(pk);
    let bytes = [digest[0], digest[1], digest[2], digest[3]];
    f64::from(u32::from_be_bytes(bytes)) / 2_f64.powi(32)
}

/// A key without its ids and hashes: `ORG#…#EMAIL#… EMAIL`.
fn pattern(key: &Key) -> String {
    let is_name = |part: &str| part.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    let parts: Vec<_> = key.pk.split('#').map(|part| if is_name(part) { part } else { "…" }).collect();
    format!("{} {}", parts.join("#"), prefix(&key.sk))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(keys: &[(&str, &str)]) -> Sample {
        let load = Load { units: Units::writes(1.0), bytes: 0.0 };
        let request = |(pk, sk): &(&str, &str)| vec![(Key { pk: (*pk).to_owned(), sk: (*sk).to_owned() }, load)];
        Sample { requests: keys.iter().map(request).collect(), is_batch: false }
    }

    #[test]
    fn the_order_of_a_range_is_that_of_its_sort_keys_in_time() {
        assert_eq!(order(&["1", "2", "3", "4"]), Order::Increasing);
        assert_eq!(order(&["1", "1", "1"]), Order::OneItem);
        assert_eq!(order(&["5", "2", "4", "1", "6", "3", "0"]), Order::Scattered);
    }

    #[test]
    fn prefixes_of_one_partition_are_ranges_of_their_own() {
        let keys = [("ORG#1", "CONTACT#1"), ("ORG#1", "COMPANY#z"), ("ORG#1", "CONTACT#2"), ("ORG#1", "COMPANY#a")];
        let ranges = Traffic::of(&sample(&keys)).ranges;
        let parts: Vec<_> = ranges.iter().map(|range| (range.name.as_str(), range.from, range.to)).collect();
        assert_eq!(parts, [("ORG#… COMPANY", 0.0, 0.5), ("ORG#… CONTACT", 0.5, 1.0)]);
        assert_eq!(ranges[1].order, Order::Increasing);
    }

    #[test]
    fn partition_keys_that_occur_once_are_unique() {
        let traffic = Traffic::of(&sample(&[("ORG#1#EMAIL#a", "EMAIL"), ("ORG#1#EMAIL#b", "EMAIL")]));
        assert!(traffic.ranges.is_empty());
        let [class] = &traffic.classes[..] else { panic!("{traffic:?}") };
        assert_eq!((class.share, class.unique.units), (1.0, Units::writes(1.0)));
        assert_eq!(traffic.unique_name, "ORG#…#EMAIL#… EMAIL");
    }

    #[test]
    fn requests_of_the_same_ranges_are_a_class() {
        let keys = [("a", "K#1"), ("a", "K#2"), ("a", "K#3"), ("b", "K#1"), ("b", "K#2"), ("c", "K#1")];
        let mut shares: Vec<_> = Traffic::of(&sample(&keys)).classes.iter().map(|class| class.share).collect();
        shares.sort_by(f64::total_cmp);
        assert_eq!(shares, [1.0 / 6.0, 2.0 / 6.0, 3.0 / 6.0]);
    }

    #[test]
    fn all_writes_of_an_increasing_range_are_at_its_end() {
        let range = |order| KeyRange { name: String::new(), hash: 0.5, from: 0.0, to: 1.0, order };
        let at = |hash, sk| Position { hash, sk };
        for (order, left) in [(Order::Scattered, 0.4), (Order::Increasing, 0.0), (Order::OneItem, 0.0)] {
            let range = range(order);
            let shares = [
                range.traffic_share(at(0.0, 0.0), at(0.5, 0.4)),
                range.traffic_share(at(0.5, 0.4), at(0.5, 1.0)),
                range.traffic_share(at(0.5, 1.0), at(1.0, 0.0)),
            ];
            let is_near = |(a, b): (&f64, f64)| (a - b).abs() < 1e-9;
            assert!(shares.iter().zip([left, 1.0 - left, 0.0]).all(is_near), "{order:?}: {shares:?}");
        }
    }
}
