//! Keys that are read from elsewhere, cached, and read again as they rotate: the JWKS of a token issuer, or a secret in
//! Secrets Manager.
//!
//! **Problem.** A read takes milliseconds to seconds and can fail, so that no request should wait for one. A key that was
//! withdrawn has to stop working within a stated time, also in a process that has been idle for hours. A new key has to work
//! at once. Anyone can send tokens with bad signatures, and these must not become reads.
//!
//! **Approach.** What a request does depends on the age of the keys, and on whether one of them fits its token:
//!
//! | keys | a key fits | no key fits |
//! | --- | --- | --- |
//! | younger than the lifetime | used | read, if they are 10 s old |
//! | up to twice the lifetime | used, and read behind the request | read, if they are 10 s old |
//! | older, or never read | read | read |
//!
//! "Read" means that the request waits. One read runs at a time; the requests that wait share its outcome, be it keys or a
//! failure. After a failure there is no attempt for 10 s, or for 1 s while there are no keys to use. A source decides what
//! happens to keys that are too old and cannot be read ([`KeySource::KEEPS_LAST_KEYS`]).
//!
//! *Behind the request* is a task of its own, which the response does not wait for. On Lambda the process may be frozen as
//! soon as the response is sent, and then the task goes on with the next invocation, minutes or hours later. A read
//! therefore counts from its beginning: keys that arrive after such a pause are as old as they are, and a failure in it is as
//! old as its time limit. In both cases the next request reads again.
//!
//! **Rejected.**
//! - Joining the refresh before the response: one request per lifetime would wait for it.
//! - A timer: it does not run in a frozen process, and it reads for processes that get no tokens.
//! - Using keys of any age while the refresh runs: after an idle night, one request would be checked with the keys of the
//!   day before.
//!
//! **If this is changed.** docs/operations.md states the times after which a withdrawn key stops working and a new one works.

use std::fmt::Display;
use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Mutex;
use tokio::time::timeout;
use tracing::Instrument;

use super::AuthError;
use crate::domain::Clock;
use crate::trace::{self, Trace};

/// The shortest time between two reads, if no key fits a token or the last read failed.
const REFRESH_INTERVAL: TimeDelta = TimeDelta::seconds(10);
/// The shortest time between two reads while there are no keys to use.
const RETRY_INTERVAL: TimeDelta = TimeDelta::seconds(1);
/// The time limit of a read.
const READ_TIMEOUT: Duration = Duration::from_secs(2);

/// The end of the name of the alarm that a failed read sets off. A metric filter of the template counts the log lines that
/// name it.
pub const UNREADABLE_KEYS_ALARM: &str = "unreadable-keys";

/// Where keys are read from.
pub(super) trait KeySource: Send + Sync + 'static {
    /// A key that verifies signatures.
    type Key: Send + Sync;
    /// The reason why the keys cannot be read. Its text holds no secret.
    type Error: Display;
    /// The message of a failed read, which says what to check.
    const FAILURE: &'static str;
    /// Whether the last keys are used without a limit of time while no newer ones can be read.
    const KEEPS_LAST_KEYS: bool;

    /// Reads all keys.
    fn read(&self) -> impl Future<Output = Result<Vec<Self::Key>, Self::Error>> + Send;
}

/// The keys of a source, shared by all requests of a process.
pub(super) struct RefreshedKeys<S: KeySource>(Arc<State<S>>);

struct State<S: KeySource> {
    source: S,
    lifetime: TimeDelta,
    clock: Clock,
    snapshot: RwLock<Arc<Snapshot<S::Key>>>,
    /// Locked during a read.
    reading: Arc<Mutex<()>>,
}

/// The outcome of the reads so far.
struct Snapshot<K> {
    keys: Arc<[K]>,
    /// The beginning of the read that brought the keys; `None` before the first.
    read_at: Option<DateTime<Utc>>,
    /// The time of the last read, if it failed.
    failed_at: Option<DateTime<Utc>>,
}

/// What a request does next.
enum Step {
    /// Uses the keys.
    Use,
    /// Uses the keys, and starts a read behind the request.
    UseAndRefresh,
    /// Waits for a read.
    Read,
    /// Gives up.
    Fail,
}

/// The age of keys.
enum Freshness {
    /// Younger than the lifetime.
    Fresh,
    /// May be used, and should be read again.
    Stale,
    /// Must not be used.
    Expired,
}

impl<S: KeySource> RefreshedKeys<S> {
    /// The keys of a source, which are read again when they are older than `lifetime`, and not used when they are older than
    /// twice that. Reads nothing yet.
    pub(super) fn new(source: S, lifetime: TimeDelta, clock: Clock) -> Self {
        let snapshot = Snapshot { keys: Arc::new([]), read_at: None, failed_at: None };
        Self(Arc::new(State {
            source,
            lifetime,
            clock,
            snapshot: RwLock::new(Arc::new(snapshot)),
            reading: Arc::default(),
        }))
    }

    /// What `matching` makes of the first key that fits; `None` if none does.
    ///
    /// # Errors
    /// [`AuthError::KeysUnavailable`] if there are no keys that may be used, and they cannot be read.
    pub(super) async fn find<T>(&self, matching: impl Fn(&S::Key) -> Option<T>) -> Result<Option<T>, AuthError> {
        loop {
            let snapshot = self.0.snapshot();
            let found = snapshot.keys.iter().find_map(&matching);
            match self.0.next_step(&snapshot, found.is_some()) {
                Step::Use => return Ok(found),
                Step::UseAndRefresh => {
                    self.refresh_behind_request(&snapshot);
                    return Ok(found);
                }
                Step::Read => {
                    let _reading = self.0.reading.lock().await;
                    self.0.read_unless_changed(&snapshot).await;
                }
                Step::Fail => return Err(AuthError::KeysUnavailable),
            }
        }
    }

    /// Reads the keys in a task of its own, unless a read is running.
    fn refresh_behind_request(&self, seen: &Arc<Snapshot<S::Key>>) {
        let Ok(reading) = self.0.reading.clone().try_lock_owned() else { return };
        let (state, seen) = (self.0.clone(), seen.clone());
        let refresh = async move {
            state.read_unless_changed(&seen).await;
            drop(reading);
        };
        tokio::spawn(trace::in_scope(Trace::current(), refresh.in_current_span()));
    }
}

impl<S: KeySource> State<S> {
    fn snapshot(&self) -> Arc<Snapshot<S::Key>> {
        self.snapshot.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn next_step(&self, snapshot: &Snapshot<S::Key>, key_fits: bool) -> Step {
        let now = self.clock.now();
        let is_older = |than: TimeDelta| snapshot.read_at.is_none_or(|read_at| now - read_at >= than);
        let freshness = self.freshness(snapshot, now);
        let interval = if let Freshness::Expired = freshness { RETRY_INTERVAL } else { REFRESH_INTERVAL };
        let may_read = snapshot.failed_at.is_none_or(|failed_at| now - failed_at >= interval);
        match freshness {
            Freshness::Expired if may_read => Step::Read,
            Freshness::Expired => Step::Fail,
            Freshness::Fresh | Freshness::Stale if !key_fits && may_read && is_older(REFRESH_INTERVAL) => Step::Read,
            Freshness::Stale if may_read => Step::UseAndRefresh,
            Freshness::Fresh | Freshness::Stale => Step::Use,
        }
    }

    fn freshness(&self, snapshot: &Snapshot<S::Key>, now: DateTime<Utc>) -> Freshness {
        let Some(read_at) = snapshot.read_at else { return Freshness::Expired };
        let age = now - read_at;
        if age < self.lifetime {
            Freshness::Fresh
        } else if age < self.lifetime * 2 || (S::KEEPS_LAST_KEYS && snapshot.failed_at.is_some()) {
            Freshness::Stale
        } else {
            Freshness::Expired
        }
    }

    /// Reads the keys, unless another read has ended since `seen`. The caller holds the lock `reading`.
    async fn read_unless_changed(&self, seen: &Arc<Snapshot<S::Key>>) {
        if !Arc::ptr_eq(seen, &self.snapshot()) {
            return;
        }
        let begun_at = self.clock.now();
        let reason = match timeout(READ_TIMEOUT, self.source.read()).await {
            Ok(Ok(keys)) => {
                return self.replace(Snapshot { keys: keys.into(), read_at: Some(begun_at), failed_at: None });
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the response did not arrive in time".to_owned(),
        };
        tracing::error!(reason, alarm = UNREADABLE_KEYS_ALARM, "{}", S::FAILURE);
        // In a process that was frozen meanwhile, the read would have ended by its time limit.
        let failed_at = self.clock.now().min(begun_at + READ_TIMEOUT);
        self.replace(Snapshot { keys: seen.keys.clone(), read_at: seen.read_at, failed_at: Some(failed_at) });
    }

    fn replace(&self, snapshot: Snapshot<S::Key>) {
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
    }
}
