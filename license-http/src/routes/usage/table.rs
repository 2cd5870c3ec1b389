//! Usage as CSV of RFC 4180.

use std::borrow::Cow;

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

/// Escapes a value of a caller that a spreadsheet would run as a formula (OWASP: CSV injection).
pub(in crate::routes) fn escape_formula(text: &str) -> Cow<'_, str> {
    // Spreadsheets ignore these in front of a formula, or import them as the end of the cell before.
    let ignored = |c: char| c.is_whitespace() || c.is_control() || is_invisible(c);
    let starts_formula = text.trim_start_matches(ignored).starts_with([
        '=', '+', '-', '@', // ASCII
        '＝', '＋', '－', '＠', // full width
        '﹦', '﹢', '﹣', '﹫', // small forms
        '−',  // minus sign
    ]);
    if starts_formula || text.starts_with(['\t', '\r', '\n']) {
        format!("'{text}").into()
    } else {
        text.into()
    }
}

/// Returns whether a character has no width: byte order marks, joiners, marks of direction.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{AD}' | '\u{61C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{FEFF}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_escaped() {
        for (text, expected) in [
            ("example.com", "example.com"),
            ("*.example.com", "*.example.com"),
            ("=HYPERLINK(\"http://evil\")", "'=HYPERLINK(\"http://evil\")"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\u{feff}=1+1", "'\u{feff}=1+1"),
            ("\u{feff}\u{feff}@x", "'\u{feff}\u{feff}@x"),
            ("＝1+1", "'＝1+1"),
            ("＋1", "'＋1"),
            ("－1", "'－1"),
            ("＠x", "'＠x"),
            ("﹦1", "'﹦1"),
            ("−1", "'−1"),
            (" =1", "' =1"),
            ("\u{a0}=1", "'\u{a0}=1"),
            ("\u{200b}+1", "'\u{200b}+1"),
            ("\0=1", "'\0=1"),
            ("\tx", "'\tx"),
            ("\nx", "'\nx"),
            ("\u{feff}example.com", "\u{feff}example.com"),
            ("a=1", "a=1"),
            ("größe 1", "größe 1"),
            ("", ""),
        ] {
            assert_eq!(escape_formula(text), expected);
        }
    }
}
