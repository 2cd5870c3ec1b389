//! The common shape of keys, to propose a format for them.

use crate::limits;

/// Collects keys that no format matches. Holds no key, only classes of characters and lengths.
#[derive(Debug, Default)]
pub(crate) struct KeyShape {
    /// The parts that all keys have, or `None` if they differ.
    parts: Option<Vec<Part>>,
    /// All characters of the keys, and their lengths.
    all: Run,
    separators: Vec<char>,
    keys: u64,
}

/// A part of a key.
#[derive(Clone, Debug)]
enum Part {
    Run(Run),
    Separator(char),
}

/// Letters and digits in a row.
#[derive(Clone, Debug, Default)]
struct Run {
    upper: bool,
    lower: bool,
    digit: bool,
    /// The fewest and the most characters.
    lengths: Option<(usize, usize)>,
}

impl KeyShape {
    /// Adds a key. Ignores texts that no format can match.
    pub(crate) fn add(&mut self, key: &str) {
        let printable = key.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        if !printable || !(1..=limits::IMPORTED_KEY_BYTES).contains(&key.len()) {
            return;
        }
        let parts = parts(key);
        for part in &parts {
            match part {
                Part::Run(run) => self.all.merge_classes(run),
                Part::Separator(one) if !self.separators.contains(one) => self.separators.push(*one),
                Part::Separator(_) => {}
            }
        }
        self.all.merge_lengths((key.len(), key.len()));
        self.parts = match (self.keys, self.parts.take()) {
            (0, _) => Some(parts),
            (_, before) => before.and_then(|before| merge(before, &parts)),
        };
        self.keys += 1;
    }

    /// Returns a pattern that matches all keys, if one is short enough.
    pub(crate) fn pattern(&self) -> Option<String> {
        let of_parts = self.parts.as_ref().map(|parts| parts.iter().map(Part::pattern).collect::<String>());
        let fits = |pattern: &String| (1..=limits::IMPORTED_FORMAT_PATTERN_BYTES).contains(&pattern.len());
        let (class, times) = (self.all.class(), self.all.times());
        let separators = self.separators.iter().map(|one| escaped(*one)).collect::<String>();
        let of_all = (self.keys > 0).then(|| format!("[{class}{separators}]{times}"));
        of_parts.filter(fits).or(of_all).filter(fits)
    }
}

impl Part {
    fn pattern(&self) -> String {
        match self {
            Self::Run(run) => format!("[{}]{}", run.class(), run.times()),
            Self::Separator('-') => "-".to_owned(),
            Self::Separator(one) => escaped(*one),
        }
    }
}

impl Run {
    fn class(&self) -> String {
        let classes = [(self.upper, "A-Z"), (self.lower, "a-z"), (self.digit, "0-9")];
        classes.iter().filter_map(|(used, class)| used.then_some(*class)).collect()
    }

    fn times(&self) -> String {
        match self.lengths {
            Some((least, most)) if least < most => format!("{{{least},{most}}}"),
            Some((least, _)) => format!("{{{least}}}"),
            None => String::new(),
        }
    }

    fn merge_classes(&mut self, other: &Self) {
        self.upper |= other.upper;
        self.lower |= other.lower;
        self.digit |= other.digit;
    }

    fn merge_lengths(&mut self, (least, most): (usize, usize)) {
        let before = self.lengths.unwrap_or((least, most));
        self.lengths = Some((before.0.min(least), before.1.max(most)));
    }
}

/// Escapes a character that has a meaning in a pattern or in a class of one.
fn escaped(one: char) -> String {
    if r"\.+*?()|[]{}^$#&-~".contains(one) { format!("\\{one}") } else { one.to_string() }
}

/// Splits a key into runs and separators.
fn parts(key: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    for one in key.chars() {
        if !one.is_ascii_alphanumeric() {
            parts.push(Part::Separator(one));
            continue;
        }
        if !matches!(parts.last(), Some(Part::Run(_))) {
            parts.push(Part::Run(Run::default()));
        }
        if let Some(Part::Run(run)) = parts.last_mut() {
            run.upper |= one.is_ascii_uppercase();
            run.lower |= one.is_ascii_lowercase();
            run.digit |= one.is_ascii_digit();
            let length = run.lengths.map_or(1, |(length, _)| length + 1);
            run.lengths = Some((length, length));
        }
    }
    parts
}

/// Merges the parts of a key into those of earlier keys, unless they differ in more than letters and lengths.
fn merge(mut before: Vec<Part>, parts: &[Part]) -> Option<Vec<Part>> {
    if before.len() != parts.len() {
        return None;
    }
    for pair in before.iter_mut().zip(parts) {
        match pair {
            (Part::Run(before), Part::Run(run)) => {
                before.merge_classes(run);
                before.merge_lengths(run.lengths?);
            }
            (Part::Separator(before), Part::Separator(one)) if before == one => {}
            _ => return None,
        }
    }
    Some(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proposed(keys: &[&str]) -> Option<String> {
        let mut shape = KeyShape::default();
        for key in keys {
            shape.add(key);
        }
        shape.pattern()
    }

    #[test]
    fn proposed_pattern_is_narrow() {
        for (keys, expected) in [
            (&["AB12-C3D4", "ZZZZ-0000"][..], "[A-Z0-9]{4}-[A-Z0-9]{4}"),
            (&["0f8c-1", "12-345"], "[a-z0-9]{2,4}-[0-9]{1,3}"),
            (&["12345678"], "[0-9]{8}"),
            (&["a.b+c"], r"[a-z]{1}\.[a-z]{1}\+[a-z]{1}"),
            (&["AA-11", "AA11", "A_1"], r"[A-Z0-9\-_]{3,5}"),
            (&["ключ", "AA-11"], "[A-Z]{2}-[0-9]{2}"),
            (&["-"], "-"),
        ] {
            assert_eq!(proposed(keys).as_deref(), Some(expected), "{keys:?}");
        }
        assert_eq!(proposed(&[]), None);
        assert_eq!(proposed(&["ключ", "", &"k".repeat(limits::IMPORTED_KEY_BYTES + 1)]), None);
        // Many separators: the parts are too long for a pattern.
        assert_eq!(proposed(&["a-b-".repeat(30).as_str()]).as_deref(), Some(r"[a-z\-]{120}"));
    }

    #[cfg(feature = "imported-keys")]
    mod properties {
        use proptest::prelude::*;

        use super::*;
        use crate::key::{ImportedKeyFormat, ImportedKeyFormats};

        proptest! {
            #[test]
            fn proposed_pattern_matches_every_key(
                keys in prop::collection::vec(
                    prop_oneof!["[!-~]{1,40}", "[A-C]{2}-[0-9]{2,3}", "[a-c]{1,3}[.+*?(){}|^$#&~\\\\\\[\\]-][0-9]"],
                    1..5,
                ),
            ) {
                let texts: Vec<_> = keys.iter().map(String::as_str).collect();
                let pattern = proposed(&texts).expect("a pattern");
                let format = ImportedKeyFormat::new("a", &pattern).map_err(|error| {
                    TestCaseError::fail(format!("{pattern}: {error}"))
                })?;
                let formats = ImportedKeyFormats::new([format]).expect("one format");
                for key in &keys {
                    prop_assert!(formats.read(key).is_some(), "{pattern} does not match {key}");
                }
            }
        }
    }
}
