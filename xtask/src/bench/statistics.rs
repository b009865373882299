//! Summaries of samples.

use serde::Serialize;

/// A summary of samples that holds no mean: a few blocks of a busy machine would move it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Summary {
    pub(super) median: f64,
    /// The median of the absolute deviations from the median.
    pub(super) mad: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Summary {
    /// The summary of samples in any order; `None` without samples.
    pub(super) fn of(samples: &[f64]) -> Option<Self> {
        let median = quantile(samples, 0.5)?;
        let deviations: Vec<_> = samples.iter().map(|sample| (sample - median).abs()).collect();
        Some(Self {
            median,
            mad: quantile(&deviations, 0.5)?,
            min: samples.iter().copied().fold(f64::INFINITY, f64::min),
            max: samples.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        })
    }

    /// The summary of the ratios of two series of samples that were taken in turns: the n-th of one is divided by the n-th of
    /// the other, which was taken in the same round.
    pub(super) fn of_ratios(dividends: &[f64], divisors: &[f64]) -> Option<Self> {
        let ratios: Vec<_> = dividends.iter().zip(divisors).map(|(dividend, divisor)| dividend / divisor).collect();
        Self::of(&ratios)
    }
}

/// The value below which a share of the samples lies, interpolated between the two nearest samples; `None` without samples.
pub(super) fn quantile(samples: &[f64], share: f64) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let position = share * to_f64(last);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a position in the samples")]
    let below = (position.floor() as usize).min(last);
    let above = (below + 1).min(last);
    Some(sorted[below] + (sorted[above] - sorted[below]) * (position - to_f64(below)))
}

/// A count as a floating-point number.
#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^52")]
pub(super) fn to_f64(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outlier_moves_only_the_maximum() {
        let summary = Summary::of(&[3.0, 1.0, 2.0, 4.0, 1000.0]);
        assert_eq!(summary, Some(Summary { median: 3.0, mad: 1.0, min: 1.0, max: 1000.0 }));
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn ratios_are_taken_block_by_block() {
        // The second block met a busy machine: both are twice as slow, and their ratio is the same.
        let summary = Summary::of_ratios(&[3.0, 6.0, 3.3], &[2.0, 4.0, 2.0]).unwrap();
        assert_eq!((summary.median, summary.min), (1.5, 1.5));
    }

    #[test]
    fn a_quantile_lies_between_the_nearest_samples() {
        let samples = [40.0, 10.0, 30.0, 20.0];
        assert_eq!(quantile(&samples, 0.0), Some(10.0));
        assert_eq!(quantile(&samples, 0.5), Some(25.0));
        assert_eq!(quantile(&samples, 1.0), Some(40.0));
    }
}
