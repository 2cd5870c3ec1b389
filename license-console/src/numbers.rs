//! Numbers as people read them.

/// Returns a number in groups of three digits.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let (head, tail) = digits.split_at(first);
    let groups = tail.as_bytes().chunks(3).filter_map(|group| str::from_utf8(group).ok());
    let all: Vec<_> = Some(head).filter(|head| !head.is_empty()).into_iter().chain(groups).collect();
    all.join(",")
}

/// Returns a number with its noun, such as "1 license" or "1,200 licenses".
pub(crate) fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(number))
}

#[cfg(test)]
mod tests {
    #[test]
    fn digits_are_grouped() {
        for (number, text) in
            [(0, "0"), (999, "999"), (1_000, "1,000"), (12_480, "12,480"), (1_234_567, "1,234,567")]
        {
            assert_eq!(super::grouped(number), text);
        }
    }
}
