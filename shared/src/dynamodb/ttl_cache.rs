//! A cache of facts that a process has learned, so that a later request need not read them from the table.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

/// A bounded map whose entries expire. Uses wall time, because a sandbox may be frozen between two requests.
#[derive(Debug)]
pub(crate) struct TtlCache<K, V>(Mutex<HashMap<K, (DateTime<Utc>, V)>>);

impl<K: Eq + Hash, V: Clone> TtlCache<K, V> {
    const CAPACITY: usize = 10_000;

    /// The value under this key, unless it has expired at `now`.
    pub(crate) fn get(&self, key: &K, now: DateTime<Utc>) -> Option<V> {
        match self.entries().get(key) {
            Some((expires_at, value)) if now < *expires_at => Some(value.clone()),
            _ => None,
        }
    }

    /// Caches a value for this lifetime.
    pub(crate) fn insert(&self, key: K, value: V, now: DateTime<Utc>, lifetime: TimeDelta) {
        let mut entries = self.entries();
        if entries.len() >= Self::CAPACITY {
            entries.retain(|_, (expires_at, _)| now < *expires_at);
        }
        if entries.len() >= Self::CAPACITY {
            // Dropping all entries costs one read each; tracking their use would cost every request.
            entries.clear();
        }
        entries.insert(key, (now + lifetime, value));
    }

    /// Drops the value under this key.
    pub(crate) fn remove(&self, key: &K) {
        self.entries().remove(key);
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<K, (DateTime<Utc>, V)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V> Default for TtlCache<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIME: TimeDelta = TimeDelta::seconds(5);
    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    #[test]
    fn an_entry_expires() {
        let cache = TtlCache::default();
        cache.insert(0, "zero", NOW, LIFETIME);
        assert_eq!(cache.get(&0, NOW + TimeDelta::milliseconds(4_999)), Some("zero"));
        assert_eq!(cache.get(&0, NOW + LIFETIME), None);
    }

    #[test]
    fn a_removed_entry_is_gone() {
        let cache = TtlCache::default();
        cache.insert(0, "zero", NOW, LIFETIME);
        cache.insert(1, "one", NOW, LIFETIME);
        cache.remove(&0);
        assert_eq!((cache.get(&0, NOW), cache.get(&1, NOW)), (None, Some("one")));
    }

    #[test]
    fn the_number_of_entries_is_bounded() {
        let cache = TtlCache::default();
        for key in 0..=TtlCache::<usize, &str>::CAPACITY {
            cache.insert(key, "x", NOW, LIFETIME);
        }
        assert!(cache.entries().len() <= TtlCache::<usize, &str>::CAPACITY);
    }
}
