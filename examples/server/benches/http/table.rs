//! What came out, as tables in Markdown.

use crate::load::Run;

/// A run, and bare's before it.
#[derive(Clone)]
pub(crate) struct Raced {
    pub(crate) run: Run,
    pub(crate) bare: Run,
}

/// One figure of every round, lowest first.
struct Rounds(Vec<f64>);

impl Rounds {
    fn new(figures: impl Iterator<Item = f64>) -> Self {
        let mut figures: Vec<_> = figures.collect();
        figures.sort_unstable_by(f64::total_cmp);
        Self(figures)
    }

    /// Each round's ratio.
    fn ratio(pairs: &[(&Run, &Run)], figure: impl Fn(&Run) -> f64) -> Self {
        Self::new(pairs.iter().map(|(run, to)| figure(run) / figure(to)))
    }

    fn middle(&self) -> f64 {
        let (lower, upper) = ((self.0.len() - 1) / 2, self.0.len() / 2);
        f64::midpoint(self.0[lower], self.0[upper])
    }

    fn range(&self) -> String {
        format!("{:.2}–{:.2}", self.0[0], self.0[self.0.len() - 1])
    }
}

/// The runs of contenders with so many connections, one a round.
pub(crate) fn print(connections: usize, contenders: &[(String, Vec<Raced>)]) {
    println!("\n| {connections} connections | requests/s | p50 | p95 | p99 | processor | at rest after |");
    println!("|---|---|---|---|---|---|---|");
    for (name, raced) in contenders {
        let failed = failed(raced.iter().map(|raced| &raced.run));
        let pairs: Vec<_> = raced.iter().map(|raced| (&raced.run, &raced.bare)).collect();
        let speed = Rounds::ratio(&pairs, |run| run.per_second);
        let rest = Rounds::new(raced.iter().map(|raced| raced.run.rest));
        println!(
            "| {name}{failed} | {:.2}x ({}) | {} | {:.1}x | {:.1} s |",
            speed.middle(),
            speed.range(),
            latency(&pairs),
            Rounds::ratio(&pairs, |run| run.cpu).middle(),
            rest.middle()
        );
    }
    let bare = || contenders.iter().flat_map(|(_, raced)| raced.iter().map(|raced| &raced.bare));
    let middle = |figure: &dyn Fn(&Run) -> f64| Rounds::new(bare().map(figure)).middle();
    let millis = |n: usize| middle(&|run| run.latency[n]) / 1e3;
    let failed = failed(bare());
    println!(
        "\nbare{failed}: {:.0} requests/s, p50 {:.2} ms, p95 {:.2} ms, p99 {:.2} ms, {:.0} µs of processor each",
        middle(&|run| run.per_second),
        millis(0),
        millis(1),
        millis(2),
        middle(&|run| run.cpu)
    );
    let find = |names: &[&str]| contenders.iter().find(|(name, _)| names.contains(&name.as_str()));
    // Without modes there is one that is called by its store alone, and durable.
    if let (Some((name, ours)), Some((_, update))) =
        (find(&["postgres", "postgres durable"]), find(&["update"]))
    {
        let pairs: Vec<_> = ours.iter().zip(update).map(|(ours, update)| (&ours.run, &update.run)).collect();
        let speed = Rounds::ratio(&pairs, |run| run.per_second);
        println!(
            "\n{name} to update: {:.2}x the requests/s ({}); p50, p95, p99: {}",
            speed.middle(),
            speed.range(),
            latency(&pairs).replace(" |", ",")
        );
    }
}

/// What to say of requests that were answered otherwise than they should.
fn failed<'a>(runs: impl Iterator<Item = &'a Run>) -> String {
    let failed: u64 = runs.map(|run| run.failed).sum();
    if failed > 0 { format!(", **{failed} failed**") } else { String::new() }
}

/// p50, p95 and p99 of the first of each pair to those of the second.
fn latency(pairs: &[(&Run, &Run)]) -> String {
    let ratio = |n: usize| format!("{:.2}x", Rounds::ratio(pairs, |run| run.latency[n]).middle());
    [ratio(0), ratio(1), ratio(2)].join(" | ")
}
