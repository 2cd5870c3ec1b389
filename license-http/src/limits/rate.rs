//! Rates, and the rate limits of a router.

use std::fmt;
use std::num::NonZero;
use std::str::FromStr;
use std::time::Duration;

/// A number of calls per unit of time, and the burst allowed after a pause.
///
/// The text form is `CALLS/UNIT` or `CALLS/UNIT:BURST`. The unit is `s`, `m` or `h`. The default burst is
/// `CALLS`.
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
    pub(super) burst: NonZero<u32>,
}

/// Symbol and seconds of a unit of time.
type Unit = (&'static str, u64);
const UNITS: [Unit; 3] = [("s", 1), ("m", 60), ("h", 3600)];

/// Maximum of calls and burst. A higher rate would limit nothing.
const MAX: u32 = 1_000_000;

impl Rate {
    /// Returns the time after which one more call is allowed.
    pub(super) fn interval(self) -> Duration {
        Duration::from_secs(self.unit.1) / self.calls.get()
    }

    const fn of(calls: u32, unit: Unit, burst: u32) -> Self {
        match (NonZero::new(calls), NonZero::new(burst)) {
            (Some(calls), Some(burst)) => Self { calls, unit, burst },
            _ => panic!("calls and burst must not be 0"),
        }
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let number = |text: &str| {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<NonZero<u32>>().ok().filter(|number| digits && number.get() <= MAX).ok_or(RateError)
        };
        let (rate, burst) = text.split_once(':').map_or((text, None), |(rate, burst)| (rate, Some(burst)));
        let (calls, unit) = rate.split_once('/').ok_or(RateError)?;
        let calls = number(calls)?;
        let unit = UNITS.into_iter().find(|(symbol, _)| *symbol == unit).ok_or(RateError)?;
        Ok(Self { calls, unit, burst: burst.map_or(Ok(calls), number)? })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.calls, self.unit.0, self.burst)
    }
}

/// The text is not a [`Rate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a rate such as 50/s or 600/m:100 (calls per s, m or h, and burst), each from 1 to {MAX}")]
pub struct RateError;

/// Rate limits of a router. The address is the request's [`ClientAddress`](crate::ClientAddress). Without
/// one, only keys and tokens are limited.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RateLimits {
    /// Validations and deactivations per address. Beyond it, only calls with a known key are answered.
    pub per_address: Rate,
    /// Validations and deactivations per license key, from all addresses.
    pub per_key: Rate,
    /// Malformed keys, unknown keys and wrong tokens per address. Beyond it, the address gets no other answer to
    /// these. Its calls with a known key are answered, unless keys of that imported format can be found by
    /// guessing.
    pub failures: Rate,
    /// Admin calls per token.
    pub per_token: Rate,
    /// Maximum number of callers tracked per limit. The least active are evicted first.
    pub max_tracked: usize,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            per_address: Rate::of(50, UNITS[0], 500),
            per_key: Rate::of(20, UNITS[0], 200),
            failures: Rate::of(30, UNITS[1], 60),
            per_token: Rate::of(50, UNITS[0], 200),
            max_tracked: 100_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips_or_is_refused() {
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
