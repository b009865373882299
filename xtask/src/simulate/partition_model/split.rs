//! Where a partition is split.

use crate::simulate::traffic::Position;

/// A part of a partition.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub(super) start: Position,
    pub(super) end: Position,
    /// Its heat or its bytes.
    pub(super) weight: f64,
    /// Whether a split within it divides the weight.
    pub(super) is_divisible: bool,
}

/// The position that divides the weight of these segments best; `None` if one side would keep more than `largest` of it.
pub(super) fn split_point(segments: &[Segment], largest: f64) -> Option<Position> {
    let total: f64 = segments.iter().map(|segment| segment.weight).sum();
    let mut before = 0.0;
    for segment in segments {
        let after = before + segment.weight;
        if after >= total / 2.0 && segment.weight > 0.0 {
            if segment.is_divisible {
                return Some(segment.at((total / 2.0 - before) / segment.weight));
            }
            let (point, left) = if before >= total - after { (segment.start, before) } else { (segment.end, after) };
            let larger = left.max(total - left);
            return if larger < total && larger <= largest * total { Some(point) } else { None };
        }
        before = after;
    }
    None
}

impl Segment {
    /// The position at this fraction of it.
    fn at(&self, fraction: f64) -> Position {
        let Self { start, end, .. } = self;
        if end.hash > start.hash {
            Position { hash: start.hash + fraction * (end.hash - start.hash), sk: 0.0 }
        } else {
            Position { hash: start.hash, sk: start.sk + fraction * (end.sk - start.sk) }
        }
    }
}
