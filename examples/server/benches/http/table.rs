//! What came out, as tables in Markdown.

use crate::load::Run;

/// One figure of every round, lowest first.
struct Rounds(Vec<f64>);

impl Rounds {
    fn new(figures: impl Iterator<Item = f64>) -> Self {
        let mut figures: Vec<_> = figures.collect();
        figures.sort_unstable_by(f64::total_cmp);
        Self(figures)
    }

    /// Each round's ratio.
    fn ratio(runs: &[Run], to: &[Run], figure: impl Fn(&Run) -> f64) -> Self {
        Self::new(runs.iter().zip(to).map(|(run, to)| figure(run) / figure(to)))
    }

    fn middle(&self) -> f64 {
        let (lower, upper) = ((self.0.len() - 1) / 2, self.0.len() / 2);
        f64::midpoint(self.0[lower], self.0[upper])
    }

    fn range(&self) -> String {
        format!("{:.2}–{:.2}", self.0[0], self.0[self.0.len() - 1])
    }
}

/// The runs of contenders with so many connections, one a round. Those of a group are compared to its first.
pub(crate) fn print(connections: usize, groups: &[Vec<(String, Vec<Run>)>]) {
    println!("\n| {connections} connections | requests/s | p50 | p95 | p99 | processor | at rest after |");
    println!("|---|---|---|---|---|---|---|");
    let rows = groups.iter().flat_map(|group| group.iter().map(|(name, runs)| (name, runs, &group[0].1)));
    for (name, runs, bare) in rows {
        let failed: u64 = runs.iter().map(|run| run.failed).sum();
        let failed = if failed > 0 { format!(", **{failed} failed**") } else { String::new() };
        let speed = Rounds::ratio(runs, bare, |run| run.per_second);
        let rest = Rounds::new(runs.iter().map(|run| run.rest));
        println!(
            "| {name}{failed} | {:.2}x ({}) | {} | {:.1}x | {:.1} s |",
            speed.middle(),
            speed.range(),
            latency(runs, bare),
            Rounds::ratio(runs, bare, |run| run.cpu).middle(),
            rest.middle()
        );
    }
    let bare = || groups.iter().flat_map(|group| &group[0].1);
    let middle = |figure: &dyn Fn(&Run) -> f64| Rounds::new(bare().map(figure)).middle();
    let millis = |n: usize| middle(&|run| run.latency[n]) / 1e3;
    println!(
        "\nbare: {:.0} requests/s, p50 {:.2} ms, p95 {:.2} ms, p99 {:.2} ms, {:.0} µs of processor each",
        middle(&|run| run.per_second),
        millis(0),
        millis(1),
        millis(2),
        middle(&|run| run.cpu)
    );
    let find = |names: &[&str]| groups.iter().flatten().find(|(name, _)| names.contains(&name.as_str()));
    // Without modes there is one that is called by its store alone, and durable.
    if let (Some((name, ours)), Some((_, update))) =
        (find(&["postgres", "postgres durable"]), find(&["update"]))
    {
        let speed = Rounds::ratio(ours, update, |run| run.per_second);
        println!(
            "\n{name} to update: {:.2}x the requests/s ({}); p50, p95, p99: {}",
            speed.middle(),
            speed.range(),
            latency(ours, update).replace(" |", ",")
        );
    }
}

/// p50, p95 and p99 of `runs` to those of `to`.
fn latency(runs: &[Run], to: &[Run]) -> String {
    let ratio = |n: usize| format!("{:.2}x", Rounds::ratio(runs, to, |run| run.latency[n]).middle());
    [ratio(0), ratio(1), ratio(2)].join(" | ")
}
