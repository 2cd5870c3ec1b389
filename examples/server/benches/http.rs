//! The server under load, in ratios to a bare axum route, as tables in Markdown. `benches/http` sees to wrk, starts a
//! PostgreSQL and runs it.

#![expect(clippy::unwrap_used, reason = "a bench that meets the unexpected stops")]
#![expect(clippy::print_stdout, reason = "the tables are what it is for")]

#[path = "../../../benches/fill.rs"]
#[expect(dead_code, reason = "the bench of the stores calls more of it")]
mod fill;
#[path = "../tests/server/process.rs"]
#[expect(dead_code, reason = "made for tests, which call more of it")]
mod process;

#[path = "http/contender.rs"]
#[expect(dead_code, reason = "the bench of a load that goes on calls more of it")]
mod contender;
#[path = "http/handlers.rs"]
mod handlers;
#[path = "http/load.rs"]
#[expect(dead_code, reason = "the bench of a load that goes on calls more of it")]
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
use table::Raced;

/// As the server has it, so that it is none of what is compared.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The server under load, in ratios to a bare axum route.
#[derive(Parser)]
struct Arguments {
    /// Licenses in each database
    #[arg(long, default_value_t = 100_000)]
    licenses: usize,
    /// Rounds; in each, every contender has one run with each number of connections
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each run
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Numbers of connections
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64, 256])]
    connections: Vec<usize>,
    /// A try: 1 round of 1 second a run, 1,000 licenses
    #[arg(long)]
    quick: bool,
    /// Only contenders whose names hold one of these, as in update,postgres; bare takes part beside them
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Leaves --recording out, for a server that does not know it: each store once
    #[arg(long)]
    without_recording: bool,
    /// More flags of our server, in one argument, as in "--cache-size 1MiB"
    #[arg(long, default_value = "", allow_hyphen_values = true)]
    server_flags: String,
    /// Is one of the handlers that the server is compared to
    #[arg(long, hide = true)]
    serve: Option<Handler>,
    /// Comes from cargo
    #[arg(long, hide = true)]
    bench: bool,
}

impl Arguments {
    /// All that take part, bare beside those of each store.
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
                // There is nothing to write later.
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
        let groups = Store::KEEPING.map(|store| {
            let mut group: Vec<_> = entries.iter().filter(|entry| entry.store == store).cloned().collect();
            if !group.is_empty() {
                group.insert(0, handler("bare", Store::None));
            }
            group
        });
        groups.into_iter().filter(|group| !group.is_empty()).collect()
    }
}

#[expect(clippy::print_stderr, reason = "the tables alone go to the output")]
fn say(text: &str) {
    eprintln!("{text}");
}

fn main() -> ExitCode {
    let mut arguments = Arguments::parse();
    // As the server has it.
    let runtime = Runtime::new().unwrap();
    if let Some(handler) = arguments.serve {
        runtime.block_on(handlers::serve(handler));
        return ExitCode::SUCCESS;
    }
    if arguments.quick {
        (arguments.licenses, arguments.rounds, arguments.seconds) = (1_000, 1, 1);
    }
    race(&arguments, &runtime)
}

fn race(arguments: &Arguments, runtime: &Runtime) -> ExitCode {
    let &Arguments { licenses, rounds, seconds, ref connections, .. } = arguments;
    let (mut groups, mut counts, mut shared) = (Vec::new(), Vec::new(), None);
    for entries in arguments.groups() {
        let (group, counted) = race_of(arguments, runtime, entries, &mut shared);
        groups.extend((!group.is_empty()).then_some(group));
        counts.extend(counted);
    }
    if groups.is_empty() {
        say("nobody takes part");
        return ExitCode::FAILURE;
    }
    println!(
        "{licenses} licenses, {rounds} rounds, {seconds} s a run; the middle of the rounds' ratios to bare, and their range"
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

/// Those that raced beside the same bare: their names, and for each number of connections the run of each round, with that of bare
/// before it.
type Group = Vec<(String, Vec<Vec<Raced>>)>;

/// Races those of one store. They are gone afterwards, databases and all: what a database does when it is idle is no burden of those
/// of another. Gives also what each has counted, and whether that is right.
fn race_of(
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
        // A database that is not there has been told of.
        if entry.store == Store::None && contenders.is_empty() {
            return (Vec::new(), Vec::new());
        }
        say(&format!("{}: gets its licenses, and starts", entry.name));
        if let Some(mut contender) = Contender::start(runtime, entry, licenses, shared, true) {
            contender.warm();
            contenders.push((place, contender));
        }
    }
    contenders.sort_by_key(|(place, _)| *place);
    let mut contenders = contenders.into_iter().map(|(_, contender)| contender);
    let Some(mut bare) = contenders.next() else { return (Vec::new(), Vec::new()) };
    let mut contenders: Vec<_> = contenders.collect();

    load::rest(seconds);
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut runs = vec![vec![Vec::with_capacity(rounds); connections.len()]; contenders.len()];
    for round in 0..rounds {
        for (column, &connections) in connections.iter().enumerate() {
            say(&format!("round {} of {rounds}: {connections} connections", round + 1));
            for turn in 0..contenders.len() {
                // Each has another before it in each round.
                let n = (turn + round) % contenders.len();
                // What the machine's other guests do lasts for seconds: it is to meet both.
                let bare = bare.run(connections, seconds, round, &mut rng);
                let run = contenders[n].run(connections, seconds, round, &mut rng);
                runs[n][column].push(Raced { run, bare });
            }
        }
    }

    let (mut group, mut counts) = (Vec::new(), Vec::new());
    for (mut contender, runs) in contenders.into_iter().zip(runs) {
        group.push((contender.name.clone(), runs));
        let Some(counted) = contender.counted(runtime) else { continue };
        let Contender { name, answered, unseen, .. } = &contender;
        let right = (*answered..=answered + unseen).contains(&counted);
        let verdict = if right { "right" } else { "**WRONG**" };
        counts.push((
            format!(
                "counted: {name}: {counted}; {answered} were answered 200, {unseen} more may have been cut off: {verdict}"
            ),
            right,
        ));
    }
    (group, counts)
}
