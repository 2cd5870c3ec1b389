//! Usage as CSV of RFC 4180.

use license_core::formula::escape_formula;
use license_core::usage::{UsageReport, UsageShare, ValidationOutcome};
use license_core::validation::DenialCode;

use super::json::share;
use crate::routes::leases::DENIALS;
use crate::wire;

/// Writes the breakdown if the report has one, otherwise the series.
pub(super) fn csv(report: &UsageReport) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    let all = report.by_outcome.values().sum();
    if let Some(breakdown) = &report.breakdown {
        writer.write_record([breakdown.by.as_str(), "count", "share", "first_at", "last_at"])?;
        for UsageShare { value, sum } in &breakdown.shares {
            writer.write_record([
                escape_formula(value.as_deref().unwrap_or_default()).into_owned(),
                sum.count.to_string(),
                share(sum.count, all).to_string(),
                wire::time_text(sum.first_at),
                wire::time_text(sum.last_at),
            ])?;
        }
        if breakdown.other > 0 {
            let (count, share) = (breakdown.other.to_string(), share(breakdown.other, all).to_string());
            writer.write_record(["(other)", &count, &share, "", ""])?;
        }
    } else {
        let denials = DENIALS.map(DenialCode::as_str);
        writer.write_record(["start", "total", "denied"].into_iter().chain(denials))?;
        for point in &report.series {
            let denials = DENIALS.map(|code| point.by_outcome.get(&ValidationOutcome::Denied(code)).copied());
            let counts = [point.total(), point.denied()].into_iter();
            let counts = counts.chain(denials.map(Option::unwrap_or_default)).map(|count| count.to_string());
            writer.write_record([wire::time_text(point.start)].into_iter().chain(counts))?;
        }
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}
