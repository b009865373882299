//! Rate limits: requests per second with a burst, counted by the generic cell rate algorithm (GCRA).
//!
//! A limit is a bucket of `burst` requests which fills at `requests_per_second`. All that has to be known of a bucket is the
//! time at which it is full again, `full_at` (the "theoretical arrival time" of GCRA): a request makes it later by the time
//! that the bucket takes to gain one request, and a bucket whose time has come is full. There is no counter that has to be
//! reset, and no timer.
//!
//! [`Usage`] is what a number of admitted requests do to `full_at`. Two usages combine to one, so requests can be counted in
//! one place and added to the bucket later, with the same result as if each had been added when it came.

use std::num::NonZeroU32;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::InvalidValue;

/// A limit of requests per second, with a burst.
///
/// ```
/// # use shared::domain::RateLimit;
/// let limit = RateLimit::new(5, None)?;
/// assert_eq!((limit.requests_per_second(), limit.burst()), (5, 50));
/// assert_eq!(RateLimit::new(5, Some(1))?.burst(), 1);
/// assert!(RateLimit::new(0, None).is_err());
/// # Ok::<_, shared::domain::InvalidValue>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimit {
    requests_per_second: NonZeroU32,
    burst: NonZeroU32,
}

impl RateLimit {
    /// The most requests per second of a limit.
    pub const MAX_RATE: u32 = 10_000;
    /// The largest burst.
    pub const MAX_BURST: u32 = 100_000;
    /// The seconds that a default burst is worth: a client that sends its requests in batches is limited by its average, as
    /// long as it sends a batch every few seconds.
    const DEFAULT_BURST_SECONDS: u32 = 10;

    /// A limit; without a burst, the burst is what ten seconds allow.
    ///
    /// # Errors
    /// A rate of 0 or more than [`RateLimit::MAX_RATE`], or a burst of 0 or more than [`RateLimit::MAX_BURST`].
    pub fn new(requests_per_second: u32, burst: Option<u32>) -> Result<Self, InvalidValue> {
        let requests_per_second = in_range(requests_per_second, Self::MAX_RATE)?;
        let default_burst = requests_per_second.get() * Self::DEFAULT_BURST_SECONDS;
        let burst = in_range(burst.unwrap_or(default_burst), Self::MAX_BURST)?;
        Ok(Self { requests_per_second, burst })
    }

    /// The requests per second that are allowed in the long run.
    pub fn requests_per_second(self) -> u32 {
        self.requests_per_second.get()
    }

    /// The requests that are allowed at once.
    pub fn burst(self) -> u32 {
        self.burst.get()
    }

    /// The time in which the bucket gains one request, to the microsecond, rounded up.
    pub fn cost(self) -> TimeDelta {
        const SECOND: u32 = 1_000_000;
        TimeDelta::microseconds(SECOND.div_ceil(self.requests_per_second()).into())
    }

    /// The time in which an empty bucket becomes full.
    pub fn window(self) -> TimeDelta {
        TimeDelta::microseconds(micros(self.cost()) * i64::from(self.burst()))
    }

    /// The time until the bucket holds one request; zero if it holds one now.
    pub fn wait(self, full_at: DateTime<Utc>, now: DateTime<Utc>) -> TimeDelta {
        (full_at.max(now) + self.cost() - self.window() - now).max(TimeDelta::zero())
    }

    /// The requests that the bucket holds.
    pub fn remaining(self, full_at: DateTime<Utc>, now: DateTime<Utc>) -> u32 {
        let free = now + self.window() - full_at.max(now);
        let requests = micros(free).max(0) / micros(self.cost());
        u32::try_from(requests).unwrap_or(u32::MAX)
    }
}

/// The effect of admitted requests on the time at which a bucket is full.
///
/// Each request of cost `c` that comes at `t` makes the bucket full at `max(full_at, t) + c`. Any number of such steps, one
/// after the other, is `max(full_at + cost, own_full_at)`: `cost` is the sum of the costs, and `own_full_at` the time at
/// which a bucket would be full that was used by these requests alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    cost: TimeDelta,
    own_full_at: DateTime<Utc>,
}

impl Usage {
    /// No requests.
    pub const NONE: Self = Self { cost: TimeDelta::zero(), own_full_at: DateTime::<Utc>::MIN_UTC };

    /// One request.
    pub fn request(limit: RateLimit, now: DateTime<Utc>) -> Self {
        Self { cost: limit.cost(), own_full_at: now + limit.cost() }
    }

    /// These requests, and later ones.
    #[must_use]
    pub fn then(self, later: Self) -> Self {
        Self { cost: self.cost + later.cost, own_full_at: later.apply(self.own_full_at) }
    }

    /// The time at which a bucket is full after these requests, if it was full at `full_at` before.
    pub fn apply(self, full_at: DateTime<Utc>) -> DateTime<Utc> {
        (full_at + self.cost).max(self.own_full_at)
    }

    /// The sum of the costs.
    pub fn cost(self) -> TimeDelta {
        self.cost
    }

    /// The earliest `full_at` to which these requests add their whole cost. A bucket that was full before them gains nothing
    /// while it is full, so that its `full_at` becomes that of these requests alone.
    pub fn adds_from(self) -> DateTime<Utc> {
        self.own_full_at.checked_sub_signed(self.cost).unwrap_or(DateTime::<Utc>::MIN_UTC)
    }

    /// The same requests without a part of their cost.
    #[must_use]
    pub fn less(self, cost: TimeDelta) -> Self {
        Self { cost: (self.cost - cost).max(TimeDelta::zero()), ..self }
    }
}

fn in_range(number: u32, max: u32) -> Result<NonZeroU32, InvalidValue> {
    match NonZeroU32::new(number) {
        Some(number) if number.get() <= max => Ok(number),
        _ => Err(InvalidValue::OutOfRange { min: 1, max }),
    }
}

fn micros(duration: TimeDelta) -> i64 {
    duration.num_microseconds().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_700_000_000_000 + millis).unwrap()
    }

    fn limits() -> impl Strategy<Value = RateLimit> {
        (1_u32..=200, 1_u32..=50).prop_map(|(rate, burst)| RateLimit::new(rate, Some(burst)).unwrap())
    }

    /// Arrival times in their order.
    fn arrivals() -> impl Strategy<Value = Vec<DateTime<Utc>>> {
        prop::collection::vec(0_i64..200, 1..200).prop_map(|gaps| {
            let mut millis = 0;
            gaps.into_iter()
                .map(|gap| {
                    millis += gap;
                    at(millis)
                })
                .collect()
        })
    }

    /// The arrivals that a bucket admits, and the time at which it is full afterwards.
    fn admitted(limit: RateLimit, arrivals: &[DateTime<Utc>]) -> (Vec<DateTime<Utc>>, DateTime<Utc>) {
        let (mut admitted, mut full_at) = (Vec::new(), DateTime::<Utc>::MIN_UTC);
        for now in arrivals {
            if limit.wait(full_at, *now).is_zero() {
                full_at = Usage::request(limit, *now).apply(full_at);
                admitted.push(*now);
            }
        }
        (admitted, full_at)
    }

    proptest! {
        #[test]
        fn no_period_admits_more_than_the_burst_and_the_rate(limit in limits(), arrivals in arrivals()) {
            let (admitted, _) = admitted(limit, &arrivals);
            for (first, start) in admitted.iter().enumerate() {
                for (last, end) in admitted.iter().enumerate().skip(first) {
                    let allowed = (limit.window() + (*end - *start)).num_microseconds().unwrap()
                        / limit.cost().num_microseconds().unwrap();
                    let count = i64::try_from(last - first + 1).unwrap();
                    prop_assert!(count <= allowed, "{count} requests between {start} and {end} by {limit:?}");
                }
            }
        }

        #[test]
        fn a_request_is_admitted_once_it_has_waited(limit in limits(), arrivals in arrivals()) {
            let (_, full_at) = admitted(limit, &arrivals);
            let now = *arrivals.last().unwrap();
            let wait = limit.wait(full_at, now);
            prop_assert_eq!(limit.wait(full_at, now + wait), TimeDelta::zero());
            prop_assert_eq!(wait.is_zero(), limit.remaining(full_at, now) > 0);
            prop_assert!(limit.remaining(full_at, now) <= limit.burst());
        }

        #[test]
        fn usage_that_is_added_later_has_the_effect_of_each_request(
            limit in limits(), arrivals in arrivals(), split in 0_usize..200, before in -5_000_i64..5_000,
        ) {
            let stored = at(before);
            let one_by_one = arrivals.iter().fold(stored, |full_at, now| Usage::request(limit, *now).apply(full_at));
            let sum = |arrivals: &[DateTime<Utc>]| {
                arrivals.iter().fold(Usage::NONE, |usage, now| usage.then(Usage::request(limit, *now)))
            };
            let (first, second) = arrivals.split_at(split.min(arrivals.len()));
            let usage = sum(first).then(sum(second));
            prop_assert_eq!(usage.apply(stored), one_by_one);
            if stored >= usage.adds_from() {
                prop_assert_eq!(stored + usage.cost(), one_by_one);
            } else {
                prop_assert_eq!(usage.apply(DateTime::<Utc>::MIN_UTC), one_by_one);
            }
        }
    }

    #[test]
    fn a_bucket_is_full_after_its_window() {
        let limit = RateLimit::new(4, Some(8)).unwrap();
        assert_eq!((limit.cost(), limit.window()), (TimeDelta::milliseconds(250), TimeDelta::seconds(2)));
        let empty = at(0) + limit.window();
        assert_eq!((limit.remaining(empty, at(0)), limit.wait(empty, at(0))), (0, limit.cost()));
        assert_eq!((limit.remaining(empty, at(250)), limit.wait(empty, at(250))), (1, TimeDelta::zero()));
        assert_eq!(limit.remaining(empty, at(2_000)), 8);
        assert_eq!(limit.remaining(empty, at(60_000)), 8);
    }

    #[test]
    fn a_rate_and_a_burst_have_bounds() {
        for (rate, burst, valid) in [
            (1, Some(1), true),
            (RateLimit::MAX_RATE, None, true),
            (RateLimit::MAX_RATE, Some(RateLimit::MAX_BURST), true),
            (0, None, false),
            (RateLimit::MAX_RATE + 1, None, false),
            (1, Some(0), false),
            (1, Some(RateLimit::MAX_BURST + 1), false),
        ] {
            assert_eq!(RateLimit::new(rate, burst).is_ok(), valid, "{rate} {burst:?}");
        }
    }
}
