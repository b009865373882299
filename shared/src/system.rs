//! The system's clock and its source of randomness, and nothing else of the system.
//!
//! `domain` neither reads a clock nor draws random numbers: it is given a timestamp or random bytes. Both come from here,
//! and what is stored gets them through [`App`](crate::App), so that a test can replace them.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::{Builder, Uuid};

use crate::domain::Clock;

/// The system's clock.
pub fn clock() -> Clock {
    Clock::new(Utc::now)
}

/// The system's source of randomness, which is cryptographically secure.
pub fn rng() -> Rng {
    Rng::new(|bytes| getrandom::fill(bytes).map_err(|_| RngError))
}

/// Error of a system that provides no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system provides no random bytes")]
pub struct RngError;

/// A source of random bytes.
#[derive(Clone)]
pub struct Rng(Arc<Fill>);

type Fill = dyn Fn(&mut [u8]) -> Result<(), RngError> + Send + Sync;

impl Rng {
    /// A source that fills buffers by this function.
    pub fn new(fill: impl Fn(&mut [u8]) -> Result<(), RngError> + Send + Sync + 'static) -> Self {
        Self(Arc::new(fill))
    }

    /// `N` random bytes.
    ///
    /// # Errors
    /// [`RngError`] if the system provides none. No secret must be created then.
    pub fn bytes<const N: usize>(&self) -> Result<[u8; N], RngError> {
        let mut bytes = [0; N];
        (self.0)(&mut bytes)?;
        Ok(bytes)
    }

    /// A random UUID (RFC 9562 §5.4).
    ///
    /// # Panics
    /// Without randomness, as the constructors of the `uuid` crate do: no request can be served then.
    pub fn uuid_v4(&self) -> Uuid {
        Builder::from_random_bytes(self.id_bytes()).into_uuid()
    }

    /// A UUID of this timestamp, to the millisecond, which sorts by it (RFC 9562 §5.7).
    ///
    /// # Panics
    /// As [`Rng::uuid_v4`].
    pub fn uuid_v7(&self, now: DateTime<Utc>) -> Uuid {
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
        Builder::from_unix_timestamp_millis(millis, &self.id_bytes()).into_uuid()
    }

    #[expect(
        clippy::expect_used,
        reason = "no request can be served without ids; the pipeline turns a panic into a 500"
    )]
    fn id_bytes<const N: usize>(&self) -> [u8; N] {
        self.bytes().expect("the system provides random bytes")
    }
}

impl fmt::Debug for Rng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rng(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time;

    #[test]
    fn ids_consist_of_the_timestamp_and_the_random_bytes() {
        let rng = Rng::new(|bytes| {
            bytes.fill(0xab);
            Ok(())
        });
        let now = time::parse("2024-10-06T12:00:00.123Z").unwrap();
        assert_eq!(rng.uuid_v4().to_string(), "abababab-abab-4bab-abab-abababababab");
        assert_eq!(rng.uuid_v7(now).to_string(), "019261b3-667b-7bab-abab-abababababab");
    }

    #[test]
    fn the_system_provides_different_bytes_each_time() {
        assert_ne!(rng().bytes::<16>(), rng().bytes::<16>());
    }

    #[test]
    fn a_source_without_randomness_is_an_error() {
        let empty = Rng::new(|_| Err(RngError));
        assert_eq!(empty.bytes::<24>(), Err(RngError));
    }
}
