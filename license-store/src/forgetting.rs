//! A task that removes usage which is not kept any longer.

use std::sync::Arc;
use std::time::Duration;

use license_core::service::LicenseService;
use license_core::usage::UsageRetention;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use crate::sweeper::Round;

/// Between two looks for what is old: days go at once, a little after midnight of UTC.
const EVERY: Duration = Duration::from_mins(10);
/// Rows of each kind that are removed in one commit, at most; a store may take fewer.
const BATCH: u32 = 500;
/// Between two commits others write so many times as long as the commit took.
const SHARE: u32 = 3;

/// Forgets as long as it lives. Any number of nodes may: nothing that goes is counted twice.
#[derive(Debug)]
pub struct Forgetting(AbortHandle);

impl Forgetting {
    /// Begins, at once.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use = "it ends when it is dropped"]
    pub fn spawn(service: Arc<LicenseService>, retention: UsageRetention) -> Self {
        let run = async move {
            loop {
                let fault = "old usage can't be removed now; it will be";
                while Round::begin(Some(SHARE))
                    .go_on(fault, service.forget_usage(&retention, BATCH).await)
                    .await
                {}
                sleep(EVERY).await;
            }
        };
        Self(tokio::spawn(run).abort_handle())
    }
}

impl Drop for Forgetting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use license_core::clock::ManualClock;
    use license_core::command::LicenseSpec;
    use license_core::customer::CustomerEmail;
    use license_core::key::Secret;
    use license_core::service::ValidateRequest;
    use license_core::store::PageRequest;
    use license_core::usage::{RollupFilter, UsageQuery};
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;
    use crate::memory::MemoryStore;

    /// More than one commit removes, by two nodes; and what becomes old while they run.
    #[tokio::test(start_paused = true)]
    async fn what_is_old_goes_and_the_total_stays() {
        let clock = Arc::new(ManualClock::at("2026-06-01T12:00:00Z".parse().expect("a time")));
        let secret = Secret::from_hex(&"5a".repeat(32)).expect("a secret");
        let (store, rng) = (Arc::new(MemoryStore::new()), ChaCha20Rng::seed_from_u64(1));
        let service =
            LicenseService::builder(store, &secret, clock.clone(), rng).build().await.expect("a service");
        let service = Arc::new(service);
        let spec = LicenseSpec::new("starter", CustomerEmail::parse("dev@example.com").expect("an address"));
        let license = service.issue(&spec, None).await.expect("a license");
        let (id, key) = (license.detail.license.id.clone(), license.key.reveal());
        let all = u64::from(BATCH) + 5;
        for _ in 0..all {
            let request = ValidateRequest { key, ..ValidateRequest::default() };
            assert!(service.validate(&request).await.expect("a verdict").is_valid());
        }
        let nodes = [(); 2].map(|()| Forgetting::spawn(Arc::clone(&service), UsageRetention::default()));
        for (days, records, rollups) in [(30, all, 1), (1, 0, 1), (699, 0, 1), (1, 0, 0)] {
            clock.advance(TimeDelta::days(days));
            // In time that stands still but for those who wait for it.
            sleep(EVERY * 2).await;
            let report = service.usage(&id, &UsageQuery::default()).await.expect("usage");
            assert_eq!(report.recent.items.is_empty(), records == 0, "single ones, {days} days later");
            let left =
                service.rollups(&RollupFilter::default(), &PageRequest::default()).await.expect("rollups");
            assert_eq!((left.items.len(), report.total()), (rollups, all), "rollups, {days} days later");
        }
        drop(nodes);
    }
}
