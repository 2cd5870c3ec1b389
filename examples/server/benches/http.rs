//! Measures the server under load, relative to a bare axum route. Prints Markdown tables.
//!
//! Run it with `benches/http`, which installs wrk and starts a PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a failed unwrap ends the bench")]
#![expect(clippy::print_stdout, reason = "the bench prints tables")]

#[path = "../../../benches/fill.rs"]
#[expect(dead_code, reason = "the bench `scale` calls more of it")]
mod fill;
#[path = "../tests/server/process.rs"]
#[expect(dead_code, reason = "the tests call more of it")]
mod process;

#[path = "http/contender.rs"]
#[expect(dead_code, reason = "the bench `sustained` calls more of it")]
mod contender;
#[path = "http/handlers.rs"]
mod handlers;
#[path = "http/load.rs"]
#[expect(dead_code, reason = "the bench `sustained` calls more of it")]
mod load;
#[path = "http/table.rs"]
mod table;

use std::process::ExitCode;
use std::rc::Rc;

use clap::Parser;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use tokio::runtime::Runtime;

use contender::{Contender, Entry, Program, Store};
use handlers::Handler;
use load::Requests;
use table::PairedRun;

/// The server's allocator, so that the comparison does not depend on it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the server under load, relative to a bare axum route
#[derive(Parser)]
struct Arguments {
    /// Licenses in each database
    #[arg(long, default_value_t = 100_000)]
    licenses: usize,
    /// Rounds; each has one run per contender and number of connections
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds per run
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Numbers of connections
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64, 256])]
    connections: Vec<usize>,
    /// Short run: 1,000 licenses and 1 round of 1 second per run
    #[arg(long)]
    quick: bool,
    /// Only contenders whose names contain one of these, such as update,postgres; bare is always included
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Omits --recording, for older servers
    #[arg(long)]
    without_recording: bool,
    /// More flags of the server in one argument, such as "--cache-size 1MiB"
    #[arg(long, default_value = "", allow_hyphen_values = true)]
    server_flags: String,
    /// Runs a handler that the server is compared to
    #[arg(long, hide = true)]
    serve: Option<Handler>,
    /// Set by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

impl Arguments {
    /// Returns the contenders of each store, with the bare route first.
    fn groups(&self) -> Vec<Vec<Entry>> {
        let handler = |name: &'static str, store| Entry {
            name: name.to_owned(),
            program: Program::Handler(name),
            store,
        };
        let mut entries = vec![handler("update", Store::Postgres)];
        for (name, store) in
            [("memory", Store::Memory), ("sqlite", Store::Sqlite), ("postgres", Store::Postgres)]
        {
            let modes: &[_] = match store {
                _ if self.without_recording => &[""],
                // The memory store writes nothing, so the modes are equal.
                Store::Memory => &["durable"],
                _ => &["durable", "buffered"],
            };
            for &mode in modes {
                let mut flags: Vec<_> = self.server_flags.split_whitespace().map(str::to_owned).collect();
                if !mode.is_empty() {
                    flags.extend(["--recording".to_owned(), mode.to_owned()]);
                }
                let name = format!("{name} {mode}").trim_end().to_owned();
                entries.push(Entry { name, program: Program::Server(flags), store });
            }
        }
        entries.retain(|entry| {
            self.only.is_empty() || self.only.iter().any(|part| entry.name.contains(part.as_str()))
        });
        let groups = Store::WITH_LICENSES.map(|store| {
            let mut group: Vec<_> = entries.iter().filter(|entry| entry.store == store).cloned().collect();
            if !group.is_empty() {
                group.insert(0, handler("bare", Store::None));
            }
            group
        });
        groups.into_iter().filter(|group| !group.is_empty()).collect()
    }
}

#[expect(clippy::print_stderr, reason = "standard output has only the tables")]
fn progress(text: &str) {
    eprintln!("{text}");
}

fn main() -> ExitCode {
    let mut arguments = Arguments::parse();
    // The server's runtime.
    let runtime = Runtime::new().unwrap();
    if let Some(handler) = arguments.serve {
        runtime.block_on(handlers::serve(handler));
        return ExitCode::SUCCESS;
    }
    if arguments.quick {
        (arguments.licenses, arguments.rounds, arguments.seconds) = (1_000, 1, 1);
    }
    compare(&arguments, &runtime)
}

fn compare(arguments: &Arguments, runtime: &Runtime) -> ExitCode {
    let &Arguments { licenses, rounds, seconds, ref connections, .. } = arguments;
    let (mut groups, mut counts, mut shared) = (Vec::new(), Vec::new(), None);
    for entries in arguments.groups() {
        let (group, counted) = compare_group(arguments, runtime, entries, &mut shared);
        groups.extend((!group.is_empty()).then_some(group));
        counts.extend(counted);
    }
    if groups.is_empty() {
        progress("no contender is selected");
        return ExitCode::FAILURE;
    }
    println!(
        "{licenses} licenses, {rounds} rounds, {seconds} s per run; median ratio to bare over the rounds, and its range"
    );
    for (n, &connections) in connections.iter().enumerate() {
        let of = |(name, runs): &(String, Vec<Vec<_>>)| (name.clone(), runs[n].clone());
        table::print(connections, &groups.iter().flatten().map(of).collect::<Vec<_>>());
    }
    println!();
    for (line, _) in &counts {
        println!("{line}");
    }
    if counts.iter().all(|(_, right)| *right) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Contenders of one store: their names, and the runs of all rounds for each number of connections.
type Group = Vec<(String, Vec<Vec<PairedRun>>)>;

/// Compares the contenders of one store, and removes them with their databases, so that background work of
/// one store does not slow the next. Returns the runs, and for each contender a line about its count and
/// whether the count is right.
fn compare_group(
    arguments: &Arguments,
    runtime: &Runtime,
    entries: Vec<Entry>,
    shared: &mut Option<Rc<Requests>>,
) -> (Group, Vec<(String, bool)>) {
    let &Arguments { licenses, rounds, seconds, ref connections, .. } = arguments;
    let mut entries: Vec<_> = entries.into_iter().enumerate().collect();
    entries.sort_by_key(|(_, entry)| entry.store);
    let mut contenders = Vec::new();
    for (place, entry) in entries {
        // Without its database, a group has no contenders.
        if entry.store == Store::None && contenders.is_empty() {
            return (Vec::new(), Vec::new());
        }
        progress(&format!("{}: filling and starting", entry.name));
        if let Some(mut contender) = Contender::start(runtime, entry, licenses, shared, true) {
            contender.warm();
            contenders.push((place, contender));
        }
    }
    contenders.sort_by_key(|(place, _)| *place);
    let mut contenders = contenders.into_iter().map(|(_, contender)| contender);
    let Some(mut bare) = contenders.next() else { return (Vec::new(), Vec::new()) };
    let mut contenders: Vec<_> = contenders.collect();

    load::wait_until_idle(seconds);
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut runs = vec![vec![Vec::with_capacity(rounds); connections.len()]; contenders.len()];
    for round in 0..rounds {
        for (column, &connections) in connections.iter().enumerate() {
            progress(&format!("round {} of {rounds}: {connections} connections", round + 1));
            for turn in 0..contenders.len() {
                // Rotates, so that each contender follows a different one in each round.
                let n = (turn + round) % contenders.len();
                // Runs the bare route right before, so that noise of the machine affects both.
                let bare = bare.run(connections, seconds, round, &mut rng);
                let run = contenders[n].run(connections, seconds, round, &mut rng);
                runs[n][column].push(PairedRun { run, bare });
            }
        }
    }

    let (mut group, mut counts) = (Vec::new(), Vec::new());
    for (mut contender, runs) in contenders.into_iter().zip(runs) {
        group.push((contender.name.clone(), runs));
        let Some(counted) = contender.counted(runtime) else { continue };
        let Contender { name, answered, unconfirmed, .. } = &contender;
        let right = (*answered..=answered + unconfirmed).contains(&counted);
        let verdict = if right { "right" } else { "**WRONG**" };
        counts.push((
            format!(
                "counted: {name}: {counted}; {answered} answers of 200, at most {unconfirmed} unconfirmed: {verdict}"
            ),
            right,
        ));
    }
    (group, counts)
}
