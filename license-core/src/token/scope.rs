//! What a token may do.

use std::fmt;

/// One right of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Read licenses, their keys and what is bound to them.
    LicensesRead,
    /// Issue and change licenses; make customers anonymous.
    LicensesWrite,
    /// Read what licenses were used for.
    UsageRead,
    /// Read endpoints of webhooks and their deliveries.
    WebhooksRead,
    /// Change endpoints of webhooks.
    WebhooksWrite,
    /// Make, list and revoke tokens, of no more scopes than one has.
    TokensWrite,
    /// Read the audit.
    AuditRead,
    /// All of it.
    Admin,
}

impl Scope {
    /// Every scope, in the order in which they are listed.
    pub const ALL: [Self; 8] = [
        Self::LicensesRead,
        Self::LicensesWrite,
        Self::UsageRead,
        Self::WebhooksRead,
        Self::WebhooksWrite,
        Self::TokensWrite,
        Self::AuditRead,
        Self::Admin,
    ];

    /// `noun:verb`: the form of databases, JSON and the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LicensesRead => "licenses:read",
            Self::LicensesWrite => "licenses:write",
            Self::UsageRead => "usage:read",
            Self::WebhooksRead => "webhooks:read",
            Self::WebhooksWrite => "webhooks:write",
            Self::TokensWrite => "tokens:write",
            Self::AuditRead => "audit:read",
            Self::Admin => "admin",
        }
    }

    /// Reads that form; `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of scopes.
///
/// ```
/// use license_core::token::{Scope, Scopes};
/// let scopes = Scopes::parse("licenses:read, usage:read")?;
/// assert_eq!(scopes.lacks(&[Scope::UsageRead, Scope::LicensesWrite]), Some(Scope::LicensesWrite));
/// assert_eq!(Scopes::from(Scope::Admin).lacks(&Scope::ALL), None, "admin is all of them");
/// # Ok::<(), license_core::token::ScopesError>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Scopes(u16);

impl Scopes {
    /// Reads names with commas between them, at least one.
    ///
    /// # Errors
    /// [`ScopesError`] when one is unknown, or there is none.
    pub fn parse(text: &str) -> Result<Self, ScopesError> {
        text.split(',').map(|name| Scope::parse(name.trim()).ok_or(ScopesError)).collect()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The scopes, in the order of [`Scope::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }

    /// The first of these that is not allowed; `None`: all are.
    #[must_use]
    pub fn lacks(self, needed: &[Scope]) -> Option<Scope> {
        needed.iter().copied().find(|scope| !self.has(Scope::Admin) && !self.has(*scope))
    }

    /// The first scope of `other` that is not allowed; `None`: all are.
    #[must_use]
    pub fn lacks_of(self, other: Self) -> Option<Scope> {
        other.iter().find(|scope| self.lacks(&[*scope]).is_some())
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

/// The names with commas between them: the form of databases.
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

/// A text that is no list of scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "scopes are licenses:read, licenses:write, usage:read, webhooks:read, webhooks:write, tokens:write, audit:read and admin, \
     with commas between them"
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
    fn each_scope_allows_itself_only_and_admin_allows_all() {
        for has in Scope::ALL {
            for needed in Scope::ALL {
                let allowed = has == needed || has == Scope::Admin;
                assert_eq!(Scopes::from(has).lacks(&[needed]).is_none(), allowed, "{has} for {needed}");
                assert_eq!(
                    Scopes::from(has).lacks_of(needed.into()).is_none(),
                    allowed,
                    "{has} gives {needed}"
                );
            }
            assert!(Scopes::default().lacks(&[has]).is_some());
        }
    }
}
