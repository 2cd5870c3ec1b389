//! Mutation tests of the conformance suite: stores with one flaw each must fail at a named case.

mod flaw;
mod leases;
mod licenses;
mod ports;

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use license_core::event::Event;
use license_core::license::{Binding, LicenseId};
use license_core::store::LicenseRecord;
use license_core::transfer::ImportedLicense;
use license_core::usage::{LastSeen, Validation};
use tokio::sync::Mutex;

use crate::Result;
use crate::conformance::{
    Case, Handle, Harness, StreamScope, activations, audit, bulk_jobs, catalog, clock, events,
    leases as lease_cases, licenses as license_cases, search, signing_keys, tokens, transfer, usage,
    webhooks,
};
use crate::memory::{Data, MemoryStore};
use flaw::{EXPECTED, Flaw};

/// A handle on a memory store with a flaw. Handles share the data. Each has its own mutex and caches.
#[derive(Debug)]
struct Mutant {
    inner: MemoryStore,
    flaw: Flaw,
    /// Shared by all handles: validations that the next call counts.
    late: Arc<Mutex<Vec<Validation>>>,
    mutex: Mutex<()>,
    late_events: Mutex<Vec<Event>>,
    announced_limit: Mutex<Option<DateTime<Utc>>>,
    last_seen: Mutex<HashMap<Binding, LastSeen>>,
    bindings: Mutex<Vec<(LicenseId, Binding)>>,
}

/// Lets other tasks run.
async fn gap() {
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
}

/// Changes a stored license in ways that no command can.
fn tamper(data: &mut Data, id: &LicenseId, change: impl FnOnce(&mut ImportedLicense)) -> Result<()> {
    let record = data.record(id)?;
    let mut stored = ImportedLicense {
        license: (**record.license()).clone(),
        counters: *record.counters(),
        activations: record.activations().cloned().collect(),
        events: Vec::new(),
        id_given: true,
        key_given: true,
        trial_claims: Vec::new(),
        leases: record.leases().cloned().collect(),
    };
    change(&mut stored);
    if let Some(entry) = data.licenses.get_mut(id) {
        entry.record = LicenseRecord::imported(&stored, DateTime::UNIX_EPOCH);
    }
    Ok(())
}

struct MutantHarness {
    flaw: Flaw,
    inner: MemoryStore,
    late: Arc<Mutex<Vec<Validation>>>,
}

#[async_trait]
impl Harness for MutantHarness {
    async fn open(&self) -> Handle {
        Handle::from(Arc::new(Mutant {
            inner: self.inner.clone(),
            flaw: self.flaw,
            late: Arc::clone(&self.late),
            mutex: Mutex::default(),
            late_events: Mutex::default(),
            announced_limit: Mutex::default(),
            last_seen: Mutex::default(),
            bindings: Mutex::default(),
        }))
    }

    fn stream_scope(&self) -> StreamScope {
        StreamScope::AllHandles
    }
}

fn all_cases() -> impl Iterator<Item = &'static (&'static str, Case)> {
    let lists = [
        license_cases::CASES,
        activations::CASES,
        usage::CASES,
        events::CASES,
        webhooks::CASES,
        tokens::CASES,
        audit::CASES,
        transfer::CASES,
        catalog::CASES,
        clock::CASES,
        search::CASES,
        bulk_jobs::CASES,
        signing_keys::CASES,
        lease_cases::CASES,
    ];
    lists.into_iter().flatten()
}

/// Returns the message with which a case rejects a mutant, or `None` if the case passes.
async fn failure(flaw: Flaw, name: &str) -> Option<String> {
    let (_, case) = all_cases().find(|(known, _)| *known == name).expect("a case of that name");
    let harness = MutantHarness { flaw, inner: MemoryStore::new(), late: Arc::default() };
    let panic = AssertUnwindSafe(case(&harness)).catch_unwind().await.err()?;
    let text = panic.downcast_ref::<String>().cloned();
    Some(text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default())
}

/// Asserts that each flaw is caught by its case, and returns the messages.
async fn assert_caught(expected: &[(Flaw, &str)]) -> HashMap<Flaw, String> {
    let mut caught = HashMap::new();
    for &(flaw, case) in expected {
        // On a busy machine a race may pass by chance.
        for _ in 0..20 {
            if let Some(message) = failure(flaw, case).await {
                caught.insert(flaw, message);
                break;
            }
        }
        assert!(caught.contains_key(&flaw), "{case} does not catch {flaw:?}");
    }
    caught
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_mutant_fails_at_its_case() {
    let caught = assert_caught(EXPECTED).await;
    // Messages have the numbers that help an author.
    let message = &caught[&Flaw::OversellsByOne];
    assert!(message.contains("24 of 24 racing claims won a 1-slot license"), "{message}");
    let message = &caught[&Flaw::CommitsCountLate];
    assert!(message.contains("1 valid validations are acknowledged, 0 are counted"), "{message}");
}

#[test]
fn every_flaw_has_a_case_and_is_in_the_guide() {
    let guide = include_str!("../../docs/implementing-a-store.md");
    for (flaw, case) in EXPECTED {
        let row = guide.lines().find(|line| line.starts_with(&format!("| `{flaw:?}` |")));
        assert!(row.is_some_and(|row| row.contains(&format!("`{case}`"))), "{flaw:?} fails {case}: {row:?}");
    }
    for (case, _) in all_cases().filter(|(case, _)| case.contains("::races::") || case.contains("::slots::"))
    {
        let name = case.rsplit("::").next().unwrap_or_default();
        assert!(guide.contains(name), "the guide explains {case}");
    }
}
