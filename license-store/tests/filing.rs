//! That recorded validations are counted once, before, during and after they are filed.

#![cfg(any(feature = "sqlite", feature = "postgres"))]

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use license_core::activation::Fingerprint;
use license_core::command::{Command, CommandContext, LicenseSpec, Outcome, create};
use license_core::customer::CustomerEmail;
use license_core::key::{KeyDigest, SealedKey};
use license_core::license::LicenseId;
use license_core::place::{Country, Place};
use license_core::plan::{Plan, PlanCatalog};
use license_core::seen::ActivationUsage;
use license_core::store::{LicenseStore, PageRequest};
use license_core::usage::{
    Day, Interval, RollupFilter, UsageGroup, UsageQuery, UsageReport, UsageRetention, Validation,
    ValidationOutcome, fold, roll_up,
};
use license_core::verdict::{Claim, DenialCode};
use license_store::memory::MemoryStore;
use license_store::sql::{Dialect, SqlStore};

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(1_780_000_000_123_456).expect("a time in range")
}

async fn issue(store: &dyn LicenseStore, number: u8) -> LicenseId {
    let plans = PlanCatalog::new([Plan::new("open")]).expect("plans in bounds");
    let id = LicenseId::parse(&format!("lic_{number:03}")).expect("an id");
    let key = (KeyDigest::from_bytes([number; 32]), SealedKey::from_bytes(vec![number]));
    let spec = LicenseSpec::new("open", CustomerEmail::parse("dev@example.com").expect("an address"));
    let new = create(id, key, &spec, None, &plans, now()).expect("in bounds");
    store.create(&new).await.expect("create");
    let context = CommandContext { plans: Arc::new(plans), now: now(), expected_version: None, by: None };
    let made = store.execute(&new.license.id, &Command::Activate(claim()), &context).await;
    assert!(matches!(made, Ok(Outcome::Done(_))), "{made:?}");
    new.license.id
}

/// Of a device that each license holds.
fn claim() -> Claim {
    Claim { domain: None, fingerprint: Some(Fingerprint::parse("one").expect("a fingerprint")) }
}

/// What the store must say of one license.
#[derive(Clone, Debug, Default)]
struct Expected {
    valid: u64,
    denied: u64,
    latest: Option<DateTime<Utc>>,
    /// Newest first.
    history: Vec<Validation>,
}

impl Expected {
    fn record(&mut self, validation: Validation) {
        if validation.outcome == ValidationOutcome::Valid {
            self.valid += 1;
            self.latest = self.latest.max(Some(validation.at));
        } else {
            self.denied += 1;
        }
        self.history.insert(0, validation);
    }

    /// What the validations say of the license's device.
    async fn check_seen(&self, store: &dyn LicenseStore, id: &LicenseId, when: &str) {
        let page = store.activations(id, None, &PageRequest::default()).await.expect("activations");
        let [device] = &page.items[..] else { panic!("one device: {page:?}") };
        let mut expected = ActivationUsage::default();
        let fold = fold(self.history.iter().rev());
        if let Some(seen) = fold.sightings.get(&(id.clone(), device.activation.binding.clone())) {
            expected.add(device.activation.created_at, seen);
        }
        assert_eq!(device.usage, expected, "when the device of {id} was seen, {when}");
    }

    async fn check(&self, store: &dyn LicenseStore, id: &LicenseId, when: &str) {
        let counters = store.license(id).await.expect("license").expect("it is there").counters;
        assert_eq!(
            (counters.validation_count, counters.last_validated_at),
            (self.valid, self.latest),
            "{id} {when}"
        );
        let (mut found, mut query) = (Vec::new(), UsageQuery::default());
        query.page = PageRequest { after: None, limit: 97 };
        loop {
            let report = store.usage(id, &query).await.expect("usage");
            assert_eq!((report.total(), report.denied()), (self.valid, self.denied), "{id} {when}");
            found.extend(report.recent.items);
            match report.recent.next {
                Some(next) => query.page.after = Some(next),
                None => break,
            }
        }
        assert!(
            found == self.history,
            "the history of {id} {when}: {} of {}",
            found.len(),
            self.history.len()
        );
    }
}

/// Records and rollups agree: they change in the same commit.
async fn check_rollups(store: &dyn LicenseStore, expected: &[Expected], when: &str) {
    let expected = roll_up(expected.iter().flat_map(|expected| &expected.history));
    let page = PageRequest { after: None, limit: 1_000 };
    let found = store.rollups(&RollupFilter::default(), &page).await.expect("rollups").items;
    let found: BTreeMap<_, _> = found.into_iter().map(|rollup| (rollup.key, rollup.sum)).collect();
    assert_eq!(found, expected, "rollups {when}");
}

/// Validations in batches through two handles, which both file all the time and are cut short anywhere; after each round every
/// figure is as it was recorded, and so it is in the end, where nothing is left to file.
async fn check<D: Dialect>(first: SqlStore<D>, second: SqlStore<D>) {
    let handles = [Arc::new(first), Arc::new(second)];
    let mut ids = Vec::new();
    for number in 1..=7 {
        ids.push(issue(&*handles[0], number).await);
    }
    let mut expected = vec![Expected::default(); ids.len()];
    for round in 0..12_usize {
        let batch: Vec<_> = (0..150_usize)
            .map(|n| {
                let license = (n * n + round) % ids.len();
                let denied = ValidationOutcome::Denied(DenialCode::LicenseExpired);
                let outcome = if n % 5 == 0 { denied } else { ValidationOutcome::Valid };
                let day = TimeDelta::hours(i64::try_from(round * 5).expect("small"));
                let at =
                    now() + day + TimeDelta::microseconds(i64::try_from(round * 1_000 + n).expect("small"));
                let mut validation = Validation::new(ids[license].clone(), at, outcome, claim());
                let country =
                    |text| Place { country: Country::parse(text).expect("a country"), region: None };
                validation.place = (n % 3 > 0).then(|| country(if n % 3 == 1 { "NZ" } else { "DE" }));
                expected[license].record(validation.clone());
                validation
            })
            .collect();
        let cut_short: Vec<_> = handles
            .iter()
            .map(|store| {
                let store = Arc::clone(store);
                tokio::spawn(async move { store.file().await })
            })
            .collect();
        for part in batch.chunks(50) {
            handles[round % 2].record(part, None).await.expect("record");
        }
        for (id, expected) in ids.iter().zip(&expected) {
            expected.check(&*handles[(round + 1) % 2], id, "while it is filed").await;
            expected.check_seen(&*handles[round % 2], id, "while it is filed").await;
        }
        check_rollups(&*handles[round % 2], &expected, "while it is filed").await;
        for filing in cut_short {
            filing.abort();
        }
    }
    // More batches than are removed at once.
    for n in 0..450_usize {
        let (license, day) = (n % ids.len(), TimeDelta::days(3));
        let at = now() + day + TimeDelta::microseconds(i64::try_from(n).expect("small"));
        let validation = Validation::new(ids[license].clone(), at, ValidationOutcome::Valid, claim());
        expected[license].record(validation.clone());
        handles[n % 2].record(&[validation], None).await.expect("record");
    }
    for store in &handles {
        store.file().await.expect("filed");
    }
    for (id, expected) in ids.iter().zip(&expected) {
        expected.check(&*handles[0], id, "when all is filed").await;
        expected.check_seen(&*handles[1], id, "when all is filed").await;
    }
    check_rollups(&*handles[1], &expected, "when all is filed").await;
}

/// Days of which much is recorded, some of it late, through handles that file at once and are cut short; then old days are
/// forgotten. After each step reports are those of the store in memory.
async fn check_days<D: Dialect>(first: SqlStore<D>, second: SqlStore<D>) {
    let (handles, memory) = ([Arc::new(first), Arc::new(second)], MemoryStore::new());
    let mut ids = Vec::new();
    for number in 1..=3 {
        ids.push(issue(&*handles[0], number).await);
        issue(&memory, number).await;
    }
    // Of each license and day so many devices that a day takes several steps.
    let used = |day: i64, license: usize, device: usize, country: &str| {
        let fingerprint = Some(Fingerprint::parse(&format!("device-{device}")).expect("a fingerprint"));
        let claim = Claim { domain: None, fingerprint };
        let at =
            now() + TimeDelta::days(day) + TimeDelta::microseconds(i64::try_from(device).expect("small"));
        let mut validation = Validation::new(ids[license].clone(), at, ValidationOutcome::Valid, claim);
        validation.place = Some(Place { country: Country::parse(country).expect("a country"), region: None });
        validation
    };
    let days = |days: &[i64], country: &str| {
        let mut batch = Vec::new();
        for &day in days {
            batch.extend((0..600).map(|n| used(day, n % 3, n, country)));
        }
        batch
    };
    for (step, batch) in [
        ("when days are filed", days(&[0, 1, 3, 4], "NZ")),
        ("when more of the same comes late", days(&[0, 3], "NZ")),
        ("when others come late, and of a day of which nothing was known", days(&[-2, 1, 2], "DE")),
        ("when there are newer days", days(&[4, 5, 6], "DE")),
    ] {
        let cut_short = handles.each_ref().map(|store| {
            let store = Arc::clone(store);
            tokio::spawn(async move { store.file().await })
        });
        for part in batch.chunks(500) {
            handles[0].record(part, None).await.expect("record");
            memory.record(part, None).await.expect("record");
        }
        for filing in cut_short {
            filing.abort();
        }
        same_reports(&handles, &memory, &ids, step).await;
        let [one, other] = handles.each_ref().map(|store| store.file());
        let (one, other) = tokio::join!(one, other);
        one.and(other).expect("filed");
        same_reports(&handles, &memory, &ids, step).await;
    }
    let retention = UsageRetention { record_days: 3, rollup_days: 4 };
    for store in [&memory as &dyn LicenseStore, &*handles[1]] {
        while store.forget_usage(&retention, now() + TimeDelta::days(6), 1_000).await.expect("forgets") > 0 {}
    }
    same_reports(&handles, &memory, &ids, "when old days are forgotten").await;
}

async fn same_reports<D: Dialect>(
    handles: &[Arc<SqlStore<D>>; 2],
    memory: &MemoryStore,
    ids: &[LicenseId],
    when: &str,
) {
    let day = |day: i64| Some(Day::of(now() + TimeDelta::days(day)).start());
    let ranges = [
        (None, None),
        (day(3), None),
        (day(3), day(5)),
        (None, day(4)),
        (day(4), Some(now() + TimeDelta::days(6))),
    ];
    for (n, id) in ids.iter().enumerate() {
        for (from, to) in ranges {
            let (interval, group_by) = (Some(Interval::Day), Some(UsageGroup::Country));
            let query = UsageQuery { from, to, interval, group_by, ..UsageQuery::default() };
            let found = handles[n % 2].usage(id, &query).await.expect("usage");
            let expected = memory.usage(id, &query).await.expect("usage");
            let figures = |report: &UsageReport| format!("{:?} {:?}", report.series, report.breakdown);
            assert_eq!(figures(&found), figures(&expected), "{id} from {from:?} to {to:?}, {when}");
            assert_eq!((found.total(), found.denied()), (expected.total(), expected.denied()), "{id} {when}");
        }
    }
}

/// As nodes of the version before record, in one statement.
const RECORD_BEFORE: &str = "INSERT INTO inbox (license_id, at, outcome, domain, fingerprint, country, region, client, covered_by) \
    SELECT 'lic_001', 1780000000123456 + n, CASE WHEN n = 2 THEN 'LICENSE_EXPIRED' ELSE 'VALID' END, NULL, 'one', \
    CASE WHEN n = 3 THEN 'NZ' END, NULL, NULL, NULL FROM (SELECT 1 AS n UNION ALL SELECT 2 UNION ALL SELECT 3) AS numbers";

/// What [`RECORD_BEFORE`] has recorded is counted at once, and filed.
async fn check_recorded_before<D: Dialect>(store: &SqlStore<D>, id: &LicenseId) {
    let mut expected = Expected::default();
    for n in 1..=3 {
        let denied = ValidationOutcome::Denied(DenialCode::LicenseExpired);
        let outcome = if n == 2 { denied } else { ValidationOutcome::Valid };
        let mut validation =
            Validation::new(id.clone(), now() + TimeDelta::microseconds(n), outcome, claim());
        validation.place =
            (n == 3).then(|| Place { country: Country::parse("NZ").expect("a country"), region: None });
        expected.record(validation);
    }
    for when in ["while it is not filed", "when it is filed"] {
        expected.check(store, id, when).await;
        expected.check_seen(store, id, when).await;
        check_rollups(store, std::slice::from_ref(&expected), when).await;
        store.file().await.expect("filed");
    }
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use license_store::sql::sqlite::SqliteStore;
    use sqlx::sqlite::SqliteConnectOptions;
    use sqlx::{ConnectOptions, Executor, Row};

    #[tokio::test]
    async fn what_nodes_of_the_version_before_record_is_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("licenses.db");
        let store = SqliteStore::open(&path).await.expect("a database");
        let id = super::issue(&store, 1).await;
        let mut raw = SqliteConnectOptions::new().filename(&path).connect().await.expect("a connection");
        raw.execute(super::RECORD_BEFORE).await.expect("recorded");
        super::check_recorded_before(&store, &id).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn filing_changes_no_answer() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("licenses.db");
        let open = async || SqliteStore::open(&path).await.expect("a database");
        super::check(open().await, open().await).await;
        let mut raw = SqliteConnectOptions::new().filename(&path).connect().await.expect("a connection");
        let left = "SELECT (SELECT COUNT(*) FROM batches) + (SELECT COUNT(*) FROM batch_filing WHERE last_number > 0)";
        let left = sqlx::query(left).fetch_one(&mut raw).await.expect("a count");
        assert_eq!(left.get::<i64, _>(0), 0, "nothing is left to file");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn what_comes_late_counts_on_its_day() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("licenses.db");
        let open = async || SqliteStore::open(&path).await.expect("a database");
        super::check_days(open().await, open().await).await;
        let mut raw = SqliteConnectOptions::new().filename(&path).connect().await.expect("a connection");
        // Of days that are over the copies are there, and all others are not.
        let columns = "day, license_id, outcome, domain, device, country, count, first_at, last_at";
        let over = format!("SELECT {columns} FROM rollups WHERE day < (SELECT MAX(day) FROM rollups)");
        let gathered = format!("SELECT {columns} FROM gathered_rollups");
        let counts = format!(
            "SELECT (SELECT COUNT(*) FROM ({over} EXCEPT {gathered})), (SELECT COUNT(*) FROM ({gathered} EXCEPT {over})), \
             (SELECT COUNT(*) FROM gathered_rollups)"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(counts)).fetch_one(&mut raw).await.expect("counts");
        let [missing, left, all] = [0, 1, 2].map(|column| row.get::<i64, _>(column));
        assert_eq!((missing, left), (0, 0), "gathered are all rollups of days that are over");
        assert!(all > 1_000, "several steps of them: {all}");
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use license_store::sql::postgres::{PostgresOptions, PostgresStore};
    use sqlx::{Executor, Row};
    use test_database::TestDatabase;

    #[tokio::test]
    async fn what_nodes_of_the_version_before_record_is_counted() {
        let Some(database) = TestDatabase::new().await else { return };
        let store =
            PostgresStore::connect(&database.url(), &PostgresOptions::default()).await.expect("a database");
        let id = super::issue(&store, 1).await;
        database.connect().await.execute(super::RECORD_BEFORE).await.expect("recorded");
        super::check_recorded_before(&store, &id).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn filing_changes_no_answer() {
        let Some(database) = TestDatabase::new().await else { return };
        let options = PostgresOptions { max_connections: 4, ..PostgresOptions::default() };
        let open = async || PostgresStore::connect(&database.url(), &options).await.expect("a database");
        super::check(open().await, open().await).await;
        let left = sqlx::query("SELECT COUNT(*) FROM batches").fetch_one(&mut database.connect().await).await;
        assert_eq!(left.expect("a count").get::<i64, _>(0), 0, "nothing is left to file");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn what_comes_late_counts_on_its_day() {
        let Some(database) = TestDatabase::new().await else { return };
        let options = PostgresOptions { max_connections: 4, ..PostgresOptions::default() };
        let open = async || PostgresStore::connect(&database.url(), &options).await.expect("a database");
        super::check_days(open().await, open().await).await;
    }
}
