//! The texts of usage.

use license_core::limits;
use license_core::usage::{Interval, UsageGroup, UsageQuery, ValidationOutcome};
use sqlx::SqlStr;

use crate::sql::compaction::{ROLLUP_KEY, day};
use crate::sql::dialect::Dialect;
use crate::sql::statements::{AS_OF, sql};

/// The columns of a single validation.
const VALIDATION: &str =
    "sequence, license_id, at, outcome, domain, device, country, region, client, covered_by";

/// What reports are made of, for one license or for all.
#[derive(Debug)]
pub(in crate::sql) struct ReportStatements {
    /// Sums by slot and outcome, of hours and of days.
    figures_by_hour: SqlStr,
    figures_by_day: SqlStr,
    by_domain: SqlStr,
    by_device: SqlStr,
    by_country: SqlStr,
    /// What rollups that are gone have counted.
    pub(in crate::sql) earlier: SqlStr,
}

impl ReportStatements {
    pub(in crate::sql) fn figures(&self, query: &UsageQuery) -> &SqlStr {
        match query.interval {
            Some(Interval::Hour) => &self.figures_by_hour,
            Some(Interval::Day | Interval::Month) | None => &self.figures_by_day,
        }
    }

    /// `None`: the figures tell.
    pub(in crate::sql) fn shares(&self, group: UsageGroup) -> Option<&SqlStr> {
        match group {
            UsageGroup::Outcome => None,
            UsageGroup::Domain => Some(&self.by_domain),
            UsageGroup::Device => Some(&self.by_device),
            UsageGroup::Country => Some(&self.by_country),
        }
    }

    /// The statements that differ in what they look up, by name.
    #[cfg(test)]
    pub(in crate::sql) fn texts(&self) -> [(&'static str, &SqlStr); 2] {
        [("figures", &self.figures_by_day), ("by domain", &self.by_domain)]
    }

    fn new<D: Dialect>(scope: Scope) -> Self {
        let figures = |slot| {
            sql(format!(
                "WITH {} SELECT slot, outcome, CAST(SUM(n) AS BIGINT) AS n, MIN(first_at) AS first_at, \
                 MAX(last_at) AS last_at FROM used GROUP BY slot, outcome",
                scope.used::<D>(slot)
            ))
        };
        let by = |column| {
            sql(format!(
                "WITH {} SELECT NULLIF({column}, '') AS value, CAST(SUM(n) AS BIGINT) AS n, \
                 MIN(first_at) AS first_at, MAX(last_at) AS last_at \
                 FROM used GROUP BY {column} ORDER BY SUM(n) DESC, {column} LIMIT {}",
                scope.used::<D>(&day("at")),
                limits::USAGE_SHARES
            ))
        };
        Self {
            figures_by_hour: figures(HOUR),
            figures_by_day: figures(&day("at")),
            by_domain: by("domain"),
            by_device: by("device"),
            by_country: by("country"),
            earlier: SqlStr::from_static(match scope {
                Scope::License => {
                    "SELECT outcome, count AS n, first_at, last_at FROM pruned_usage WHERE license_id = $1"
                }
                Scope::All => {
                    "SELECT outcome, CAST(SUM(count) AS BIGINT) AS n, MIN(first_at) AS first_at, \
                     MAX(last_at) AS last_at FROM pruned_usage GROUP BY outcome"
                }
            }),
        }
    }
}

#[derive(Debug)]
pub(in crate::sql) struct UsageStatements {
    pub(in crate::sql) of_license: ReportStatements,
    pub(in crate::sql) of_all: ReportStatements,
    pub(in crate::sql) active: SqlStr,
    pub(in crate::sql) top_licenses: SqlStr,
    pub(in crate::sql) by_plan: SqlStr,
    pub(in crate::sql) kept: SqlStr,
    pub(in crate::sql) rollups: SqlStr,
    pub(in crate::sql) rollups_of_license: SqlStr,
    pub(in crate::sql) as_of: SqlStr,
    /// The latest day from `$1` to `$2` on which the license `$3` has single validations.
    pub(in crate::sql) recent_day: SqlStr,
    /// Single validations of the day `$1` and the license `$2`, newest first: from `$3` to before `$4`, behind the time `$5` and the
    /// sequence `$6`, at most `$7`.
    pub(in crate::sql) recent_of_day: SqlStr,
    /// The same of all licenses and days: `$1` to `$5`.
    pub(in crate::sql) recent_of_all: SqlStr,
    /// The last of the oldest so many, before that moment or day.
    pub(in crate::sql) oldest_records: SqlStr,
    pub(in crate::sql) oldest_rollups: SqlStr,
    pub(in crate::sql) keep_records: SqlStr,
    pub(in crate::sql) keep_rollups: SqlStr,
    /// All up to that one.
    pub(in crate::sql) remove_records: SqlStr,
    pub(in crate::sql) remove_rollups: SqlStr,
    pub(in crate::sql) add_earlier: SqlStr,
}

impl UsageStatements {
    pub(in crate::sql) fn new<D: Dialect>() -> Self {
        let (valid, used) = (ValidationOutcome::Valid, Scope::All.used::<D>(&day("at")));
        let distinct = |column| {
            format!(
                "(SELECT COUNT(*) FROM (SELECT DISTINCT {column} FROM used \
                 WHERE outcome = '{valid}' AND {column} <> '') AS active)"
            )
        };
        let key = ROLLUP_KEY;
        let descending = key.replace(',', " DESC,");
        let recent = |condition: &str, from: u8| {
            let [start, end, at, sequence, limit] = [0, 1, 2, 3, 4].map(|n| format!("${}", from + n));
            sql(format!(
                "SELECT {VALIDATION} FROM validations WHERE {condition}at >= {start} AND at < {end} \
                 AND (at, sequence) < ({at}, {sequence}) ORDER BY at DESC, sequence DESC LIMIT {limit} + 0"
            ))
        };
        Self {
            of_license: ReportStatements::new::<D>(Scope::License),
            of_all: ReportStatements::new::<D>(Scope::All),
            active: sql(format!(
                "WITH {used} SELECT {} AS domains, {} AS devices",
                distinct("domain"),
                distinct("device")
            )),
            top_licenses: sql(format!(
                "WITH {used} SELECT license_id, CAST(SUM(n) AS BIGINT) AS n FROM used WHERE outcome = '{valid}' \
                 GROUP BY license_id ORDER BY SUM(n) DESC, license_id LIMIT {}",
                limits::TOP_LICENSES
            )),
            by_plan: sql(format!(
                "WITH {used} SELECT licenses.plan AS plan, COUNT(CASE WHEN valid > 0 THEN 1 END) AS active, \
                 CAST(SUM(valid) AS BIGINT) AS valid, CAST(SUM(n - valid) AS BIGINT) AS denied \
                 FROM (SELECT license_id, SUM(CASE WHEN outcome = '{valid}' THEN n ELSE 0 END) AS valid, \
                 SUM(n) AS n FROM used GROUP BY license_id) AS of_license \
                 JOIN licenses ON licenses.id = of_license.license_id GROUP BY licenses.plan ORDER BY licenses.plan"
            )),
            kept: SqlStr::from_static("SELECT records_from, rollups_from FROM retention"),
            as_of: sql(format!("SELECT {AS_OF}")),
            recent_day: SqlStr::from_static(
                "WITH RECURSIVE days (day) AS (SELECT MAX(day) FROM validations WHERE day >= $1 AND day <= $2 UNION ALL \
                 SELECT (SELECT MAX(v.day) FROM validations v WHERE v.day >= $1 AND v.day < days.day) FROM days \
                 WHERE days.day IS NOT NULL AND NOT EXISTS (SELECT 1 FROM validations v WHERE v.day = days.day \
                 AND v.license_id = $3)) \
                 SELECT CASE WHEN COUNT(*) = COUNT(day) THEN MIN(day) END AS day FROM days",
            ),
            recent_of_day: recent("day = $1 AND license_id = $2 AND ", 3),
            recent_of_all: recent("", 1),
            rollups: sql(format!(
                "SELECT {key}, count AS n, first_at, last_at FROM rollups WHERE ({key}) > ($1, $2, $3, $4, $5, $6) \
                 ORDER BY {key} LIMIT $7 + 0"
            )),
            rollups_of_license: sql(format!(
                "WITH RECURSIVE {} SELECT rollups.day, rollups.license_id, rollups.outcome, rollups.domain, \
                 rollups.device, rollups.country, rollups.count AS n, rollups.first_at, rollups.last_at FROM {} \
                 AND (rollups.day, rollups.license_id, rollups.outcome, rollups.domain, rollups.device, rollups.country) \
                 > ($1, $2, $3, $4, $5, $6) ORDER BY 1, 2, 3, 4, 5, 6 LIMIT $7 + 0",
                days_of("days", "rollups", "day >= $1"),
                rollups_of_days::<D>("$8")
            )),
            oldest_records: SqlStr::from_static(
                "SELECT day, license_id, at, sequence FROM (SELECT day, license_id, at, sequence FROM validations \
                 WHERE day < $1 ORDER BY day, license_id, at, sequence LIMIT $2 + 0) AS oldest \
                 ORDER BY day DESC, license_id DESC, at DESC, sequence DESC LIMIT 1",
            ),
            oldest_rollups: sql(format!(
                "SELECT {key} FROM (SELECT {key} FROM rollups WHERE day < $1 ORDER BY {key} LIMIT $2 + 0) AS oldest \
                 ORDER BY {descending} DESC LIMIT 1"
            )),
            keep_records: SqlStr::from_static(
                "UPDATE retention SET records_from = $1 WHERE records_from IS NULL OR records_from < $1",
            ),
            keep_rollups: SqlStr::from_static(
                "UPDATE retention SET rollups_from = $1 WHERE rollups_from IS NULL OR rollups_from < $1",
            ),
            remove_records: SqlStr::from_static(
                "DELETE FROM validations WHERE day <= $1 AND (day, license_id, at, sequence) <= ($1, $2, $3, $4) \
                 RETURNING sequence",
            ),
            remove_rollups: sql(format!(
                "DELETE FROM rollups WHERE day <= $1 AND ({key}) <= ($1, $2, $3, $4, $5, $6) \
                 RETURNING {key}, count AS n, first_at, last_at"
            )),
            add_earlier: sql(format!(
                "INSERT INTO pruned_usage (license_id, outcome, count, first_at, last_at) \
                 SELECT value ->> 0, value ->> 1, CAST(value ->> 2 AS BIGINT), CAST(value ->> 3 AS BIGINT), \
                 CAST(value ->> 4 AS BIGINT) FROM {} WHERE 1 = 1 ORDER BY 1, 2 \
                 ON CONFLICT (license_id, outcome) DO UPDATE SET count = pruned_usage.count + excluded.count, \
                 first_at = CASE WHEN pruned_usage.first_at < excluded.first_at THEN pruned_usage.first_at \
                 ELSE excluded.first_at END, last_at = CASE WHEN pruned_usage.last_at > excluded.last_at \
                 THEN pruned_usage.last_at ELSE excluded.last_at END",
                D::items(1)
            )),
        }
    }
}

/// The number of the hour of `at`.
const HOUR: &str = "CASE WHEN at < 0 THEN (at - 3599999999) / 3600000000 ELSE at / 3600000000 END";

/// Whose usage is reported. Parameters: the license, if it is of one; then the days and two ranges of single validations, as
/// [`UsageSources`](license_core::usage::UsageSources) has them.
#[derive(Clone, Copy)]
enum Scope {
    License,
    All,
}

impl Scope {
    /// The table `used`, behind `WITH`: each row is a sum.
    fn used<D: Dialect>(self, slot: &str) -> String {
        let columns = "slot, license_id, outcome, domain, device, country, n, first_at, last_at";
        let rollups = "SELECT rollups.day, rollups.license_id, rollups.outcome, rollups.domain, rollups.device, \
            rollups.country, rollups.count, rollups.first_at, rollups.last_at FROM";
        let single = format!(
            "SELECT {slot}, license_id, outcome, COALESCE(domain, ''), COALESCE(device, ''), COALESCE(country, ''), \
             1, at, at FROM"
        );
        match self {
            // Days that have rows are found by one look into the index each, and then those of the license.
            Self::License => {
                let within = |from: u8| {
                    let [start, end] = [from, from + 1].map(|n| format!("CAST(${n} AS BIGINT)"));
                    let (first, last) = (day(&start), day(&format!("({end} - 1)")));
                    format!("day >= {first} AND day <= {last} AND {start} < {end}")
                };
                let records = |days: &str, from: u8| {
                    let looked_up = D::looked_up(
                        days,
                        "validations",
                        "license_id, at, outcome, domain, device, country",
                        &format!(
                            "validations.day = {days}.day AND validations.license_id = $1 AND validations.at >= ${from} \
                             AND validations.at < ${}",
                            from + 1
                        ),
                    );
                    format!("{single} {looked_up}")
                };
                format!(
                    "RECURSIVE {}, {}, {}, used ({columns}) AS NOT MATERIALIZED ({rollups} {} UNION ALL {} UNION ALL {})",
                    days_of("days", "rollups", "day >= $2 AND day < $3"),
                    days_of("first_days", "validations", &within(4)),
                    days_of("last_days", "validations", &within(6)),
                    rollups_of_days::<D>("$1"),
                    records("first_days", 4),
                    records("last_days", 6)
                )
            }
            Self::All => format!(
                "used ({columns}) AS NOT MATERIALIZED ({rollups} rollups WHERE day >= $1 AND day < $2 \
                 UNION ALL {single} validations WHERE at >= $3 AND at < $4 \
                 UNION ALL {single} validations WHERE at >= $5 AND at < $6)"
            ),
        }
    }
}

/// A recursive table `name` of the days of `table` that fulfil `condition`, then NULL: each is found by one look into the index.
fn days_of(name: &str, table: &str, condition: &str) -> String {
    format!(
        "{name} (day) AS (SELECT MIN(day) FROM {table} WHERE {condition} UNION ALL \
         SELECT (SELECT MIN(day) FROM {table} WHERE {condition} AND {table}.day > {name}.day) FROM {name} \
         WHERE {name}.day IS NOT NULL)"
    )
}

/// The rollups of one license, of each day of `days`.
fn rollups_of_days<D: Dialect>(license: &str) -> String {
    let columns = format!("{ROLLUP_KEY}, count, first_at, last_at");
    let condition = format!("rollups.day = days.day AND rollups.license_id = {license}");
    D::looked_up("days", "rollups", &columns, &condition)
}
