//! The actions on one license, with the words of their pages.

use license_core::command::Command;
use license_core::license::LicenseState;

/// An action on one license.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Renew,
    Suspend,
    Reinstate,
    Revoke,
}

impl Action {
    pub(crate) const ALL: [Self; 4] = [Self::Renew, Self::Suspend, Self::Reinstate, Self::Revoke];

    /// Returns the name in URLs.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Renew => "renew",
            Self::Suspend => "suspend",
            Self::Reinstate => "reinstate",
            Self::Revoke => "revoke",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == text)
    }

    /// Returns the text of its button.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Renew => "Renew",
            Self::Suspend => "Suspend",
            Self::Reinstate => "Reinstate",
            Self::Revoke => "Revoke",
        }
    }

    /// Returns what it does.
    pub(crate) fn effect(self) -> &'static str {
        match self {
            Self::Renew => "The license ends later by the term of its plan.",
            Self::Suspend => "Validations are denied until you reinstate the license.",
            Self::Reinstate => "Validations are answered again.",
            Self::Revoke => "Validations are denied from now on. A revoked license cannot be brought back.",
        }
    }

    /// Returns the message after it.
    pub(crate) fn done(self) -> &'static str {
        match self {
            Self::Renew => "The license is renewed.",
            Self::Suspend => "The license is suspended.",
            Self::Reinstate => "The license is reinstated.",
            Self::Revoke => "The license is revoked.",
        }
    }

    /// Returns whether it destroys something, and so asks for a typed confirmation.
    pub(crate) fn is_final(self) -> bool {
        self == Self::Revoke
    }

    /// Returns whether a reason is kept with it.
    pub(crate) fn takes_reason(self) -> bool {
        matches!(self, Self::Suspend | Self::Revoke)
    }

    /// Returns whether a license in this state offers it.
    pub(crate) fn fits(self, state: LicenseState) -> bool {
        match self {
            Self::Renew | Self::Suspend => state == LicenseState::Active,
            Self::Reinstate => state == LicenseState::Suspended,
            Self::Revoke => state != LicenseState::Revoked,
        }
    }

    pub(crate) fn command(self) -> Command {
        match self {
            Self::Renew => Command::Renew,
            Self::Suspend => Command::Suspend,
            Self::Reinstate => Command::Reinstate,
            Self::Revoke => Command::Revoke,
        }
    }
}
