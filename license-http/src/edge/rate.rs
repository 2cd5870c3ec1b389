//! How often: rates, and what they are of.

use std::fmt;
use std::num::NonZero;
use std::str::FromStr;
use std::time::Duration;

/// So many calls in a time, and so many of them at once after a rest.
///
/// As a text `CALLS/UNIT`, the unit `s`, `m` or `h`, or `CALLS/UNIT:BURST`; without a burst it is the number of calls.
///
/// ```
/// use license_http::Rate;
/// let rate: Rate = "50/s:500".parse()?;
/// assert_eq!(rate.to_string(), "50/s:500");
/// # Ok::<(), license_http::RateError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    calls: NonZero<u32>,
    unit: Unit,
    burst: NonZero<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Second,
    Minute,
    Hour,
}

/// Most calls and largest burst of a rate: whatever is more is no limit.
const MOST: u32 = 1_000_000;

impl Rate {
    /// The time after which one more call is allowed.
    pub(super) fn interval(self) -> Duration {
        let unit = match self.unit {
            Unit::Second => 1,
            Unit::Minute => 60,
            Unit::Hour => 3600,
        };
        Duration::from_secs(unit) / self.calls.get()
    }

    pub(super) fn burst(self) -> NonZero<u32> {
        self.burst
    }

    const fn of(calls: u32, unit: Unit, burst: u32) -> Self {
        match (NonZero::new(calls), NonZero::new(burst)) {
            (Some(calls), Some(burst)) => Self { calls, unit, burst },
            _ => panic!("a rate of nothing"),
        }
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let number = |text: &str| {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<NonZero<u32>>().ok().filter(|number| digits && number.get() <= MOST).ok_or(RateError)
        };
        let (rate, burst) = text.split_once(':').map_or((text, None), |(rate, burst)| (rate, Some(burst)));
        let (calls, unit) = rate.split_once('/').ok_or(RateError)?;
        let calls = number(calls)?;
        let unit = match unit {
            "s" => Unit::Second,
            "m" => Unit::Minute,
            "h" => Unit::Hour,
            _ => return Err(RateError),
        };
        Ok(Self { calls, unit, burst: burst.map_or(Ok(calls), number)? })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            Unit::Second => 's',
            Unit::Minute => 'm',
            Unit::Hour => 'h',
        };
        write!(f, "{}/{unit}:{}", self.calls, self.burst)
    }
}

/// A text that is no rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateError;

impl fmt::Display for RateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no rate such as 50/s or 600/m:100 (calls per s, m or h; burst), of 1 to {MOST}")
    }
}

impl std::error::Error for RateError {}

/// How often callers may call. Addresses are those of [`ClientAddress`](crate::ClientAddress): where a request has none, only
/// keys and tokens are counted.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RateLimits {
    /// Validations of one address.
    pub per_address: Rate,
    /// Validations of one key, from wherever.
    pub per_key: Rate,
    /// What one address may ask that is malformed or not known, wrong tokens too. Past it `/validate` answers it nothing.
    pub failures: Rate,
    /// Admin calls with one token.
    pub per_token: Rate,
    /// How many callers are remembered for each of these; the least busy are forgotten first, and may call anew.
    pub subjects: usize,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            per_address: Rate::of(50, Unit::Second, 500),
            per_key: Rate::of(20, Unit::Second, 200),
            failures: Rate::of(30, Unit::Minute, 60),
            per_token: Rate::of(50, Unit::Second, 200),
            subjects: 100_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        for (text, shown) in [
            ("50/s", Some("50/s:50")),
            ("600/m:10", Some("600/m:10")),
            ("1/h:1", Some("1/h:1")),
            ("1000000/s:1000000", Some("1000000/s:1000000")),
            ("1000001/s", None),
            ("0/s", None),
            ("50/s:0", None),
            ("50", None),
            ("50/d", None),
            ("+5/s", None),
            ("/s", None),
            ("50/s:", None),
            ("", None),
        ] {
            let rate = text.parse::<Rate>().ok().map(|rate| rate.to_string());
            assert_eq!(rate.as_deref(), shown, "{text:?}");
        }
    }
}
