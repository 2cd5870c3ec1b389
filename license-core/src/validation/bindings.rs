//! The bindings of one license, searched by claim.

use std::sync::Arc;

use crate::domain::DomainName;
use crate::license::{ActivationKind, Binding, Fingerprint};

/// The bindings that were read with a license, sorted by kind and value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bindings(Arc<[Binding]>);

fn sort_key(binding: &Binding) -> (ActivationKind, &str) {
    (binding.kind(), binding.value())
}

impl Bindings {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Binding> {
        self.0.iter()
    }

    /// Returns the binding with this kind and value.
    fn get(&self, kind: ActivationKind, value: &str) -> Option<&Binding> {
        let index = self.0.binary_search_by(|binding| sort_key(binding).cmp(&(kind, value))).ok()?;
        self.0.get(index)
    }

    /// Returns the nearest registered domain that covers `asked`: the domain itself before a wildcard.
    pub(super) fn covering(&self, asked: &DomainName) -> Option<&DomainName> {
        let named = |name: &str| match self.get(ActivationKind::Domain, name)? {
            Binding::Domain(domain) => Some(domain),
            Binding::Device(_) => None,
        };
        named(asked.as_str()).or_else(|| asked.covering_names().iter().find_map(|name| named(name)))
    }

    pub(super) fn has_device(&self, asked: &Fingerprint) -> bool {
        self.get(ActivationKind::Device, asked.as_str()).is_some()
    }

    /// Returns the estimated heap memory in bytes.
    pub(super) fn heap_size(&self) -> usize {
        let texts: usize = self.iter().map(|binding| heap_size_of_text(binding.value())).sum();
        2 * size_of::<usize>() + size_of_val(&*self.0) + texts
    }
}

/// Returns the estimated heap memory of a text: up to 23 bytes are inline, a longer text has two counters.
fn heap_size_of_text(text: &str) -> usize {
    if text.len() > 23 { text.len() + 2 * size_of::<usize>() } else { 0 }
}

impl FromIterator<Binding> for Bindings {
    fn from_iter<I: IntoIterator<Item = Binding>>(bindings: I) -> Self {
        let mut sorted: Vec<_> = bindings.into_iter().collect();
        sorted.sort_unstable_by(|a, b| sort_key(a).cmp(&sort_key(b)));
        Self(sorted.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registered(text: &str) -> Binding {
        Binding::Domain(DomainName::parse_registered(text).unwrap())
    }

    fn device(text: &str) -> Binding {
        Binding::Device(Fingerprint::parse(text).unwrap())
    }

    /// Returns these bindings alone, and among many others.
    fn few_and_many(bindings: &[Binding]) -> [Bindings; 2] {
        let others = (0..500).flat_map(|n| [registered(&format!("o{n}.net")), device(&format!("o{n}"))]);
        let many = bindings.iter().rev().cloned().chain(others).collect();
        [bindings.iter().cloned().collect(), many]
    }

    #[test]
    fn nearest_domain_covers() {
        let all = ["*.example.com", "*.eu.example.com", "shop.eu.example.com"].map(registered);
        for bindings in few_and_many(&all) {
            for (asked, expected) in [
                ("shop.eu.example.com", Some("shop.eu.example.com")),
                ("blog.eu.example.com", Some("*.eu.example.com")),
                ("eu.example.com", Some("*.example.com")),
                ("www.example.com", Some("*.example.com")),
                ("example.com", None),
                ("evilexample.com", None),
            ] {
                let found = bindings.covering(&DomainName::parse(asked).unwrap());
                assert_eq!(found.map(DomainName::as_str), expected, "{asked}");
            }
        }
    }

    #[test]
    fn device_is_found_by_exact_text() {
        for bindings in few_and_many(&[device("MAC 00:11"), registered("shop.example.com")]) {
            for (asked, expected) in [("MAC 00:11", true), ("mac 00:11", false), ("shop.example.com", false)]
            {
                assert_eq!(bindings.has_device(&Fingerprint::parse(asked).unwrap()), expected, "{asked}");
            }
        }
    }
}
