//! The texts of usage.

use license_core::limits;
use license_core::usage::{Interval, UsageGroup, UsageQuery, ValidationOutcome};
use sqlx::SqlStr;

use crate::sql::dialect::Dialect;
use crate::sql::filing::{day, recorded, rollup_key};
use crate::sql::statements::{sql, unfiled_of};

/// What reports are made of, for one license or for all.
#[derive(Debug)]
pub(in crate::sql) struct ReportStatements {
    /// Sums by slot and outcome, of hours and of days.
    figures_by_hour: SqlStr,
    figures_by_day: SqlStr,
    by_domain: SqlStr,
    by_device: SqlStr,
    by_country: SqlStr,
    /// Single validations, newest first. Behind the range, from the newest that may be given, at most so many.
    pub(in crate::sql) recent: SqlStr,
    /// What rollups that are gone have counted.
    pub(in crate::sql) earlier: SqlStr,
}

/// What a statement is called.
pub(in crate::sql) struct Named {
    pub(in crate::sql) of_license: &'static str,
    pub(in crate::sql) of_all: &'static str,
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

    /// By name.
    pub(in crate::sql) fn texts(&self) -> [(Named, &SqlStr); 3] {
        let named = |of_license, of_all| Named { of_license, of_all };
        [
            (named("figures of a license", "figures of all"), &self.figures_by_day),
            (named("by domain of a license", "by domain of all"), &self.by_domain),
            (named("recent of a license", "recent of all"), &self.recent),
        ]
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
                scope.used::<D>(day!()),
                limits::USAGE_SHARES
            ))
        };
        Self {
            figures_by_hour: figures(HOUR),
            figures_by_day: figures(day!()),
            by_domain: by("domain"),
            by_device: by("device"),
            by_country: by("country"),
            recent: scope.recent::<D>(),
            earlier: SqlStr::from_static(match scope {
                Scope::License => {
                    "SELECT outcome, count AS n, first_at, last_at FROM usage_before WHERE license_id = $1"
                }
                Scope::All => {
                    "SELECT outcome, CAST(SUM(count) AS BIGINT) AS n, MIN(first_at) AS first_at, \
                     MAX(last_at) AS last_at FROM usage_before GROUP BY outcome"
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
    /// Whether anything of before that moment is not filed.
    pub(in crate::sql) old_unfiled: SqlStr,
    /// The last of the oldest so many, before that moment or day.
    pub(in crate::sql) oldest_records: SqlStr,
    pub(in crate::sql) oldest_rollups: SqlStr,
    pub(in crate::sql) keep_records: SqlStr,
    pub(in crate::sql) keep_rollups: SqlStr,
    /// All up to that one.
    pub(in crate::sql) remove_records: SqlStr,
    pub(in crate::sql) remove_rollups: SqlStr,
    pub(in crate::sql) add_earlier: SqlStr,
    pub(in crate::sql) lock_filing: Option<SqlStr>,
}

impl UsageStatements {
    pub(in crate::sql) fn new<D: Dialect>() -> Self {
        let (valid, used) = (ValidationOutcome::Valid, Scope::All.used::<D>(day!()));
        let distinct = |column| {
            format!(
                "(SELECT COUNT(*) FROM (SELECT DISTINCT {column} FROM used \
                 WHERE outcome = '{valid}' AND {column} <> '') AS active)"
            )
        };
        let key = rollup_key!();
        let descending = key.replace(',', " DESC,");
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
            lock_filing: D::LOCK_FILING.map(SqlStr::from_static),
            kept: SqlStr::from_static("SELECT records_from, rollups_from FROM usage_kept"),
            rollups: rollups("", "rollups WHERE 1 = 1", ""),
            rollups_of_license: rollups(
                "WITH RECURSIVE days (day) AS (SELECT MIN(day) FROM rollups WHERE day >= $1 UNION ALL \
                 SELECT (SELECT MIN(rollups.day) FROM rollups WHERE rollups.day > days.day) FROM days \
                 WHERE days.day IS NOT NULL) ",
                &of_days::<D>("$8"),
                &format!(" WHERE {}", unfiled_of::<D>(8)),
            ),
            old_unfiled: SqlStr::from_static("SELECT sequence FROM unfiled WHERE at < $1 LIMIT 1"),
            oldest_records: SqlStr::from_static(
                "SELECT at, sequence FROM (SELECT at, sequence FROM validations WHERE at < $1 \
                 ORDER BY at, sequence LIMIT $2 + 0) AS oldest ORDER BY at DESC, sequence DESC LIMIT 1",
            ),
            oldest_rollups: sql(format!(
                "SELECT {key} FROM (SELECT {key} FROM rollups WHERE day < $1 ORDER BY {key} LIMIT $2 + 0) AS oldest \
                 ORDER BY {descending} DESC LIMIT 1"
            )),
            keep_records: SqlStr::from_static(
                "UPDATE usage_kept SET records_from = $1 WHERE records_from IS NULL OR records_from < $1",
            ),
            keep_rollups: SqlStr::from_static(
                "UPDATE usage_kept SET rollups_from = $1 WHERE rollups_from IS NULL OR rollups_from < $1",
            ),
            remove_records: SqlStr::from_static(
                "DELETE FROM validations WHERE at <= $1 AND (at, sequence) <= ($1, $2) RETURNING sequence",
            ),
            remove_rollups: sql(format!(
                "DELETE FROM rollups WHERE day <= $1 AND ({key}) <= ($1, $2, $3, $4, $5, $6) \
                 RETURNING {key}, count AS n, first_at, last_at"
            )),
            add_earlier: sql(format!(
                "INSERT INTO usage_before (license_id, outcome, count, first_at, last_at) \
                 SELECT value ->> 0, value ->> 1, CAST(value ->> 2 AS BIGINT), CAST(value ->> 3 AS BIGINT), \
                 CAST(value ->> 4 AS BIGINT) FROM {} WHERE 1 = 1 ORDER BY 1, 2 \
                 ON CONFLICT (license_id, outcome) DO UPDATE SET count = usage_before.count + excluded.count, \
                 first_at = CASE WHEN usage_before.first_at < excluded.first_at THEN usage_before.first_at \
                 ELSE excluded.first_at END, last_at = CASE WHEN usage_before.last_at > excluded.last_at \
                 THEN usage_before.last_at ELSE excluded.last_at END",
                D::items(1)
            )),
        }
    }
}

/// Days of a range of which each is looked at, whether anything is of it or not.
const EACH_DAY: u32 = 100;

/// The number of the hour of `at`.
const HOUR: &str = "CASE WHEN at < 0 THEN (at - 3599999999) / 3600000000 ELSE at / 3600000000 END";

/// Whose usage is reported. Parameters: the license, where it is of one; the days, two ranges of single validations, and the
/// whole range, as [`UsageSources`](license_core::usage::UsageSources) has them.
#[derive(Clone, Copy)]
enum Scope {
    License,
    All,
}

impl Scope {
    /// The parameter with that number behind the license.
    fn parameter(self, n: u8) -> String {
        match self {
            Self::License => format!("${}", n + 1),
            Self::All => format!("${n}"),
        }
    }

    fn condition(self) -> &'static str {
        match self {
            Self::License => "license_id = $1 AND ",
            Self::All => "",
        }
    }

    /// Likewise, on `unfiled`.
    fn condition_of_unfiled<D: Dialect>(self) -> String {
        match self {
            Self::License => format!("{} AND ", unfiled_of::<D>(1)),
            Self::All => String::new(),
        }
    }

    /// The table `used`, behind `WITH`: what the sources have, each row a sum.
    fn used<D: Dialect>(self, slot: &str) -> String {
        let [from, days_to] = [1, 2].map(|n| self.parameter(n));
        let (days_from, gathered) = match self {
            Self::License if D::GATHERS => (
                format!("MAX({from}, (SELECT day FROM gathered))"),
                format!(
                    "UNION ALL SELECT day, license_id, outcome, domain, device, country, count, first_at, last_at \
                     FROM gathered_rollups WHERE license_id = $1 AND day >= {from} \
                     AND day < MIN({days_to}, (SELECT day FROM gathered)) "
                ),
            ),
            Self::License | Self::All => (from, String::new()),
        };
        let (filed, unfiled) = (self.condition(), self.condition_of_unfiled::<D>());
        let single = |table: &str, condition: &str, from: u8| {
            let (from, to) = (self.parameter(from), self.parameter(from + 1));
            format!(
                "UNION ALL SELECT {slot}, license_id, outcome, COALESCE(domain, ''), COALESCE(fingerprint, ''), \
                 COALESCE(country, ''), 1, at, at FROM {table} WHERE {condition}at >= {from} AND at < {to}"
            )
        };
        let records = [("validations", filed, 3), ("validations", filed, 5), ("unfiled", &*unfiled, 7)]
            .map(|(table, condition, from)| single(table, condition, from))
            .join(" ");
        let columns = "slot, license_id, outcome, domain, device, country, n, first_at, last_at";
        let rollups = "SELECT rollups.day, rollups.license_id, rollups.outcome, rollups.domain, rollups.device, \
            rollups.country, rollups.count, rollups.first_at, rollups.last_at FROM";
        match self {
            // One look into the index for each day, however many licenses have rollups on it. Of a long range, which may be all
            // times, the days that there are are found by such looks as well: one that is far off costs no more than another.
            Self::License => format!(
                "RECURSIVE days (day) AS (SELECT MIN(day) FROM rollups WHERE day >= {days_from} AND day < {days_to} \
                 UNION ALL SELECT CASE WHEN {days_from} >= {days_to} - {EACH_DAY} \
                 THEN CASE WHEN days.day + 1 < {days_to} THEN days.day + 1 END \
                 ELSE (SELECT MIN(rollups.day) FROM rollups \
                 WHERE rollups.day > days.day AND rollups.day < {days_to}) END FROM days WHERE days.day IS NOT NULL), \
                 used ({columns}) AS NOT MATERIALIZED ({rollups} {} {gathered}{records})",
                of_days::<D>("$1")
            ),
            Self::All => format!(
                "used ({columns}) AS NOT MATERIALIZED \
                 ({rollups} rollups WHERE day >= {days_from} AND day < {days_to} {records})"
            ),
        }
    }

    /// The range, then from where on, then how many.
    fn recent<D: Dialect>(self) -> SqlStr {
        let [from, to, at, sequence, limit] = [1, 2, 3, 4, 5].map(|n| self.parameter(n));
        let of = |table: &str, condition: &str| {
            format!(
                "SELECT * FROM (SELECT sequence, {} FROM {table} WHERE {condition}at >= {from} AND at < {to} \
                 AND (at, sequence) < ({at}, {sequence}) ORDER BY at DESC, sequence DESC LIMIT {limit}) AS recent",
                recorded!()
            )
        };
        sql(format!(
            "SELECT sequence, {} FROM ({} UNION ALL {}) AS recorded ORDER BY at DESC, sequence DESC LIMIT {limit}",
            recorded!(),
            of("validations", self.condition()),
            of("unfiled", &self.condition_of_unfiled::<D>())
        ))
    }
}

/// The rollups of one license, of each day of `days`.
fn of_days<D: Dialect>(license: &str) -> String {
    let columns = concat!(rollup_key!(), ", count, first_at, last_at");
    let condition = format!("rollups.day = days.day AND rollups.license_id = {license}");
    D::looked_up("days", "rollups", columns, &condition)
}

/// A page of rollups behind the key in parameters 1 to 6, at most `$7`: of both what is filed and what is not, the first so
/// many by key, and then those of both together.
fn rollups(with: &str, from: &str, unfiled_of_license: &str) -> SqlStr {
    let key = rollup_key!();
    let full = key.split(", ").map(|column| format!("rollups.{column}")).collect::<Vec<_>>().join(", ");
    let behind = "($1, $2, $3, $4, $5, $6)";
    sql(format!(
        "{with}SELECT {key}, CAST(SUM(n) AS BIGINT) AS n, MIN(first_at) AS first_at, MAX(last_at) AS last_at FROM \
         (SELECT * FROM (SELECT {full}, rollups.count AS n, rollups.first_at, rollups.last_at FROM {from} \
         AND ({full}) > {behind} ORDER BY {full} LIMIT $7 + 0) AS filed \
         UNION ALL SELECT * FROM (SELECT {} AS day, license_id, outcome, COALESCE(domain, '') AS domain, \
         COALESCE(fingerprint, '') AS device, COALESCE(country, '') AS country, 1 AS n, at AS first_at, at AS last_at \
         FROM unfiled{unfiled_of_license}) AS unfiled_sums WHERE ({key}) > {behind}) AS sums \
         GROUP BY {key} ORDER BY {key} LIMIT $7 + 0",
        day!()
    ))
}
