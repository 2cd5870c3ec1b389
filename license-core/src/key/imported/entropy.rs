//! Estimates how hard it is to guess a key that matches a pattern.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

/// Returns the bits of entropy of the weakest keys that match, rounded down. A pattern that cannot be parsed
/// has none.
pub(super) fn bits(pattern: &str) -> u32 {
    let parsed = ParserBuilder::new().unicode(false).utf8(false).build().parse(pattern);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and `as` limits it"
    )]
    parsed.map_or(0, |hir| weakest(&hir).floor() as u32)
}

fn weakest(hir: &Hir) -> f64 {
    match hir.kind() {
        HirKind::Empty | HirKind::Literal(_) | HirKind::Look(_) => 0.0,
        HirKind::Class(class) => characters(class).log2(),
        HirKind::Repetition(repetition) => f64::from(repetition.min) * weakest(&repetition.sub),
        HirKind::Capture(capture) => weakest(&capture.sub),
        HirKind::Concat(parts) => parts.iter().map(weakest).sum(),
        // The attacker guesses keys of the weakest alternatives only.
        HirKind::Alternation(alternatives) => {
            let bits: Vec<_> = alternatives.iter().map(weakest).collect();
            let least = bits.iter().copied().fold(f64::INFINITY, f64::min);
            let alike = bits.iter().filter(|bits| **bits <= least).map(|_| 1.0).sum::<f64>();
            least + alike.log2()
        }
    }
}

/// Returns the number of printable ASCII characters in the class, at least 1.
fn characters(class: &Class) -> f64 {
    let count = match class {
        Class::Unicode(class) => (' '..='~')
            .filter(|one| class.ranges().iter().any(|r| (r.start()..=r.end()).contains(one)))
            .count(),
        Class::Bytes(class) => (b' '..=b'~')
            .filter(|one| class.ranges().iter().any(|r| (r.start()..=r.end()).contains(one)))
            .count(),
    };
    u32::try_from(count.max(1)).map_or(1.0, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_is_that_of_the_weakest_keys() {
        for (pattern, expected) in [
            ("ABC", 0),
            ("[0-9]", 3),
            ("[0-9]{16}", 53),
            ("[0-9]{19}", 63),
            (r"\d{18}", 59),
            ("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", 128),
            ("(?i)[0-9a-f]{4}", 17),
            ("[A-Z0-9]{5}(-[A-Z0-9]{5}){4}", 129),
            // The fewest repetitions.
            ("[0-9]+", 3),
            ("[0-9]*", 0),
            ("[0-9]{4,40}", 13),
            ("A(-[0-9]{20})?", 0),
            (".{12}", 78),
            // The weakest alternatives, and how many of them there are.
            ("[0-9]{4}|[0-9a-f]{32}", 13),
            ("(AB|CD|EF|GH)[0-9]{10}", 35),
            ("", 0),
            ("(", 0),
        ] {
            assert_eq!(bits(pattern), expected, "{pattern}");
        }
    }
}
