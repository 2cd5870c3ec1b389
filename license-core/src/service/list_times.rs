//! The times of the lists of revocations.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};

/// The `iat` and the version of the last list of each product.
#[derive(Debug, Default)]
pub(super) struct ListTimes(Mutex<HashMap<String, (i64, String)>>);

impl ListTimes {
    /// Returns the `iat` of the next list, in Unix seconds. Software ignores a list that is not newer than
    /// its last one, so the time rises if the list has changed, also if the clock stepped back.
    pub(super) fn next(&self, product: &str, version: &str, now: DateTime<Utc>) -> i64 {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = now.timestamp();
        let iat = match last.get(product) {
            Some((iat, known)) if known == version => now.max(*iat),
            Some((iat, _)) => now.max(iat.saturating_add(1)),
            None => now,
        };
        last.insert(product.to_owned(), (iat, version.to_owned()));
        iat
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn time_rises_with_each_change_of_the_list() {
        let times = ListTimes::default();
        assert_eq!(times.next("editor", "a", at(100)), 100);
        assert_eq!(times.next("editor", "a", at(100)), 100, "the same list");
        assert_eq!(times.next("editor", "b", at(100)), 101);
        assert_eq!(times.next("editor", "b", at(40)), 101, "the clock stepped back");
        assert_eq!(times.next("editor", "c", at(40)), 102);
        assert_eq!(times.next("player", "a", at(40)), 40, "each product has its own time");
        assert_eq!(times.next("editor", "c", at(500)), 500);
    }
}
