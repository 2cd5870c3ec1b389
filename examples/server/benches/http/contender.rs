//! A measured server, with its data and the count of its valid answers.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use license_core::limits::PAGE_ITEMS;
use license_core::store::LicenseStore;
use license_store::sql::postgres::{PostgresOptions, PostgresStore};
use license_store::sql::sqlite::SqliteStore;
use rand_chacha::ChaCha20Rng;
use serde_json::json;
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use tempfile::TempDir;
use test_database::TestDatabase;
use tokio::runtime::Runtime;

use crate::fill::{IssuedLicense, LicenseGenerator, RawConnection, SECRET, customer, store_data_keys};
use crate::load::{self, Order, Requests, Run};
use crate::process::{BINARY, agent, call, command_of};

pub(crate) const TOKEN: &str = "a-token-for-the-bench-only";
/// Domains per license.
const DOMAINS: usize = 3;
/// Callers that issue licenses over HTTP, for the memory store.
const ISSUERS: usize = 4;
/// Counts the validations, including those that are not compacted.
const COUNT: &str = "SELECT CAST((SELECT COALESCE(SUM(validation_count), 0) FROM license_counters) + \
    (SELECT COALESCE(SUM(size), 0) FROM journal) AS BIGINT)";

/// Resets licenses to never activated.
const DEACTIVATE: [&str; 2] =
    ["DELETE FROM activations", "UPDATE licenses SET activated_at = NULL, domains_used = 0"];

/// Store of a contender. Contenders start in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Store {
    Postgres,
    Sqlite,
    Memory,
    None,
}

impl Store {
    /// The stores that hold licenses.
    pub(crate) const WITH_LICENSES: [Self; 3] = [Self::Postgres, Self::Sqlite, Self::Memory];
}

/// Program of a contender.
#[derive(Clone, Debug)]
pub(crate) enum Program {
    /// A handler of this executable.
    Handler(&'static str),
    /// The license server, with these flags.
    Server(Vec<String>),
}

/// Description of a contender.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) program: Program,
    pub(crate) store: Store,
}

/// Database of a contender. Removed when dropped.
enum Data {
    None,
    Memory,
    Sqlite(PathBuf),
    Postgres(Box<TestDatabase>),
}

/// A server process and its data.
pub(crate) struct Contender {
    pub(crate) name: String,
    pub(crate) requests: Rc<Requests>,
    // Declared before `data`, so that the process ends first.
    process: Option<Process>,
    data: Data,
    _folder: TempDir,
    /// Requests answered with 200.
    pub(crate) answered: u64,
    /// Requests that may be counted although no 200 was received.
    pub(crate) unconfirmed: u64,
}

impl Contender {
    /// Fills the database and starts the program. Returns `None` if PostgreSQL is required and missing.
    ///
    /// `shared` holds the requests for all filled databases, whose licenses are equal. If `activated` is
    /// set, the licenses hold domains.
    pub(crate) fn start(
        runtime: &Runtime,
        Entry { name, program, store }: Entry,
        licenses: usize,
        shared: &mut Option<Rc<Requests>>,
        activated: bool,
    ) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let (data, url) = match store {
            Store::None => (Data::None, String::new()),
            Store::Memory => (Data::Memory, "memory:".to_owned()),
            Store::Sqlite => {
                let path = folder.path().join("licenses.db");
                let url = format!("sqlite://{}", path.display());
                (Data::Sqlite(path), url)
            }
            Store::Postgres => {
                let database = runtime.block_on(TestDatabase::new())?;
                let url = database.url();
                (Data::Postgres(Box::new(database)), url)
            }
        };
        let known = runtime.block_on(data.fill(licenses, activated));
        let mut command = match program {
            Program::Handler(name) => {
                let mut command =
                    command_of(std::env::current_exe().unwrap().to_str().unwrap(), folder.path());
                command.args(["--serve", name]);
                command
            }
            Program::Server(flags) => {
                let mut command = command_of(BINARY, folder.path());
                command.args(flags);
                command
            }
        };
        command.envs([
            ("LICENSE_DATABASE", &*url),
            ("LICENSE_SECRET", SECRET),
            ("LICENSE_ADMIN_TOKEN", TOKEN),
        ]);
        let process = Process::start(command);
        let requests = match store {
            Store::None => Rc::clone(shared.as_ref().expect("contenders with licenses start first")),
            Store::Memory => {
                let own = Rc::new(Requests::new(issue(&process.url, licenses)));
                shared.get_or_insert_with(|| Rc::clone(&own));
                own
            }
            Store::Sqlite | Store::Postgres => {
                let requests =
                    shared.get_or_insert_with(|| Rc::new(Requests::new(known.iter().map(request))));
                assert!(
                    known.last().is_some_and(|known| requests.match_last_key(known.key.reveal())),
                    "all databases have the same licenses"
                );
                Rc::clone(requests)
            }
        };
        Some(Self {
            name,
            requests,
            process: Some(process),
            data,
            _folder: folder,
            answered: 0,
            unconfirmed: 0,
        })
    }

    /// Validates each license once, to fill caches and open connections.
    pub(crate) fn warm(&mut self) {
        let url = self.process().url.clone();
        self.answered += self.requests.warm(&url);
        load::settle(&url);
    }

    /// Runs the load. Checks a few answers before and after.
    pub(crate) fn run(
        &mut self,
        connections: usize,
        seconds: u64,
        seed: usize,
        rng: &mut ChaCha20Rng,
    ) -> Run {
        let (url, pid) = (self.process().url.clone(), self.process().child.id());
        self.answered += self.requests.sample(&url, rng);
        let run = load::run(&self.requests, &url, pid, connections, seconds, seed, Order::Random);
        self.answered += self.requests.sample(&url, rng);
        self.answered += run.answers;
        // wrk does not wait for its last requests.
        self.unconfirmed += run.failed + connections as u64;
        run
    }

    /// Runs the load in this order, without counting answers.
    pub(crate) fn send(&self, connections: usize, seconds: u64, order: Order) -> Run {
        load::run(&self.requests, self.url(), self.process().child.id(), connections, seconds, 1, order)
    }

    pub(crate) fn url(&self) -> &str {
        &self.process().url
    }

    /// Stops the server. Returns the validations that its database has counted, if it has one.
    pub(crate) fn counted(&mut self, runtime: &Runtime) -> Option<u64> {
        let process = self.process.take().expect("it runs");
        if matches!(self.data, Data::Memory) {
            return Some(sum_counters(&process.url));
        }
        process.stop();
        let sum: i64 = match &self.data {
            Data::None | Data::Memory => return None,
            Data::Sqlite(path) => runtime.block_on(async {
                let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
                sqlx::query_scalar(COUNT).fetch_one(&mut connection).await.unwrap()
            }),
            Data::Postgres(database) => runtime.block_on(async {
                sqlx::query_scalar(COUNT).fetch_one(&mut database.connect().await).await.unwrap()
            }),
        };
        Some(u64::try_from(sum).unwrap())
    }

    fn process(&self) -> &Process {
        self.process.as_ref().expect("it runs")
    }
}

impl Data {
    /// Fills the database with reproducible licenses.
    async fn fill(&self, licenses: usize, activated: bool) -> Vec<IssuedLicense> {
        let mut raw = match self {
            Self::None | Self::Memory => return Vec::new(),
            Self::Sqlite(path) => {
                let store = SqliteStore::open(path).await.unwrap();
                store_data_keys(&store).await;
                store.close().await;
                RawConnection::sqlite(path).await
            }
            Self::Postgres(database) => {
                let options = PostgresOptions::default();
                let store = PostgresStore::connect(&database.url(), &options).await.unwrap();
                store_data_keys(&store).await;
                store.close().await;
                RawConnection::postgres(database).await
            }
        };
        let (known, _) = raw.fill(&mut LicenseGenerator::new(), licenses, DOMAINS).await;
        if !activated {
            for statement in DEACTIVATE {
                raw.execute(statement).await;
            }
        }
        raw.settle().await;
        known
    }
}

fn request(known: &IssuedLicense) -> (String, Vec<String>) {
    let domains = (0..known.domains).map(|n| known.domain(n).as_str().to_owned());
    (known.key.reveal().to_owned(), domains.collect())
}

/// Issues licenses over HTTP. Returns their keys and domains.
fn issue(url: &str, licenses: usize) -> Vec<(String, Vec<String>)> {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let issuer = || {
            let (agent, mut issued) = (agent(), Vec::new());
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= licenses {
                    return issued;
                }
                let domains: Vec<_> = (0..DOMAINS).map(|n| format!("d{n}.s{number}.example.com")).collect();
                let body = json!({
                    "plan": "starter",
                    "customer_email": customer(number).as_str(),
                    "max_domains": DOMAINS,
                    "domains": domains,
                });
                let (status, license) =
                    call(&agent, url, "POST", "/api/v1/licenses", Some(TOKEN), Some(&body)).unwrap();
                assert_eq!(status, 201, "{license}");
                issued.push((license["key"].as_str().unwrap().to_owned(), domains));
            }
        };
        let issuers: Vec<_> = (0..ISSUERS).map(|_| scope.spawn(issuer)).collect();
        issuers.into_iter().flat_map(|issuer| issuer.join().unwrap()).collect()
    })
}

/// Returns the sum of the counters of all licenses.
fn sum_counters(url: &str) -> u64 {
    let (agent, mut sum, mut cursor) = (agent(), 0, String::new());
    loop {
        let path = format!("/api/v1/licenses?limit={PAGE_ITEMS}{cursor}");
        let (status, page) = call(&agent, url, "GET", &path, Some(TOKEN), None).unwrap();
        assert_eq!(status, 200, "{page}");
        let licenses = page["data"].as_array().unwrap();
        sum += licenses.iter().map(|license| license["validation_count"].as_u64().unwrap()).sum::<u64>();
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return sum,
        }
    }
}

/// A running program. Killed when dropped.
struct Process {
    child: Child,
    url: String,
    // Keeps the pipe open for further output.
    _stdout: BufReader<ChildStdout>,
}

impl Process {
    /// Starts the program and waits for the address that it prints. Discards its log.
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let url = loop {
            let mut line = String::new();
            let args = command.get_args().map(|arg| arg.to_string_lossy()).collect::<Vec<_>>().join(" ");
            assert!(stdout.read_line(&mut line).unwrap() > 0, "the program failed to start: {args}");
            if let Some(address) = line.trim().strip_prefix("address") {
                break address.trim().to_owned();
            }
        };
        Self { child, url, _stdout: stdout }
    }

    /// Sends SIGTERM and waits for the end.
    fn stop(mut self) {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
