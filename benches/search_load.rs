//! Validations beside lists.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use license_core::clock::{SystemClock, SystemRng};
use license_core::domain::DomainName;
use license_core::key::{KeyVault, Secret};
use license_core::license::{Binding, EmailDomain, Status};
use license_core::service::{Health, ServiceContext, ServiceOptions, ValidateRequest, ValidationService};
use license_core::store::{LicenseStore, SearchFilter, SearchSort};
use license_store::group_commit::{GroupCommit, GroupCommitOptions};

use crate::Filled;
use crate::fill::{SECRET, data_keys, now};
use crate::query;

/// Concurrent callers of validations, and of lists.
const CALLERS: usize = 16;
const LISTS: usize = 4;
/// Rounds, each without lists and then with them.
const ROUNDS: usize = 3;

/// A license to validate.
struct Target {
    key: String,
    domain: DomainName,
}

/// Returns active licenses that hold a domain.
async fn targets(filled: &Filled) -> Vec<Target> {
    let vault = KeyVault::new(&data_keys());
    let mut targets = Vec::new();
    let filter = SearchFilter {
        product: Some("default".to_owned()),
        plan: Some("starter".to_owned()),
        status: Some(Status::Active),
        never_activated: Some(false),
        ..SearchFilter::default()
    };
    let mut query = query(filter, SearchSort::NewestFirst);
    query.page.limit = 100;
    while targets.len() < 5_000 {
        let page = filled.store.search(&query).await.expect("a page").page;
        for detail in &page.items {
            let domain = detail.domains.iter().find_map(|held| match &held.binding {
                Binding::Domain(domain) => Some(domain.clone()),
                Binding::Device(_) => None,
            });
            let key = vault.open(&detail.license.sealed_key, detail.license.id.as_str()).expect("a key");
            targets.extend(domain.map(|domain| Target { key: key.reveal().to_owned(), domain }));
        }
        match page.next {
            Some(next) => query.page.after = Some(next),
            None => break,
        }
    }
    targets
}

/// Returns pairs of filters, each with many licenses.
fn pairs() -> [SearchFilter; LISTS] {
    let none = SearchFilter::default;
    let plan = |name: &str| Some(name.to_owned());
    [
        SearchFilter { plan: plan("starter"), status: Some(Status::Expired), ..none() },
        SearchFilter { product: plan("server"), at_limit: Some(true), ..none() },
        SearchFilter {
            email_domain: EmailDomain::parse("gmail.com").ok(),
            never_activated: Some(false),
            ..none()
        },
        SearchFilter {
            metadata: [("channel".to_owned(), "web".to_owned())].into(),
            status: Some(Status::Active),
            ..none()
        },
    ]
}

/// Validates for `time`. Returns the validations per second, and the latencies, sorted.
async fn validate(
    service: &Arc<ValidationService>,
    targets: &Arc<Vec<Target>>,
    time: Duration,
) -> (f64, Vec<Duration>) {
    let start = now();
    let callers = (0..CALLERS).map(|caller| {
        let (service, targets) = (Arc::clone(service), Arc::clone(targets));
        tokio::spawn(async move {
            let mut took = Vec::new();
            for n in (caller..).step_by(CALLERS) {
                if start.elapsed() > time {
                    break;
                }
                let Target { key, domain } = &targets[n % targets.len()];
                let request =
                    ValidateRequest { key, domain: Some(domain.as_str()), ..ValidateRequest::default() };
                let start = now();
                let verdict = service.validate(&request).await.expect("a verdict");
                took.push(start.elapsed());
                assert!(verdict.is_valid(), "{verdict:?}");
            }
            took
        })
    });
    let mut all = Vec::new();
    for caller in callers.collect::<Vec<_>>() {
        all.extend(caller.await.expect("a caller does not panic"));
    }
    all.sort_unstable();
    #[expect(clippy::cast_precision_loss, reason = "for display")]
    let rate = all.len() as f64 / start.elapsed().as_secs_f64();
    (rate, all)
}

/// Lists until `stop` is set, one task for each pair of filters. Returns the number of lists.
async fn list(filled: &Filled, stop: &AtomicBool) -> usize {
    let lists = pairs().map(|filter| async move {
        let query = query(filter, SearchSort::NewestFirst);
        let mut lists = 0;
        while !stop.load(Ordering::Relaxed) {
            assert_eq!(filled.first_page(&query).await.0, 25);
            lists += 1;
        }
        lists
    });
    let [a, b, c, d] = lists;
    let (a, b, c, d) = tokio::join!(a, b, c, d);
    a + b + c + d
}

/// Measures validations without a cache, first alone and then beside the lists.
pub(crate) async fn measure(name: &str, filled: &Filled, time: Duration) {
    let store: Arc<dyn LicenseStore> = Arc::clone(&filled.store) as Arc<dyn LicenseStore>;
    let grouped = GroupCommit::new(store, GroupCommitOptions::default(), &mut SystemRng).expect("randomness");
    let store: Arc<dyn LicenseStore> = Arc::new(grouped);
    let options = ServiceOptions::new(&Secret::from_hex(SECRET).expect("hex digits"), SystemClock, SystemRng);
    let context = ServiceContext::open(&*store, options).await.expect("a context");
    let service = Arc::new(ValidationService::new(store, None, Health::default(), context));
    let targets = Arc::new(targets(filled).await);
    println!(
        "\n| {name}, {CALLERS} callers | validations/s alone | beside {LISTS} lists | ratio | p99 alone | p99 beside | lists/s |\n|---|---|---|---|---|---|---|"
    );
    for round in 1..=ROUNDS {
        let (alone, quiet) = validate(&service, &targets, time).await;
        let stop = AtomicBool::new(false);
        let beside = async {
            let beside = validate(&service, &targets, time).await;
            stop.store(true, Ordering::Relaxed);
            beside
        };
        let ((beside, busy), lists) = tokio::join!(beside, list(filled, &stop));
        let p99 = |sorted: &[Duration]| sorted[sorted.len() * 99 / 100].as_secs_f64() * 1e3;
        #[expect(clippy::cast_precision_loss, reason = "for display")]
        let lists = lists as f64 / time.as_secs_f64();
        println!(
            "| round {round} | {alone:.0} | {beside:.0} | {:.2} | {:.1} ms | {:.1} ms | {lists:.0} |",
            beside / alone,
            p99(&quiet),
            p99(&busy)
        );
    }
}
