//! Fills a database with licenses in bulk.

use chrono::{DateTime, Duration, Utc};
use license_core::catalog::{Limit, PlanCatalog};
use license_core::clock::{Clock, SystemClock};
use license_core::command::{LicenseSpec, NewLicense, create};
use license_core::domain::DomainName;
use license_core::key::{DataKeys, KeyDigest, KeyFormat, KeyVault, LicenseKey, Secret};
use license_core::license::{Activation, CustomerEmail, ExternalId, Fingerprint, License, LicenseId};
use license_core::store::LicenseStore;
use license_core::trial::TrialKeys;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, SqliteConnection};
use std::path::Path;
use std::time;
use test_database::TestDatabase;

/// Licenses per commit.
const BATCH: usize = 5_000;
/// Licenses per customer.
const PER_CUSTOMER: usize = 10;

/// Secret that seals the data keys.
pub(crate) const SECRET: &str = "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";

const LICENSES: &str = "INSERT INTO licenses (id, key_digest, sealed_key, state, plan, customer_email, max_domains, \
    max_devices, domains_used, devices_used, created_at, activated_at, expires_at, metadata, version, last_event, expiry_notice_days, product, customer_domain, at_limit, ends_at, term_starts, term_started_at, plan_version, overrides, external_id) \
    SELECT value ->> 0, BYTES(value ->> 1HEX), BYTES(value ->> 2HEX), value ->> 3, value ->> 4, value ->> 5, \
    CAST(value ->> 6 AS BIGINT), CAST(value ->> 7 AS BIGINT), CAST(value ->> 8 AS BIGINT), CAST(value ->> 9 AS BIGINT), \
    CAST(value ->> 10 AS BIGINT), CAST(value ->> 11 AS BIGINT), CAST(value ->> 12 AS BIGINT), value ->> 13, \
    CAST(value ->> 14 AS BIGINT), CAST(value ->> 15 AS BIGINT), CAST(value ->> 16 AS BIGINT), value ->> 17, value ->> 18, CAST(value ->> 19 AS BIGINT), \
    CAST(value ->> 20 AS BIGINT), 'issue', \
    CAST(value ->> 10 AS BIGINT), \
    CAST(value ->> 21 AS BIGINT), value ->> 22, value ->> 23 FROM ITEMS";
const ACTIVATIONS: &str = "INSERT INTO activations (license_id, id, kind, value, created_at, plan, last_seen_at, last_seen_day, validations, is_returned) \
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, CAST(value ->> 4 AS BIGINT), value ->> 5, \
    CAST(value ->> 4 AS BIGINT), CAST(value ->> 4 AS BIGINT) / 86400000000, 0, 0 FROM ITEMS";
const EVENTS: &str = "INSERT INTO events (license_id, sequence, event_type, at, data) \
    SELECT value ->> 0, CAST(value ->> 1 AS BIGINT), value ->> 2, CAST(value ->> 3 AS BIGINT), value ->> 4 FROM ITEMS";

/// Returns the data keys, which are the same in every database so that all fills are equal.
pub(crate) fn data_keys() -> DataKeys {
    DataKeys::generate(&mut ChaCha20Rng::seed_from_u64(5)).expect("randomness")
}

/// Stores the data keys in a new database.
pub(crate) async fn store_data_keys(store: &dyn LicenseStore) {
    let secret = Secret::from_hex(SECRET).expect("hex digits");
    let sealed = data_keys().seal(&secret, &mut ChaCha20Rng::seed_from_u64(6)).expect("randomness");
    let stored = store.put_if_absent(DataKeys::SETTING, &sealed).await.expect("data keys");
    assert_eq!(stored, sealed, "the database is new");
}

/// A license of a filled database.
#[derive(Clone, Debug)]
pub(crate) struct IssuedLicense {
    pub(crate) id: LicenseId,
    pub(crate) key: LicenseKey,
    pub(crate) digest: KeyDigest,
    /// Number of its domains, which are `d0.s<n>.example.com`, `d1.s<n>.example.com` and so on.
    pub(crate) domains: usize,
    number: usize,
}

impl IssuedLicense {
    pub(crate) fn domain(&self, n: usize) -> DomainName {
        domain(self.number, n)
    }
}

fn domain(license: usize, n: usize) -> DomainName {
    DomainName::parse(&format!("d{n}.s{license}.example.com")).expect("a domain")
}

pub(crate) fn customer(number: usize) -> CustomerEmail {
    CustomerEmail::parse(&format!("dev{}@example.com", number / PER_CUSTOMER)).expect("an address")
}

/// Generates a reproducible sequence of licenses.
pub(crate) struct LicenseGenerator {
    rng: ChaCha20Rng,
    vault: KeyVault,
    plans: PlanCatalog,
    start: DateTime<Utc>,
    step: Duration,
    /// Changes the license with a number before it is written.
    shape: fn(usize, &mut License, &mut Vec<Activation>),
    number: usize,
}

impl LicenseGenerator {
    pub(crate) fn new() -> Self {
        Self {
            rng: ChaCha20Rng::seed_from_u64(7),
            vault: KeyVault::new(&data_keys()),
            plans: PlanCatalog::standard(),
            start: SystemClock.now() - Duration::days(30),
            step: Duration::seconds(1),
            shape: |_, _, _| {},
            number: 0,
        }
    }

    /// Generates licenses of a shape, created at regular steps from `start` on.
    pub(crate) fn shaped(
        start: DateTime<Utc>,
        step: Duration,
        shape: fn(usize, &mut License, &mut Vec<Activation>),
    ) -> Self {
        Self { start, step, shape, ..Self::new() }
    }

    /// Generates an activated license, created a step after the previous one. Of ten, six are starter, three
    /// professional and one enterprise.
    fn license(&mut self, domains: usize) -> (NewLicense, LicenseKey) {
        let number = self.number;
        self.number += 1;
        let now = self.start + self.step * i32::try_from(number).expect("small");
        let plan = match number % 10 {
            0 => "enterprise",
            1..=3 => "professional",
            _ => "starter",
        };
        let mut spec = LicenseSpec::new(plan, customer(number));
        spec.max_domains = Some(Limit::Unlimited);
        spec.max_devices = Some(Limit::Unlimited);
        spec.domains = (0..domains).map(|n| domain(number, n)).collect();
        let id = LicenseId::generate(now, &mut self.rng).expect("randomness");
        let key = KeyFormat::default().generate(&mut self.rng).expect("randomness");
        let sealed = self.vault.seal(&key, id.as_str(), &mut self.rng).expect("randomness");
        let mut new = create(
            id,
            (self.vault.digest(&key), sealed),
            &spec,
            None,
            &self.plans,
            &TrialKeys::new(&self.vault),
            now,
        )
        .expect("in bounds");
        new.license.activated_at = Some(now);
        (self.shape)(number, &mut new.license, &mut new.activations);
        (new, key)
    }
}

/// Connection to a database, past the store.
pub(crate) enum RawConnection {
    Sqlite(Box<SqliteConnection>),
    Postgres(Box<PgConnection>),
}

impl RawConnection {
    /// Connects to an SQLite database. With the default cache, a fill would read index pages again and again.
    pub(crate) async fn sqlite(path: &Path) -> Self {
        let options = SqliteConnectOptions::new().filename(path).pragma("cache_size", "-1000000");
        Self::Sqlite(Box::new(options.connect().await.expect("a connection")))
    }

    pub(crate) async fn postgres(database: &TestDatabase) -> Self {
        Self::Postgres(Box::new(database.connect().await))
    }

    /// Connects to the PostgreSQL database at a URL.
    pub(crate) async fn postgres_at(url: &str) -> Self {
        Self::Postgres(Box::new(PgConnection::connect(url).await.expect("a connection")))
    }

    async fn insert(&mut self, tables: [(&str, Vec<Value>); 3]) {
        macro_rules! insert {
            ($connection:expr, $bytes:literal, $hex:literal, $items:literal) => {{
                let mut tx = $connection.begin().await.expect("a transaction");
                for (text, rows) in tables {
                    let text = text.replace("BYTES", $bytes).replace("HEX", $hex).replace("ITEMS", $items);
                    let rows = Value::Array(rows).to_string();
                    sqlx::query(AssertSqlSafe(text)).bind(rows).execute(&mut *tx).await.expect("rows");
                }
                tx.commit().await.expect("a commit");
            }};
        }
        match self {
            Self::Sqlite(connection) => {
                insert!(connection, "unhex", "", "json_each($1)");
            }
            Self::Postgres(connection) => {
                insert!(connection, "decode", ", 'hex'", "json_array_elements(CAST($1 AS json))");
            }
        }
    }

    /// Adds licenses with `domains` domains each. Returns them, and the time that the database took.
    pub(crate) async fn fill(
        &mut self,
        generator: &mut LicenseGenerator,
        licenses: usize,
        domains: usize,
    ) -> (Vec<IssuedLicense>, time::Duration) {
        let mut known = Vec::with_capacity(licenses);
        let mut took = time::Duration::ZERO;
        while known.len() < licenses {
            let mut tables = [(LICENSES, Vec::new()), (ACTIVATIONS, Vec::new()), (EVENTS, Vec::new())];
            for _ in 0..BATCH.min(licenses - known.len()) {
                let number = generator.number;
                let (new, key) = generator.license(domains);
                let NewLicense { license, activations, events, idempotency: _, audit: _, trial_claims: _ } =
                    new;
                tables[0].1.push(license_row(&license));
                tables[1].1.extend(activations.iter().map(|activation| activation_row(&license, activation)));
                tables[2].1.extend(events.iter().map(|event| {
                    let at = event.at.timestamp_micros();
                    json!([
                        license.id.as_str(),
                        event.sequence,
                        event.event_type.as_str(),
                        at,
                        event.data.to_string()
                    ])
                }));
                known.push(IssuedLicense {
                    id: license.id,
                    key,
                    digest: license.key_digest,
                    domains,
                    number,
                });
            }
            let start = now();
            self.insert(tables).await;
            took += start.elapsed();
        }
        (known, took)
    }

    /// Executes a statement.
    pub(crate) async fn execute(&mut self, statement: &str) {
        match self {
            Self::Sqlite(connection) => {
                sqlx::query(AssertSqlSafe(statement)).execute(&mut **connection).await.map(drop)
            }
            Self::Postgres(connection) => {
                sqlx::query(AssertSqlSafe(statement)).execute(&mut **connection).await.map(drop)
            }
        }
        .expect("the statement succeeds");
    }

    /// Does the maintenance that a database does by itself after a while: checkpoints and statistics.
    pub(crate) async fn settle(&mut self) {
        let statements: &[_] = match self {
            Self::Sqlite(_) => &["PRAGMA wal_checkpoint(TRUNCATE)"],
            Self::Postgres(_) => &["VACUUM ANALYZE", "CHECKPOINT"],
        };
        for statement in statements {
            self.execute(statement).await;
        }
    }

    /// Returns the size on disk in bytes.
    pub(crate) async fn size(&mut self) -> i64 {
        const SQLITE: &str = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
        const POSTGRES: &str = "SELECT pg_database_size(current_database())";
        match self {
            Self::Sqlite(connection) => sqlx::query_scalar(SQLITE).fetch_one(&mut **connection).await,
            Self::Postgres(connection) => sqlx::query_scalar(POSTGRES).fetch_one(&mut **connection).await,
        }
        .expect("a size")
    }
}

/// Returns whether to measure this database. `--only NAME` selects one.
pub(crate) fn is_selected(name: &str) -> bool {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--only").skip(1);
    arguments.next().is_none_or(|only| only == name)
}

#[expect(clippy::disallowed_methods, reason = "a bench measures")]
pub(crate) fn now() -> time::Instant {
    time::Instant::now()
}

pub(crate) fn device(number: usize) -> Fingerprint {
    Fingerprint::parse(&format!("8f14e45f-ceea-467f-{number:012}")).expect("a fingerprint")
}

fn license_row(license: &License) -> Value {
    let email = license.customer_email.as_ref();
    json!([
        license.id.as_str(),
        hex(license.key_digest.as_bytes()),
        hex(license.sealed_key.as_bytes()),
        license.state.as_str(),
        license.plan,
        email.map(CustomerEmail::as_str),
        license.max_domains.as_number(),
        license.max_devices.as_number(),
        license.domains_used,
        license.devices_used,
        license.created_at.timestamp_micros(),
        license.activated_at.map(|time| time.timestamp_micros()),
        license.expires_at.map(|time| time.timestamp_micros()),
        json!(license.metadata).to_string(),
        license.version,
        license.last_event,
        u16::MAX,
        license.product,
        email.map(CustomerEmail::domain),
        u8::from(license.is_at_limit()),
        license.expires_at.map_or(i64::MAX, |time| time.timestamp_micros()),
        license.plan_version,
        json!(license.overrides).to_string(),
        license.external_id.as_ref().map(ExternalId::as_str),
    ])
}

fn activation_row(license: &License, activation: &Activation) -> Value {
    let Activation { id, binding, created_at, label: _, held_until: _, is_returned: _ } = activation;
    json!([
        license.id.as_str(),
        id.as_str(),
        binding.kind().as_str(),
        binding.value(),
        created_at.timestamp_micros(),
        format!("{}@{}", license.plan, license.plan_version)
    ])
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|half| char::from_digit(half.into(), 16))
        .collect()
}
