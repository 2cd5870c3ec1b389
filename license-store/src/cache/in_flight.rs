//! Loads in flight: callers that miss the same key share one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use license_core::store::StoreError;
use tokio::sync::watch;

use super::source::CacheSource;

/// Result of a load, with the part of the record that it was for.
type LoadResult<S> = Result<(Option<<S as CacheSource>::Value>, <S as CacheSource>::Part), Arc<StoreError>>;

/// One load.
pub(super) struct Load<S: CacheSource> {
    /// `None` if the record is not known to be large, so that the load is for all callers.
    part: Option<S::Part>,
    epoch: u64,
    result: watch::Sender<Option<LoadResult<S>>>,
}

impl<S: CacheSource> Load<S> {
    /// Returns the epoch of the entries at its start.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Waits for the result.
    pub(super) async fn result(&self) -> LoadResult<S> {
        let mut result = self.result.subscribe();
        match result.wait_for(Option::is_some).await.map(|result| result.clone()) {
            Ok(Some(result)) => result,
            // Cannot happen while the sender is alive.
            Ok(None) | Err(_) => Err(Arc::new(cut_short())),
        }
    }
}

fn cut_short() -> StoreError {
    StoreError::Unavailable { source: "a load was cut short".into() }
}

type Loads<S> = HashMap<<S as CacheSource>::Key, Vec<Arc<Load<S>>>>;

/// The loads that callers can join and whose result can be stored. A discarded load answers only the callers
/// that joined before.
pub(super) struct InFlight<S: CacheSource>(Mutex<Loads<S>>);

/// Ends a load when dropped, also if the store panics.
pub(super) struct LoadGuard<'a, S: CacheSource> {
    in_flight: &'a InFlight<S>,
    key: &'a S::Key,
    load: &'a Arc<Load<S>>,
}

impl<S: CacheSource> Drop for LoadGuard<'_, S> {
    fn drop(&mut self) {
        let Self { in_flight, key, load } = self;
        remove(&mut in_flight.loads(), key, load);
        load.result.send_if_modified(|result| {
            let is_open = result.is_none();
            if is_open {
                *result = Some(Err(Arc::new(cut_short())));
            }
            is_open
        });
    }
}

/// Removes a load. Returns whether it was there.
fn remove<S: CacheSource>(loads: &mut Loads<S>, key: &S::Key, load: &Arc<Load<S>>) -> bool {
    let Some(of_key) = loads.get_mut(key) else { return false };
    let Some(index) = of_key.iter().position(|other| Arc::ptr_eq(other, load)) else { return false };
    of_key.swap_remove(index);
    if of_key.is_empty() {
        loads.remove(key);
    }
    true
}

impl<S: CacheSource> InFlight<S> {
    pub(super) fn new() -> Self {
        Self(Mutex::default())
    }

    fn loads(&self) -> MutexGuard<'_, Loads<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the load to wait for, and whether the caller has to start it. Loads of an earlier epoch are
    /// discarded.
    pub(super) fn join(&self, key: &S::Key, part: Option<S::Part>, epoch: u64) -> (Arc<Load<S>>, bool) {
        let mut loads = self.loads();
        let of_key = loads.entry(*key).or_default();
        of_key.retain(|load| load.epoch >= epoch);
        if let Some(load) = of_key.iter().find(|load| load.part == part) {
            return (Arc::clone(load), false);
        }
        let load = Arc::new(Load { part, epoch, result: watch::Sender::new(None) });
        of_key.push(Arc::clone(&load));
        (load, true)
    }

    /// Returns a guard that ends the load.
    pub(super) fn guard<'a>(&'a self, key: &'a S::Key, load: &'a Arc<Load<S>>) -> LoadGuard<'a, S> {
        LoadGuard { in_flight: self, key, load }
    }

    /// Answers all callers. Calls `store` with the result unless the load was discarded; no invalidation can
    /// happen in between.
    pub(super) fn finish(
        &self,
        key: &S::Key,
        load: &Arc<Load<S>>,
        result: Result<(Option<S::Value>, S::Part), StoreError>,
        store: impl FnOnce(Option<&S::Value>, &S::Part),
    ) {
        {
            let mut loads = self.loads();
            if remove(&mut loads, key, load)
                && let Ok((found, part)) = &result
            {
                store(found.as_ref(), part);
            }
        }
        load.result.send_replace(Some(result.map_err(Arc::new)));
    }

    /// Discards the loads of a changed key, and calls `invalidate` before any load can be stored.
    pub(super) fn discard(&self, key: &S::Key, invalidate: impl FnOnce()) {
        let mut loads = self.loads();
        loads.remove(key);
        invalidate();
    }
}
