//! Reads of the store that are under way: one for all who ask for the same license.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use license_core::key::KeyDigest;
use license_core::store::StoreError;
use license_core::verdict::{Claim, Standing};
use tokio::sync::watch;

/// What was read, and for which claim.
type Read = Result<(Option<Standing>, Claim), Arc<StoreError>>;

/// One read of the store.
#[derive(Debug)]
pub(super) struct Load {
    /// For this claim alone, where the license is known to have many bindings.
    claim: Option<Claim>,
    /// How often all was doubted before it began.
    doubts: u64,
    read: watch::Sender<Option<Read>>,
}

impl Load {
    /// How often all was doubted before it began.
    pub(super) fn doubts(&self) -> u64 {
        self.doubts
    }

    /// Waits for what is read.
    pub(super) async fn result(&self) -> Read {
        let mut read = self.read.subscribe();
        match read.wait_for(Option::is_some).await.map(|read| read.clone()) {
            Ok(Some(read)) => read,
            // Not while `self.read` is there.
            Ok(None) | Err(_) => Err(Arc::new(cut_short())),
        }
    }
}

fn cut_short() -> StoreError {
    StoreError::Unavailable { source: "a read was cut short".into() }
}

/// The reads that are under way. One that a change has overtaken, or that is doubted by one who asks, is taken out, so that it
/// is neither joined nor kept.
#[derive(Debug, Default)]
pub(super) struct Loads(Mutex<Running>);

type Running = HashMap<KeyDigest, Vec<Arc<Load>>>;

/// See [`Loads::ended`].
pub(super) struct Ended<'a> {
    loads: &'a Loads,
    digest: &'a KeyDigest,
    load: &'a Arc<Load>,
}

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        let Self { loads, digest, load } = self;
        Loads::take_out(&mut loads.running(), digest, load);
        load.read.send_if_modified(|read| {
            let is_open = read.is_none();
            if is_open {
                *read = Some(Err(Arc::new(cut_short())));
            }
            is_open
        });
    }
}

impl Loads {
    fn running(&self) -> MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The read to wait for, and whether it is a new one, which the caller has to begin. One that began before all was doubted
    /// for the last time, of so many `doubts`, is not waited for.
    pub(super) fn join(&self, digest: &KeyDigest, claim: Option<Claim>, doubts: u64) -> (Arc<Load>, bool) {
        let mut running = self.running();
        let loads = running.entry(*digest).or_default();
        loads.retain(|load| load.doubts >= doubts);
        if let Some(load) = loads.iter().find(|load| match (&load.claim, &claim) {
            (Some(running), Some(claim)) => running.looks_up_as(claim),
            (None, None) => true,
            _ => false,
        }) {
            return (Arc::clone(load), false);
        }
        let load = Arc::new(Load { claim, doubts, read: watch::Sender::new(None) });
        loads.push(Arc::clone(&load));
        (load, true)
    }

    /// To be dropped when the read has ended, however it ends: a store that panics leaves nobody waiting, now or later.
    pub(super) fn ended<'a>(&'a self, digest: &'a KeyDigest, load: &'a Arc<Load>) -> Ended<'a> {
        Ended { loads: self, digest, load }
    }

    /// Takes a read out; whether it was there.
    fn take_out(running: &mut Running, digest: &KeyDigest, load: &Arc<Load>) -> bool {
        let Some(loads) = running.get_mut(digest) else { return false };
        let Some(place) = loads.iter().position(|running| Arc::ptr_eq(running, load)) else { return false };
        loads.swap_remove(place);
        if loads.is_empty() {
            running.remove(digest);
        }
        true
    }

    /// A read has ended: `keep` is called with what it found, unless a change has overtaken it, and no change can come
    /// between. Those who wait are told.
    pub(super) fn finish(
        &self,
        digest: &KeyDigest,
        load: &Arc<Load>,
        claim: Claim,
        result: Result<Option<Standing>, StoreError>,
        keep: impl FnOnce(&Option<Standing>),
    ) {
        {
            let mut running = self.running();
            if Self::take_out(&mut running, digest, load)
                && let Ok(found) = &result
            {
                keep(found);
            }
        }
        load.read.send_replace(Some(match result {
            Ok(found) => Ok((found, claim)),
            Err(error) => Err(Arc::new(error)),
        }));
    }

    /// A change: reads of that key that are under way come to nothing. `forget` is called before any of them, or of those
    /// that begin later, can be kept.
    pub(super) fn overtake(&self, digest: &KeyDigest, forget: impl FnOnce()) {
        let mut running = self.running();
        running.remove(digest);
        forget();
    }
}
