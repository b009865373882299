//! The partitions of a table, and how they are split.

use super::split::{Segment, split_point};
use crate::simulate::parameters::{HOT, LARGEST_HALF, PARTITION_BYTES, PARTITION_LIMIT, SPLIT_SECONDS};
use crate::simulate::traffic::{KeyRange, Order, Position, Traffic, Units};

/// The partitions, in the order of keys.
pub(super) struct Topology {
    ranges: Vec<KeyRange>,
    partitions: Vec<Partition>,
}

/// The keys from `start` to the start of the next partition.
struct Partition {
    start: Position,
    hot_seconds: f64,
    /// The bytes of each key range.
    bytes: Vec<f64>,
    /// The bytes of unique keys.
    unique_bytes: f64,
}

/// What is asked of a table, as shares of a partition's limit.
pub(super) struct Heat {
    by_range: Vec<f64>,
    unique: f64,
}

impl Heat {
    /// That of this many requests per second.
    pub(super) fn of(traffic: &Traffic, rate: f64) -> Self {
        let mut by_range = vec![Units::default(); traffic.ranges.len()];
        let mut unique = Units::default();
        for class in &traffic.classes {
            for (range, load) in &class.loads {
                by_range[*range] = by_range[*range].plus(load.units.times(rate * class.share));
            }
            unique = unique.plus(class.unique.units.times(rate * class.share));
        }
        let by_range = by_range.into_iter().map(|units| units.part_of(PARTITION_LIMIT)).collect();
        Self { by_range, unique: unique.part_of(PARTITION_LIMIT) }
    }

    pub(super) fn of_range(&self, range: usize) -> f64 {
        self.by_range[range]
    }

    pub(super) fn of_unique_keys(&self) -> f64 {
        self.unique
    }
}

impl Topology {
    /// Equally wide partitions, as many as this throughput needs.
    pub(super) fn new(ranges: Vec<KeyRange>, throughput: Units) -> Self {
        let count = partitions_for(throughput);
        let partition = |index: u32| Partition {
            start: Position { hash: f64::from(index) / f64::from(count), sk: 0.0 },
            hot_seconds: 0.0,
            bytes: vec![0.0; ranges.len()],
            unique_bytes: 0.0,
        };
        Self { partitions: (0..count).map(partition).collect(), ranges }
    }

    pub(super) fn len(&self) -> usize {
        self.partitions.len()
    }

    /// The share of all hashes that a partition has.
    pub(super) fn width(&self, index: usize) -> f64 {
        self.end(index).hash - self.partitions[index].start.hash
    }

    /// The share of a range's traffic that goes to a partition.
    pub(super) fn traffic_share(&self, range: usize, index: usize) -> f64 {
        self.ranges[range].traffic_share(self.partitions[index].start, self.end(index))
    }

    /// The partitions of a range's traffic, each with its share.
    pub(super) fn partitions_of(&self, range: usize) -> Vec<(usize, f64)> {
        let shares = (0..self.len()).map(|index| (index, self.traffic_share(range, index)));
        shares.filter(|(_, share)| *share > 0.0).collect()
    }

    /// Adds bytes of a range, or of unique keys, to a partition.
    pub(super) fn store(&mut self, index: usize, range: Option<usize>, bytes: f64) {
        let partition = &mut self.partitions[index];
        match range {
            Some(range) => partition.bytes[range] += bytes,
            None => partition.unique_bytes += bytes,
        }
    }

    /// Splits the partitions that have been hot for some minutes, after `seconds` in which they were used like this per second.
    pub(super) fn split_hot(&mut self, seconds: f64, heat: &Heat, uses: &[Units]) {
        for (index, used) in uses.iter().enumerate().rev() {
            let partition = &mut self.partitions[index];
            let is_hot = used.part_of(PARTITION_LIMIT) >= HOT;
            partition.hot_seconds = if is_hot { partition.hot_seconds + seconds } else { 0.0 };
            if partition.hot_seconds < SPLIT_SECONDS {
                continue;
            }
            partition.hot_seconds = 0.0;
            let weight = |range: usize| heat.of_range(range) * self.traffic_share(range, index);
            let segments = self.segments(index, weight, heat.unique, |order| order == Order::Scattered);
            if let Some(point) = split_point(&segments, LARGEST_HALF) {
                self.split(index, point);
            }
        }
    }

    /// Splits the partitions that have reached their size.
    pub(super) fn split_large(&mut self) {
        for index in (0..self.len()).rev() {
            let partition = &self.partitions[index];
            if partition.bytes.iter().sum::<f64>() + partition.unique_bytes < PARTITION_BYTES {
                continue;
            }
            let density = partition.unique_bytes / self.width(index).max(f64::MIN_POSITIVE);
            let weight = |range: usize| partition.bytes[range];
            let segments = self.segments(index, weight, density, |order| order != Order::OneItem);
            if let Some(point) = split_point(&segments, 1.0) {
                self.split(index, point);
            }
        }
    }

    /// Splits the widest partitions until there are as many as this throughput needs.
    pub(super) fn grow(&mut self, throughput: Units) {
        let needed = partitions_for(throughput);
        while self.len() < needed as usize {
            let widths = (0..self.len()).map(|index| (index, self.width(index)));
            let Some((index, width)) = widths.max_by(|a, b| a.1.total_cmp(&b.1)) else { return };
            let hash = self.partitions[index].start.hash + width / 2.0;
            self.split(index, Position { hash, sk: 0.0 });
        }
    }

    fn split(&mut self, index: usize, point: Position) {
        let (start, end, width) = (self.partitions[index].start, self.end(index), self.width(index));
        let left_share = |range: &KeyRange| {
            let length = |start, end| range.overlap(start, end).map_or(0.0, |(lo, hi)| hi - lo);
            let (left, right) = (length(start, point), length(point, end));
            if left + right > 0.0 { left / (left + right) } else { 0.0 }
        };
        let shares: Vec<_> = self.ranges.iter().map(left_share).collect();
        let unique_share = if width > 0.0 { (point.hash - start.hash) / width } else { 0.0 };

        let left = &mut self.partitions[index];
        let right = Partition {
            start: point,
            hot_seconds: 0.0,
            bytes: left.bytes.iter().zip(&shares).map(|(bytes, share)| bytes * (1.0 - share)).collect(),
            unique_bytes: left.unique_bytes * (1.0 - unique_share),
        };
        left.hot_seconds = 0.0;
        left.bytes.iter_mut().zip(&shares).for_each(|(bytes, share)| *bytes *= share);
        left.unique_bytes *= unique_share;
        self.partitions.insert(index + 1, right);
    }

    /// The contents of a partition, in the order of keys. `density` is the weight of unique keys per share of all hashes.
    fn segments(
        &self,
        index: usize,
        weight: impl Fn(usize) -> f64,
        density: f64,
        divides: impl Fn(Order) -> bool,
    ) -> Vec<Segment> {
        let (start, end) = (self.partitions[index].start, self.end(index));
        let unique_keys = |from: f64, to: f64| Segment {
            start: Position { hash: from, sk: 0.0 },
            end: Position { hash: to, sk: 0.0 },
            weight: density * (to - from),
            is_divisible: true,
        };
        let mut segments = Vec::new();
        let mut hash = start.hash;
        for (index, range) in self.ranges.iter().enumerate() {
            let Some((lo, hi)) = range.overlap(start, end) else { continue };
            segments.push(unique_keys(hash, range.hash));
            hash = range.hash;
            segments.push(Segment {
                start: Position { hash, sk: lo },
                end: Position { hash, sk: hi },
                weight: weight(index),
                is_divisible: divides(range.order),
            });
        }
        segments.push(unique_keys(hash, end.hash));
        segments
    }

    fn end(&self, index: usize) -> Position {
        self.partitions.get(index + 1).map_or(Position { hash: 1.0, sk: 0.0 }, |next| next.start)
    }
}

/// The number of partitions that this throughput needs.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number")]
fn partitions_for(throughput: Units) -> u32 {
    throughput.part_of(PARTITION_LIMIT).ceil() as u32
}
