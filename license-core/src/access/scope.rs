//! Scopes of API tokens.

use std::fmt;

use crate::text_enum::text_enum;

text_enum! {
    /// A permission of the API.
    Scope {
        /// Read licenses, their keys and activations.
        LicensesRead = "licenses:read",
        /// Issue and change licenses; erase customers.
        LicensesWrite = "licenses:write",
        /// Read usage.
        UsageRead = "usage:read",
        /// Read webhook endpoints and deliveries.
        WebhooksRead = "webhooks:read",
        /// Change webhook endpoints.
        WebhooksWrite = "webhooks:write",
        /// Create, list and revoke tokens, without exceeding the caller's scopes.
        TokensWrite = "tokens:write",
        /// Read the audit.
        AuditRead = "audit:read",
        /// Read products and plans.
        CatalogRead = "catalog:read",
        /// Change products and plans.
        CatalogWrite = "catalog:write",
        /// Issue leases for request codes.
        LeasesWrite = "leases:write",
        /// List, rotate and revoke signing keys.
        KeysWrite = "keys:write",
        /// All permissions.
        Admin = "admin",
    }
}

/// A set of scopes.
///
/// ```
/// use license_core::access::{Scope, Scopes};
/// let scopes = Scopes::parse("licenses:read, usage:read")?;
/// assert_eq!(scopes.missing(&[Scope::UsageRead, Scope::LicensesWrite]), Some(Scope::LicensesWrite));
/// assert_eq!(Scopes::from(Scope::Admin).missing(&Scope::ALL), None, "admin grants all");
/// # Ok::<(), license_core::access::ScopesError>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Scopes(u16);

impl Scopes {
    /// Parses comma-separated names, at least one.
    ///
    /// # Errors
    /// Returns [`ScopesError`] if a name is unknown or there is none.
    pub fn parse(text: &str) -> Result<Self, ScopesError> {
        text.split(',').map(|name| Scope::parse(name.trim()).ok_or(ScopesError)).collect()
    }

    /// Returns whether there are no scopes.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the scopes, in the order of [`Scope::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }

    /// Returns the first of `needed` that is not granted.
    #[must_use]
    pub fn missing(self, needed: &[Scope]) -> Option<Scope> {
        needed.iter().copied().find(|scope| !self.has(Scope::Admin) && !self.has(*scope))
    }

    /// Returns the first scope that `other` has and `self` does not grant.
    #[must_use]
    pub fn missing_scope(self, other: Self) -> Option<Scope> {
        other.iter().find(|scope| self.missing(&[*scope]).is_some())
    }

    fn has(self, scope: Scope) -> bool {
        self.0 & 1 << scope as u16 != 0
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |set, scope| set | 1 << scope as u16))
    }
}

impl From<Scope> for Scopes {
    fn from(scope: Scope) -> Self {
        Self::from_iter([scope])
    }
}

/// Comma-separated names, as in databases.
impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, scope) in self.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{scope}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scopes({self})")
    }
}

/// The text is not a list of scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "scopes must be a comma-separated list of licenses:read, licenses:write, usage:read, webhooks:read, webhooks:write, \
     tokens:write, audit:read, catalog:read, catalog:write, leases:write, keys:write and admin"
)]
pub struct ScopesError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_have_one_text() {
        for scope in Scope::ALL {
            assert_eq!(Scope::parse(scope.as_str()), Some(scope));
            assert_eq!(Scopes::parse(scope.as_str()), Ok(scope.into()));
            assert!(ScopesError.to_string().contains(scope.as_str()), "{scope} is named");
        }
        let all: Scopes = Scope::ALL.into_iter().collect();
        assert_eq!(Scopes::parse(&all.to_string()), Ok(all));
        for wrong in ["", ",", "licenses", "ADMIN", "admin,", "licenses:read usage:read"] {
            assert_eq!(Scopes::parse(wrong), Err(ScopesError), "{wrong:?}");
        }
    }

    #[test]
    fn scope_allows_itself_only_and_admin_allows_all() {
        for has in Scope::ALL {
            for needed in Scope::ALL {
                let allowed = has == needed || has == Scope::Admin;
                assert_eq!(Scopes::from(has).missing(&[needed]).is_none(), allowed, "{has} for {needed}");
                assert_eq!(
                    Scopes::from(has).missing_scope(needed.into()).is_none(),
                    allowed,
                    "{has} gives {needed}"
                );
            }
            assert!(Scopes::default().missing(&[has]).is_some());
        }
    }
}
