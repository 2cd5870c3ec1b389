//! Measures sustained load: throughput with the compactor running, latency of readers meanwhile, and first
//! validations.
//!
//! Run it with `benches/sustained`, which installs wrk and starts a PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a failed unwrap ends the bench")]
#![expect(clippy::print_stdout, reason = "the bench prints a table")]

#[path = "../../../benches/fill.rs"]
#[expect(dead_code, reason = "the bench `scale` calls more of it")]
mod fill;
#[path = "../tests/server/process.rs"]
#[expect(dead_code, reason = "the tests call more of it")]
mod process;

#[path = "http/contender.rs"]
#[expect(dead_code, reason = "the bench `http` calls more of it")]
mod contender;
#[path = "http/handlers.rs"]
mod handlers;
#[path = "http/load.rs"]
#[expect(dead_code, reason = "the bench `http` calls more of it")]
mod load;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use clap::Parser;
use tokio::runtime::Runtime;

use contender::{Contender, Entry, Program, Store};
use fill::now;
use handlers::Handler;
use load::Order;
use process::{agent, call};

/// The server's allocator, so that the comparison does not depend on it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures sustained load, readers meanwhile, and first validations
#[derive(Parser)]
struct Arguments {
    /// Licenses in each database
    #[arg(long, default_value_t = 100_000)]
    licenses: usize,
    /// Seconds of the sustained load
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Seconds of the first validations, and of the bare route
    #[arg(long, default_value_t = 5)]
    first_seconds: u64,
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Only sqlite or only postgres
    #[arg(long)]
    only: Option<String>,
    /// Runs a handler that the server is compared to
    #[arg(long, hide = true)]
    serve: Option<Handler>,
    /// Set by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let arguments = Arguments::parse();
    let runtime = Runtime::new().unwrap();
    if let Some(handler) = arguments.serve {
        return runtime.block_on(handlers::serve(handler));
    }
    for (name, store) in [("sqlite", Store::Sqlite), ("postgres", Store::Postgres)] {
        if arguments.only.as_deref().is_none_or(|only| only == name) {
            measure(&arguments, &runtime, name, store);
        }
    }
}

fn measure(arguments: &Arguments, runtime: &Runtime, name: &str, store: Store) {
    let &Arguments { licenses, seconds, first_seconds, connections, .. } = arguments;
    let server = || Entry { name: name.to_owned(), program: Program::Server(Vec::new()), store };
    let bare = || Entry { name: "bare".to_owned(), program: Program::Handler("bare"), store: Store::None };

    let Some(contender) = Contender::start(runtime, server(), licenses, &mut None, false) else { return };
    let run = contender.send(connections, first_seconds, Order::Once);
    println!(
        "{name}: first validations: {:.0} per second, {:.0} µs of CPU each, p50 {:.0} ms, p99 {:.0} ms, {} failed",
        run.per_second,
        run.cpu,
        run.latency[0] / 1e3,
        run.latency[2] / 1e3,
        run.failed
    );
    drop(contender);

    let mut shared = None;
    let Some(mut contender) = Contender::start(runtime, server(), licenses, &mut shared, true) else {
        return;
    };
    contender.warm();
    let bare = Contender::start(runtime, bare(), licenses, &mut shared, true).unwrap();
    let to = bare.send(connections, first_seconds, Order::Random);
    let ended = AtomicBool::new(false);
    let (run, during) = thread::scope(|scope| {
        let (url, ended) = (contender.url(), &ended);
        let readers = scope.spawn(move || read(url, || ended.load(Ordering::Relaxed)));
        let run = contender.send(connections, seconds, Order::Random);
        ended.store(true, Ordering::Relaxed);
        (run, readers.join().unwrap())
    });
    println!(
        "{name}: {seconds} s at {connections} connections: {:.2} of bare ({:.0} and {:.0} per second), p99 {:.0} ms, {} failed",
        run.per_second / to.per_second,
        run.per_second,
        to.per_second,
        run.latency[2] / 1e3,
        run.failed
    );
    during.print(name, "during the load");
    let until = now() + Duration::from_secs(5);
    read(contender.url(), || now() >= until).print(name, "in the five seconds after it");
    let begun = now();
    load::settle(contender.url());
    println!("{name}: the backlog was compacted {:.0} s later", begun.elapsed().as_secs_f64());
}

/// Latencies of readers in milliseconds, and the backlog.
#[derive(Default)]
struct Reads {
    page: Vec<f64>,
    license: Vec<f64>,
    overview: Vec<f64>,
    backlog: Vec<u64>,
}

/// Reads a page of licenses, one license and the overview until `ended` returns true.
fn read(url: &str, ended: impl Fn() -> bool) -> Reads {
    let (agent, mut reads) = (agent(), Reads::default());
    let timed = |path: &str| {
        let begun = now();
        let (status, answer) = call(&agent, url, "GET", path, Some(contender::TOKEN), None).unwrap();
        assert_eq!(status, 200, "{answer}");
        (begun.elapsed().as_secs_f64() * 1e3, answer)
    };
    for turn in 0_u64.. {
        if ended() {
            break;
        }
        let (took, page) = timed("/api/v1/licenses");
        reads.page.push(took);
        let id = page["data"][0]["id"].as_str().unwrap();
        reads.license.push(timed(&format!("/api/v1/licenses/{id}")).0);
        reads.backlog.push(load::backlog(url));
        if turn.is_multiple_of(20) {
            reads.overview.push(timed("/api/v1/usage?limit=1").0);
        }
        thread::sleep(Duration::from_millis(100));
    }
    reads
}

impl Reads {
    fn print(&self, name: &str, when: &str) {
        let of = |samples: &[f64]| {
            let mut sorted = samples.to_vec();
            sorted.sort_unstable_by(f64::total_cmp);
            let at = |percent: usize| sorted[(sorted.len() - 1) * percent / 100];
            format!("{:.0} / {:.0} / {:.0}", at(50), at(99), at(100))
        };
        println!(
            "{name}: {when}, p50 / p99 / max in ms: page of licenses {}, one license {}, overview {}; backlog {} to {}, {} at the end",
            of(&self.page),
            of(&self.license),
            of(&self.overview),
            self.backlog.iter().min().unwrap(),
            self.backlog.iter().max().unwrap(),
            self.backlog.last().unwrap()
        );
    }
}
