//! Licenses that were selected in a list.

use license_core::license::LicenseId;
use license_core::limits;
use license_core::store::{JobLicenses, SearchFilter};

use crate::failure::Failure;
use crate::filters::Filters;
use crate::form::Form;

/// The licenses that were selected in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// These.
    Ids(Vec<LicenseId>),
    /// All that match.
    Matching(Filters),
}

impl Selection {
    /// Reads the fields of a query or a form.
    pub(crate) fn read(form: &Form) -> Result<Self, Failure> {
        if form.text("which") == Some("all") {
            let filters = Filters { sort: None, ..Filters::read(form)? };
            if filters.request().filter == SearchFilter::default() {
                return Err(Failure::field("Licenses", "choose a filter to select all that match it"));
            }
            return Ok(Self::Matching(filters));
        }
        let ids: Result<Vec<_>, _> = form.all("id").map(LicenseId::parse).collect();
        let ids = ids.map_err(|why| Failure::field("Licenses", why))?;
        if ids.is_empty() {
            return Err(Failure::field("Licenses", "select at least one in the list"));
        }
        if ids.len() > limits::BULK_JOB_IDS {
            let most = limits::BULK_JOB_IDS;
            return Err(Failure::field(
                "Licenses",
                format!("select at most {most}, or all that match a filter"),
            ));
        }
        Ok(Self::Ids(ids))
    }

    /// Returns the fields that are read as this selection.
    pub(crate) fn fields(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Ids(ids) => ids.iter().map(|id| ("id", id.to_string())).collect(),
            Self::Matching(filters) => {
                let which = ("which", "all".to_owned());
                std::iter::once(which).chain(filters.fields()).collect()
            }
        }
    }

    /// Returns the licenses of a job. If all that match are selected, there must be as many as expected.
    pub(crate) fn licenses(&self, expect: u64) -> JobLicenses {
        match self {
            Self::Ids(ids) => JobLicenses::Ids(ids.clone()),
            Self::Matching(filters) => JobLicenses::Search { filter: filters.request().filter, expect },
        }
    }

    /// Returns the path of the list that has the licenses.
    pub(crate) fn list(&self) -> String {
        match self {
            Self::Ids(_) => "/licenses".to_owned(),
            Self::Matching(filters) => format!("/licenses?{}", filters.query()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selection_is_read_as_it_was_written() {
        let ids = ["lic_a", "lic_b"].map(|id| LicenseId::parse(id).unwrap()).to_vec();
        for selection in [Selection::Ids(ids), Selection::Matching(Filters::full())] {
            let query = form_urlencoded::Serializer::new(String::new())
                .extend_pairs(selection.fields())
                .append_pair("action", "suspend")
                .finish();
            assert_eq!(Selection::read(&Form::of_query(&query)).unwrap(), selection, "{query}");
        }
    }

    /// A lost filter must not select every license.
    #[test]
    fn nothing_and_everything_are_no_selection() {
        let many = "id=lic_a&".repeat(limits::BULK_JOB_IDS + 1);
        for query in ["", "which=selected", "which=all", "which=all&sort=expires_at", "id=key", &many] {
            let failure = Selection::read(&Form::of_query(query)).unwrap_err();
            assert_eq!(failure.title, "The form has an error", "{query}");
        }
    }
}
