//! Results as Markdown tables.

use crate::load::Run;

/// A run of a contender, and the run of the bare route before it.
#[derive(Clone)]
pub(crate) struct PairedRun {
    pub(crate) run: Run,
    pub(crate) bare: Run,
}

/// A metric of all rounds, sorted.
struct Rounds(Vec<f64>);

impl Rounds {
    fn new(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<_> = values.collect();
        values.sort_unstable_by(f64::total_cmp);
        Self(values)
    }

    /// Returns the ratio of a metric per round.
    fn ratio(pairs: &[(&Run, &Run)], metric: impl Fn(&Run) -> f64) -> Self {
        Self::new(pairs.iter().map(|(run, to)| metric(run) / metric(to)))
    }

    fn median(&self) -> f64 {
        let (lower, upper) = ((self.0.len() - 1) / 2, self.0.len() / 2);
        f64::midpoint(self.0[lower], self.0[upper])
    }

    fn range(&self) -> String {
        format!("{:.2}–{:.2}", self.0[0], self.0[self.0.len() - 1])
    }
}

/// Prints the runs of the contenders with this number of connections.
pub(crate) fn print(connections: usize, contenders: &[(String, Vec<PairedRun>)]) {
    println!("\n| {connections} connections | requests/s | p50 | p95 | p99 | CPU | idle after |");
    println!("|---|---|---|---|---|---|---|");
    for (name, runs) in contenders {
        let failed = failed(runs.iter().map(|round| &round.run));
        let pairs: Vec<_> = runs.iter().map(|round| (&round.run, &round.bare)).collect();
        let speed = Rounds::ratio(&pairs, |run| run.per_second);
        let rest = Rounds::new(runs.iter().map(|round| round.run.rest));
        println!(
            "| {name}{failed} | {:.2}x ({}) | {} | {:.1}x | {:.1} s |",
            speed.median(),
            speed.range(),
            latency(&pairs),
            Rounds::ratio(&pairs, |run| run.cpu).median(),
            rest.median()
        );
    }
    let bare = || contenders.iter().flat_map(|(_, runs)| runs.iter().map(|round| &round.bare));
    let median = |metric: &dyn Fn(&Run) -> f64| Rounds::new(bare().map(metric)).median();
    let millis = |n: usize| median(&|run| run.latency[n]) / 1e3;
    let failed = failed(bare());
    println!(
        "\nbare{failed}: {:.0} requests/s, p50 {:.2} ms, p95 {:.2} ms, p99 {:.2} ms, {:.0} µs of CPU each",
        median(&|run| run.per_second),
        millis(0),
        millis(1),
        millis(2),
        median(&|run| run.cpu)
    );
    let find = |names: &[&str]| contenders.iter().find(|(name, _)| names.contains(&name.as_str()));
    // Without recording modes, the durable contender has the name of its store.
    if let (Some((name, ours)), Some((_, update))) =
        (find(&["postgres", "postgres durable"]), find(&["update"]))
    {
        let pairs: Vec<_> = ours.iter().zip(update).map(|(ours, update)| (&ours.run, &update.run)).collect();
        let speed = Rounds::ratio(&pairs, |run| run.per_second);
        println!(
            "\n{name} to update: {:.2}x the requests/s ({}); p50, p95, p99: {}",
            speed.median(),
            speed.range(),
            latency(&pairs).replace(" |", ",")
        );
    }
}

/// Returns a note on failed requests, if there are any.
fn failed<'a>(runs: impl Iterator<Item = &'a Run>) -> String {
    let failed: u64 = runs.map(|run| run.failed).sum();
    if failed > 0 { format!(", **{failed} failed**") } else { String::new() }
}

/// Returns the ratios of p50, p95 and p99.
fn latency(pairs: &[(&Run, &Run)]) -> String {
    let ratio = |n: usize| format!("{:.2}x", Rounds::ratio(pairs, |run| run.latency[n]).median());
    [ratio(0), ratio(1), ratio(2)].join(" | ")
}
