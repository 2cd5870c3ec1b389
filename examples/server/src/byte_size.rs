//! Sizes in bytes, for flags.

use std::str::FromStr;

/// A size in bytes: a whole number, alone or followed by `KiB`, `MiB` or `GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ByteSize(pub(crate) usize);

const UNITS: [(&str, u32); 3] = [("KiB", 10), ("MiB", 20), ("GiB", 30)];

const ERROR: &str = "must be a whole number of bytes from 1, or of KiB, MiB or GiB, such as 256MiB";

impl FromStr for ByteSize {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let with_unit = UNITS.iter().find_map(|(unit, bits)| Some((text.strip_suffix(unit)?, *bits)));
        let (number, bits) = with_unit.unwrap_or((text, 0));
        // `parse` alone would accept a sign.
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        let number = number.parse::<usize>().ok().filter(|number| is_number && *number > 0);
        number.and_then(|number| number.checked_mul(1 << bits)).map(Self).ok_or(ERROR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_is_a_number_with_or_without_a_binary_unit() {
        for (text, bytes) in
            [("1", 1), ("1048576", 1 << 20), ("1KiB", 1 << 10), ("256MiB", 256 << 20), ("2GiB", 2 << 30)]
        {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
        let others = ",0,0MiB,MiB,256MB,256M,256mib,256 MiB,+1MiB,-1,1.5GiB,17179869184GiB";
        for text in others.split(',') {
            assert_eq!(text.parse::<ByteSize>(), Err(ERROR), "{text:?}");
        }
    }
}
