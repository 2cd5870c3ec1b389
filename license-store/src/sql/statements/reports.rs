//! SQL of usage reports.

use license_core::limits;
use license_core::usage::{Interval, UsageGroup, UsageQuery, ValidationOutcome};
use sqlx::SqlStr;

use super::fragments::{AS_OF, ROLLUP_KEY, day, sql};
use crate::sql::dialect::Dialect;

/// The columns of a single validation.
const VALIDATION: &str =
    "sequence, license_id, at, outcome, domain, device, country, region, client, covered_by";

/// Statements of reports on one license or on all.
#[derive(Debug)]
pub(crate) struct ScopedStatements {
    sums_by_hour: SqlStr,
    sums_by_day: SqlStr,
    by_domain: SqlStr,
    by_device: SqlStr,
    by_country: SqlStr,
    /// Counts of pruned rollups.
    pub(crate) pruned: SqlStr,
}

impl ScopedStatements {
    /// Sums by interval and outcome.
    pub(crate) fn sums(&self, query: &UsageQuery) -> &SqlStr {
        match query.interval {
            Some(Interval::Hour) => &self.sums_by_hour,
            Some(Interval::Day | Interval::Month) | None => &self.sums_by_day,
        }
    }

    /// Sums by a group; `None` for outcomes, which [`sums`](Self::sums) has.
    pub(crate) fn shares(&self, group: UsageGroup) -> Option<&SqlStr> {
        match group {
            UsageGroup::Outcome => None,
            UsageGroup::Domain => Some(&self.by_domain),
            UsageGroup::Device => Some(&self.by_device),
            UsageGroup::Country => Some(&self.by_country),
        }
    }

    fn new<D: Dialect>(scope: ReportScope) -> Self {
        let sums = |slot| {
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
            sums_by_hour: sums(HOUR),
            sums_by_day: sums(&day("at")),
            by_domain: by("domain"),
            by_device: by("device"),
            by_country: by("country"),
            pruned: SqlStr::from_static(match scope {
                ReportScope::License => {
                    "SELECT outcome, count AS n, first_at, last_at FROM pruned_usage WHERE license_id = $1"
                }
                ReportScope::All => {
                    "SELECT outcome, CAST(SUM(count) AS BIGINT) AS n, MIN(first_at) AS first_at, \
                     MAX(last_at) AS last_at FROM pruned_usage GROUP BY outcome"
                }
            }),
        }
    }
}

#[derive(Debug)]
pub(crate) struct ReportStatements {
    pub(crate) of_license: ScopedStatements,
    pub(crate) of_all: ScopedStatements,
    pub(crate) active: SqlStr,
    pub(crate) top_licenses: SqlStr,
    pub(crate) by_plan: SqlStr,
    pub(crate) as_of: SqlStr,
    /// The latest day from `$1` to `$2` on which the license `$3` has single validations.
    pub(crate) recent_day: SqlStr,
    /// Single validations of the day `$1` and the license `$2`, newest first: from `$3` to before `$4`, after
    /// the time `$5` and the sequence `$6`, at most `$7`.
    pub(crate) recent_of_day: SqlStr,
    /// As `recent_of_day`, of all licenses and days: `$1` to `$5`.
    pub(crate) recent_of_all: SqlStr,
}

impl ReportStatements {
    pub(crate) fn new<D: Dialect>() -> Self {
        let (valid, used) = (ValidationOutcome::Valid, ReportScope::All.used::<D>(&day("at")));
        let distinct = |column| {
            format!(
                "(SELECT COUNT(*) FROM (SELECT DISTINCT {column} FROM used \
                 WHERE outcome = '{valid}' AND {column} <> '') AS active)"
            )
        };
        let recent = |condition: &str, from: u8| {
            let [start, end, at, sequence, limit] = [0, 1, 2, 3, 4].map(|n| format!("${}", from + n));
            sql(format!(
                "SELECT {VALIDATION} FROM validations WHERE {condition}at >= {start} AND at < {end} \
                 AND (at, sequence) < ({at}, {sequence}) ORDER BY at DESC, sequence DESC LIMIT {limit} + 0"
            ))
        };
        Self {
            of_license: ScopedStatements::new::<D>(ReportScope::License),
            of_all: ScopedStatements::new::<D>(ReportScope::All),
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
        }
    }

    /// All statements by name, for `EXPLAIN`.
    #[cfg(test)]
    pub(crate) fn by_name(&self) -> Vec<(&'static str, &str)> {
        let Self {
            of_license,
            of_all,
            active,
            top_licenses,
            by_plan,
            recent_day,
            recent_of_day,
            recent_of_all,
            ..
        } = self;
        let named = [
            ("sums of a license", &of_license.sums_by_day),
            ("by domain of a license", &of_license.by_domain),
            ("sums of all", &of_all.sums_by_day),
            ("by domain of all", &of_all.by_domain),
            ("active of all", active),
            ("top licenses of all", top_licenses),
            ("by plan of all", by_plan),
            ("recent day of a license", recent_day),
            ("recent of a license", recent_of_day),
            ("recent of all", recent_of_all),
        ];
        named.map(|(name, sql)| (name, sql.as_str())).into()
    }
}

/// The number of the hour of `at`.
const HOUR: &str = "CASE WHEN at < 0 THEN (at - 3599999999) / 3600000000 ELSE at / 3600000000 END";

/// Whose usage is reported. Parameters: the license, if it is one; then the days and two ranges of single
/// validations, as in [`UsageSources`](license_core::usage::UsageSources).
#[derive(Clone, Copy)]
enum ReportScope {
    License,
    All,
}

impl ReportScope {
    /// The table `used`, for a `WITH` clause: each row is a sum.
    fn used<D: Dialect>(self, slot: &str) -> String {
        let columns = "slot, license_id, outcome, domain, device, country, n, first_at, last_at";
        let rollups = "SELECT rollups.day, rollups.license_id, rollups.outcome, rollups.domain, rollups.device, \
            rollups.country, rollups.count, rollups.first_at, rollups.last_at FROM";
        let single = format!(
            "SELECT {slot}, license_id, outcome, COALESCE(domain, ''), COALESCE(device, ''), COALESCE(country, ''), \
             1, at, at FROM"
        );
        match self {
            // Finds each day that has rows by one look into the index, and then the rows of the license.
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

/// A recursive table `name` of the days of `table` that match `condition`, then NULL. Each takes one look
/// into the index.
pub(crate) fn days_of(name: &str, table: &str, condition: &str) -> String {
    format!(
        "{name} (day) AS (SELECT MIN(day) FROM {table} WHERE {condition} UNION ALL \
         SELECT (SELECT MIN(day) FROM {table} WHERE {condition} AND {table}.day > {name}.day) FROM {name} \
         WHERE {name}.day IS NOT NULL)"
    )
}

/// The rollups of one license on each day of `days`.
pub(crate) fn rollups_of_days<D: Dialect>(license: &str) -> String {
    let columns = format!("{ROLLUP_KEY}, count, first_at, last_at");
    let condition = format!("rollups.day = days.day AND rollups.license_id = {license}");
    D::looked_up("days", "rollups", &columns, &condition)
}
