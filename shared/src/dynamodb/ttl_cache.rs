//! What a process remembers between requests, so that it need not ask the table again.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

/// A bounded map whose entries end. Wall time, since a sandbox may be frozen between two requests.
#[derive(Debug)]
pub(crate) struct TtlCache<K, V>(Mutex<HashMap<K, (DateTime<Utc>, V)>>);

impl<K: Eq + Hash, V: Clone> TtlCache<K, V> {
    const CAPACITY: usize = 10_000;

    /// What is remembered under this key at this moment.
    pub(crate) fn get(&self, key: &K, now: DateTime<Utc>) -> Option<V> {
        self.entries().get(key).filter(|(end, _)| now < *end).map(|(_, value)| value.clone())
    }

    /// Remembers a value for so long.
    pub(crate) fn put(&self, key: K, value: V, now: DateTime<Utc>, lifetime: TimeDelta) {
        let mut entries = self.entries();
        if entries.len() >= Self::CAPACITY {
            entries.retain(|_, (end, _)| now < *end);
        }
        if entries.len() >= Self::CAPACITY {
            // Forgetting everything costs a look-up each; keeping an order of use would cost every request.
            entries.clear();
        }
        entries.insert(key, (now + lifetime, value));
    }

    /// Forgets what is remembered under this key.
    pub(crate) fn forget(&self, key: &K) {
        self.entries().remove(key);
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, HashMap<K, (DateTime<Utc>, V)>> {
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

    #[test]
    fn an_entry_ends_and_the_map_is_bounded() {
        let memory = TtlCache::default();
        let now = DateTime::UNIX_EPOCH;
        memory.put(0, "zero", now, TimeDelta::seconds(5));
        assert_eq!(memory.get(&0, now + TimeDelta::milliseconds(4_999)), Some("zero"));
        assert_eq!(memory.get(&0, now + TimeDelta::seconds(5)), None);
        memory.put(1, "one", now, TimeDelta::seconds(5));
        memory.forget(&0);
        assert_eq!((memory.get(&0, now), memory.get(&1, now)), (None, Some("one")));
        for key in 0..=TtlCache::<i32, &str>::CAPACITY {
            memory.put(i32::try_from(key).unwrap(), "x", now, TimeDelta::seconds(5));
        }
        assert!(memory.entries().len() <= TtlCache::<i32, &str>::CAPACITY);
    }
}
