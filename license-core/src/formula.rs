//! Texts that a spreadsheet would run as formulas.

use std::borrow::Cow;

/// Escapes a value of a caller that a spreadsheet would run as a formula (OWASP: CSV injection).
#[must_use]
pub fn escape_formula(text: &str) -> Cow<'_, str> {
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
