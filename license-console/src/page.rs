//! The frame around every page.

use askama::Template;
use axum::response::Html;
use license_core::access::{Scope, Scopes};

use crate::assets;
use crate::failure::Failure;
use crate::theme::Theme;
use crate::visit::Visit;
use crate::zone;

/// A section of the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Overview,
    Licenses,
    Issue,
    Tokens,
    Audit,
    Webhooks,
    Plans,
    Customers,
    Usage,
    Jobs,
    System,
    SigningKeys,
    /// No entry, for example of a failure.
    None,
}

/// Entries of the navigation after those of licenses, with the scope that they need.
const ENTRIES: [(Section, &str, &str, Scope); 9] = [
    (Section::Customers, "Customers", "/customers", Scope::LicensesRead),
    (Section::Plans, "Plans", "/plans", Scope::CatalogRead),
    (Section::Usage, "Usage", "/usage", Scope::UsageRead),
    (Section::Webhooks, "Webhooks", "/webhooks", Scope::WebhooksRead),
    (Section::Tokens, "Access", "/tokens", Scope::TokensWrite),
    (Section::Audit, "Audit", "/audit", Scope::AuditRead),
    (Section::Jobs, "Jobs", "/jobs", Scope::LicensesRead),
    (Section::SigningKeys, "Signing keys", "/signing-keys", Scope::KeysWrite),
    (Section::System, "System", "/system", Scope::UsageRead),
];

/// An entry of the navigation.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) section: Section,
    pub(crate) label: &'static str,
    pub(crate) url: String,
    pub(crate) is_open: bool,
}

/// The frame around a page.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    prefix: String,
    /// Where the files of this version are.
    pub(crate) assets: String,
    pub(crate) title: String,
    section: Section,
    pub(crate) theme: Theme,
    /// The name of the time zone.
    pub(crate) zone: &'static str,
    pub(crate) person: Option<Person>,
    /// What the last form did.
    pub(crate) notice: Option<&'static str>,
}

/// The signed-in person.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) scopes: Scopes,
    pub(crate) can_sign_out: bool,
}

impl Page {
    pub(crate) fn new(visit: &Visit, title: impl Into<String>, section: Section) -> Self {
        let person = visit.visitor.as_ref().map(|visitor| Person {
            name: visitor.name.clone(),
            scopes: visitor.scopes,
            can_sign_out: visitor.session.is_some(),
        });
        Self {
            prefix: visit.prefix.clone(),
            assets: visit.url(&format!("/assets/{}", *assets::VERSION)),
            title: title.into(),
            section,
            theme: visit.theme,
            zone: zone::current().name(),
            person,
            notice: None,
        }
    }

    /// Sets what the last form did.
    pub(crate) fn with_notice(self, notice: Option<&'static str>) -> Self {
        Self { notice, ..self }
    }

    /// Returns the URL of a path of the console.
    pub(crate) fn url(&self, path: &str) -> String {
        if path == "/" && !self.prefix.is_empty() {
            self.prefix.clone()
        } else {
            format!("{}{path}", self.prefix)
        }
    }

    /// Returns whether the person may do what needs this scope.
    pub(crate) fn may(&self, scope: Scope) -> bool {
        self.person.as_ref().is_some_and(|person| person.scopes.missing(&[scope]).is_none())
    }

    pub(crate) fn may_read_licenses(&self) -> bool {
        self.may(Scope::LicensesRead)
    }

    pub(crate) fn may_change_licenses(&self) -> bool {
        self.may(Scope::LicensesWrite)
    }

    pub(crate) fn may_issue_leases(&self) -> bool {
        self.may(Scope::LeasesWrite)
    }

    pub(crate) fn may_read_webhooks(&self) -> bool {
        self.may(Scope::WebhooksRead)
    }

    pub(crate) fn may_change_webhooks(&self) -> bool {
        self.may(Scope::WebhooksWrite)
    }

    pub(crate) fn may_change_plans(&self) -> bool {
        self.may(Scope::CatalogWrite)
    }

    pub(crate) fn is_overview(&self) -> bool {
        self.section == Section::Overview
    }

    pub(crate) fn is_licenses(&self) -> bool {
        self.section == Section::Licenses
    }

    pub(crate) fn is_issue(&self) -> bool {
        self.section == Section::Issue
    }

    /// Returns the other entries of the navigation that the person may open.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        ENTRIES
            .into_iter()
            .filter(|(.., scope)| self.may(*scope))
            .map(|(section, label, path, _)| Entry {
                section,
                label,
                url: self.url(path),
                is_open: section == self.section,
            })
            .collect()
    }
}

/// Renders a page.
pub(crate) fn render(template: &impl Template) -> Result<Html<String>, Failure> {
    Ok(Html(template.render()?))
}
