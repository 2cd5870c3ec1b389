//! The bindings of one license, searched by claim.

use crate::domain::DomainName;
use crate::license::{ActivationKind, Binding, Fingerprint};

/// Number of bindings stored inline; most licenses have no more.
const INLINE: usize = 3;

/// The bindings that were read with a license.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Bindings {
    Inline([Option<Binding>; INLINE]),
    /// Sorted by kind and value, for binary search.
    Many(Box<[Binding]>),
}

/// The sort key of [`Bindings::Many`].
fn sort_key(binding: &Binding) -> (ActivationKind, &str) {
    (binding.kind(), binding.value())
}

/// Returns the binding with this kind and value.
fn search<'a>(sorted: &'a [Binding], kind: ActivationKind, value: &str) -> Option<&'a Binding> {
    let index = sorted.binary_search_by(|binding| sort_key(binding).cmp(&(kind, value))).ok()?;
    sorted.get(index)
}

fn as_domain(binding: &Binding) -> Option<&DomainName> {
    if let Binding::Domain(domain) = binding { Some(domain) } else { None }
}

impl Bindings {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Binding> {
        let (few, many): (&[_], &[_]) = match self {
            Self::Inline(few) => (few, &[]),
            Self::Many(many) => (&[], many),
        };
        few.iter().flatten().chain(many)
    }

    /// Returns the nearest registered domain that covers `asked`: the domain itself before a wildcard.
    pub(super) fn covering(&self, asked: &DomainName) -> Option<&DomainName> {
        match self {
            Self::Inline(few) => {
                let domains = || few.iter().flatten().filter_map(as_domain);
                domains().find(|domain| *domain == asked).or_else(|| {
                    let wildcards = domains().filter(|domain| domain.covers(asked));
                    wildcards.max_by_key(|domain| domain.as_str().len())
                })
            }
            Self::Many(many) => {
                let named = |name: &str| search(many, ActivationKind::Domain, name).and_then(as_domain);
                let wildcard = || asked.covering_names().iter().find_map(|name| named(name));
                named(asked.as_str()).or_else(wildcard)
            }
        }
    }

    pub(super) fn has_device(&self, asked: &Fingerprint) -> bool {
        match self {
            Self::Inline(few) => few
                .iter()
                .flatten()
                .any(|binding| matches!(binding, Binding::Device(device) if device == asked)),
            Self::Many(many) => search(many, ActivationKind::Device, asked.as_str()).is_some(),
        }
    }

    /// Returns the estimated heap memory in bytes.
    pub(super) fn heap_size(&self) -> usize {
        let texts: usize = self.iter().map(|binding| heap_size_of_text(binding.value())).sum();
        match self {
            Self::Inline(_) => texts,
            Self::Many(many) => texts + size_of_val(&**many),
        }
    }
}

/// Returns the estimated heap memory of a text, which is inline up to 23 bytes and has two counters beyond.
fn heap_size_of_text(text: &str) -> usize {
    if text.len() > 23 { text.len() + 2 * size_of::<usize>() } else { 0 }
}

impl FromIterator<Binding> for Bindings {
    fn from_iter<I: IntoIterator<Item = Binding>>(bindings: I) -> Self {
        let mut rest = bindings.into_iter();
        let few = std::array::from_fn(|_| rest.next());
        let Some(next) = rest.next() else { return Self::Inline(few) };
        let mut many: Box<[_]> = few.into_iter().flatten().chain([next]).chain(rest).collect();
        many.sort_unstable_by(|a, b| sort_key(a).cmp(&sort_key(b)));
        Self::Many(many)
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

    /// Returns these bindings alone, and among so many others that they are searched.
    fn few_and_many(bindings: &[Binding]) -> [Bindings; 2] {
        let others = (0..500).flat_map(|n| [registered(&format!("o{n}.net")), device(&format!("o{n}"))]);
        let many = bindings.iter().rev().cloned().chain(others).collect();
        let few = bindings.iter().cloned().collect();
        assert!(matches!((&few, &many), (Bindings::Inline(_), Bindings::Many(_))));
        [few, many]
    }

    #[test]
    fn nearest_domain_covers_in_few_and_many() {
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
    fn device_is_found_by_exact_text_in_few_and_many() {
        for bindings in few_and_many(&[device("MAC 00:11"), registered("shop.example.com")]) {
            for (asked, expected) in [("MAC 00:11", true), ("mac 00:11", false), ("shop.example.com", false)]
            {
                assert_eq!(bindings.has_device(&Fingerprint::parse(asked).unwrap()), expected, "{asked}");
            }
        }
    }
}
