//! What an on-demand table takes per second.

use super::TableSettings;
use crate::simulate::parameters::{BURST_SECONDS, GROWTH, PEAK_AGE};
use crate::simulate::traffic::Units;

/// The throughput of a table, which follows what has been used.
pub(super) struct Allowance {
    settings: TableSettings,
    time: f64,
    /// The peak per second up to the end of each step.
    peaks: Vec<(f64, Units)>,
    /// Unused units that can be used later.
    burst: Units,
}

impl Allowance {
    /// That of a table which has not been used.
    pub(super) fn new(settings: TableSettings) -> Self {
        Self { settings, time: 0.0, peaks: Vec::new(), burst: Units::default() }
    }

    /// The units per second, apart from bursts.
    pub(super) fn per_second(&self) -> Units {
        let previous = self.peaks.partition_point(|(time, _)| *time <= self.time - PEAK_AGE);
        let peak = self.peaks[..previous].last().map_or(Units::default(), |(_, peak)| *peak);
        let Units { reads, writes } = self.settings.warm.zip(peak.times(GROWTH), f64::max);
        Units { reads, writes: writes.min(self.settings.max_writes) }
    }

    /// The units per second that can be used in the next `seconds`.
    pub(super) fn available(&self, seconds: f64) -> Units {
        self.per_second().plus(self.burst.times(1.0 / seconds))
    }

    /// Lets `seconds` pass, in which this was used per second.
    pub(super) fn pass(&mut self, seconds: f64, used: Units) {
        let allowed = self.per_second();
        let unused = allowed.zip(used, |allowed, used| (allowed - used) * seconds);
        let most = allowed.times(BURST_SECONDS);
        self.burst = self.burst.plus(unused).zip(most, |burst, most| burst.clamp(0.0, most));
        self.time += seconds;
        let peak = self.peaks.last().map_or(used, |(_, peak)| peak.zip(used, f64::max));
        self.peaks.push((self.time, peak));
    }
}
