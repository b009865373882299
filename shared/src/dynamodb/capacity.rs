//! The calls of one request and the capacity that they consume.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;

/// The database cost of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ConsumedCapacity {
    /// Calls sent, retries included.
    pub calls: u32,
    /// Round trips: periods with at least one call in flight.
    pub rounds: u32,
    /// Read capacity units, as DynamoDB reported them.
    pub read_units: f64,
    /// Write capacity units, as DynamoDB reported them.
    pub write_units: f64,
    /// Calls that DynamoDB throttled, as a whole or in part.
    pub throttles: u32,
    in_flight: u32,
}

/// The capacity that a call consumed, in the body of its response.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CapacityBody {
    #[serde(default)]
    capacity_units: f64,
}

/// Counts the calls of one request and the capacity they consume.
#[derive(Debug, Clone, Default)]
pub struct CapacityMeter(Arc<Mutex<ConsumedCapacity>>);

impl CapacityMeter {
    /// The cost so far.
    pub fn consumed_capacity(&self) -> ConsumedCapacity {
        *self.lock()
    }

    /// Counts one call, which is in flight until the guard is dropped.
    pub(super) fn begin_call(&self) -> CallInFlight<'_> {
        let mut consumed = self.lock();
        consumed.calls += 1;
        consumed.rounds += u32::from(consumed.in_flight == 0);
        consumed.in_flight += 1;
        CallInFlight(self)
    }

    /// Adds the capacity that a read reported.
    pub(super) fn add_reads<'a>(&self, reported: impl IntoIterator<Item = &'a CapacityBody>) {
        self.lock().read_units += units(reported);
    }

    /// Adds the capacity that a write reported.
    pub(super) fn add_writes<'a>(&self, reported: impl IntoIterator<Item = &'a CapacityBody>) {
        self.lock().write_units += units(reported);
    }

    /// Counts a call that DynamoDB has throttled.
    pub(super) fn add_throttle(&self) {
        self.lock().throttles += 1;
    }

    fn lock(&self) -> MutexGuard<'_, ConsumedCapacity> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn units<'a>(reported: impl IntoIterator<Item = &'a CapacityBody>) -> f64 {
    reported.into_iter().map(|reported| reported.capacity_units).sum()
}

/// A call without its response yet; counted as in flight until it is dropped.
pub(super) struct CallInFlight<'a>(&'a CapacityMeter);

impl Drop for CallInFlight<'_> {
    fn drop(&mut self) {
        self.0.lock().in_flight -= 1;
    }
}
