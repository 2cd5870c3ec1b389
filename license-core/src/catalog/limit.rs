//! Limits on slots.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Serialize};

use crate::limits;

/// A limit on slots for domains or devices. In JSON a whole number, or `null` for unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// No limit; JSON `null`.
    Unlimited,
    /// A maximum; 0 allows none.
    AtMost(u32),
}

impl Limit {
    /// Returns whether one more fits if `used` are in use.
    #[must_use]
    pub fn admits_one_more(self, used: u64) -> bool {
        match self {
            Self::Unlimited => true,
            Self::AtMost(limit) => used < u64::from(limit),
        }
    }

    /// Returns the number, or `None` for unlimited, as in databases and JSON.
    #[must_use]
    pub fn as_number(self) -> Option<u32> {
        match self {
            Self::Unlimited => None,
            Self::AtMost(limit) => Some(limit),
        }
    }
}

impl From<Option<u32>> for Limit {
    fn from(number: Option<u32>) -> Self {
        number.map_or(Self::Unlimited, Self::AtMost)
    }
}

impl From<u32> for Limit {
    fn from(number: u32) -> Self {
        Self::AtMost(number)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlimited => f.write_str("unlimited"),
            Self::AtMost(limit) => limit.fmt(f),
        }
    }
}

impl Serialize for Limit {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_number().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = || {
            let most = limits::MAX_SLOTS;
            D::Error::custom(format_args!(
                "it must be a whole number from 0 to {most}, or null for unlimited"
            ))
        };
        let number = Option::<u32>::deserialize(deserializer).map_err(|_| wrong())?;
        if number.is_some_and(|number| number > limits::MAX_SLOTS) { Err(wrong()) } else { Ok(number.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_is_a_number_or_null() {
        assert_eq!(serde_json::to_string(&[Limit::AtMost(3), Limit::Unlimited]).unwrap(), "[3,null]");
        let read = |text: &str| serde_json::from_str::<Limit>(text);
        assert_eq!(read("0").unwrap(), Limit::AtMost(0));
        assert_eq!(read("null").unwrap(), Limit::Unlimited);
        assert!(read(&limits::MAX_SLOTS.to_string()).is_ok());
        for refused in ["10000001", "-1", "1.5", "\"3\"", "true"] {
            assert!(read(refused).is_err(), "{refused}");
        }
    }
}
