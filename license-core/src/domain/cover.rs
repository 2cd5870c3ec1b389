//! Decides which registrations allow a host.

use super::{DomainKind, DomainName};

impl DomainName {
    /// Returns whether a registration of `self` allows `host`: the same name, or a wildcard above it.
    ///
    /// `*.example.com` covers `example.com` only if `host` was typed as `www.example.com`. Pass `host` as
    /// parsed: a stored name no longer knows its `www.`. A wildcard as `host` is covered by itself only.
    ///
    /// ```
    /// # use license_core::domain::{DomainError, DomainName};
    /// let registered = DomainName::parse_registered("*.example.com")?;
    /// assert!(registered.covers(&DomainName::parse("a.b.example.com")?));
    /// assert!(registered.covers(&DomainName::parse("www.example.com")?));
    /// assert!(!registered.covers(&DomainName::parse("example.com")?));
    /// assert!(!registered.covers(&DomainName::parse("evilexample.com")?));
    /// # Ok::<(), DomainError>(())
    /// ```
    #[must_use]
    pub fn covers(&self, host: &Self) -> bool {
        if self == host {
            return true;
        }
        let (DomainKind::Name, Some(apex)) = (host.kind, self.text.strip_prefix("*.")) else { return false };
        match host.text.strip_suffix(apex) {
            Some("") => host.had_www,
            Some(above) => above.ends_with('.'),
            None => false,
        }
    }

    /// Returns each registered text that would cover this host, nearest first, for lookups by equality.
    ///
    /// `b.covering_names()` contains `a.as_str()` exactly if `a.covers(&b)`. An exempt host or a wildcard is
    /// covered by itself only.
    ///
    /// ```
    /// # use license_core::domain::{DomainError, DomainName};
    /// let host = DomainName::parse("api.eu.example.com")?;
    /// assert_eq!(host.covering_names(), ["api.eu.example.com", "*.eu.example.com", "*.example.com"]);
    ///
    /// let host = DomainName::parse("www.example.com")?;
    /// assert_eq!(host.covering_names(), ["example.com", "*.example.com"]);
    /// # Ok::<(), DomainError>(())
    /// ```
    #[must_use]
    pub fn covering_names(&self) -> Vec<String> {
        let mut names = vec![self.as_str().to_owned()];
        if self.kind != DomainKind::Name || self.is_exempt() {
            return names;
        }
        let mut apex = if self.had_www { Some(self.as_str()) } else { parent(self.as_str()) };
        while let Some(name) = apex.filter(|name| name.contains('.')) {
            names.push(format!("*.{name}"));
            apex = parent(name);
        }
        names
    }
}

fn parent(name: &str) -> Option<&str> {
    name.split_once('.').map(|(_, parent)| parent)
}
