//! Problems of commands on the catalog.

use license_core::catalog::{Plan, PlanFieldError};
use license_core::catalog_command::{CatalogDenial, CatalogResource};

use super::{Code, Problem, sentence};
use crate::extract::UnknownName;

impl Problem {
    /// Converts the error of a field of a plan.
    pub(crate) fn of_plan(error: &PlanFieldError) -> Self {
        match error {
            PlanFieldError::Unknown { field } => Self::unknown_field_of_plan(field),
            PlanFieldError::Missing { field } => Self::invalid_field(field.clone(), "This field is missing."),
            error => Self::invalid_field(error.field().to_owned(), sentence(&error)),
        }
    }

    fn unknown_field_of_plan(field: &str) -> Self {
        let detail = UnknownName { kind: "field", name: field, known: &Plan::fields() }.to_string();
        Self::invalid_field(field.to_owned(), detail)
    }
}

impl From<CatalogDenial> for Problem {
    fn from(denial: CatalogDenial) -> Self {
        let code = match &denial {
            CatalogDenial::NotFound { what: CatalogResource::Product, .. } => Code::ProductNotFound,
            CatalogDenial::NotFound { what: CatalogResource::Plan, .. } => Code::PlanNotFound,
            CatalogDenial::ProductExists { .. } => Code::ProductExists,
            CatalogDenial::ProductInUse { .. } => Code::ProductInUse,
            CatalogDenial::PlanExists { .. } => Code::PlanExists,
            CatalogDenial::PlanManaged { .. } => Code::PlanManaged,
            CatalogDenial::Stale { .. } => Code::PlanStale,
            CatalogDenial::LimitReached { .. } => Code::CatalogLimitReached,
            CatalogDenial::ProductUnknown { .. } => {
                return Self::new(Code::ProductUnknown, denial.to_string()).at("product");
            }
            CatalogDenial::ProductDiffers { .. } => {
                return Self::invalid_field("product", denial.to_string());
            }
            CatalogDenial::Invalid { field, reason } => {
                return Self::invalid_field(field.clone(), sentence(reason));
            }
            CatalogDenial::UnknownField { field } => return Self::unknown_field_of_plan(field),
            denial => {
                tracing::error!(%denial, "a denial of an import");
                return Self::internal();
            }
        };
        Self::new(code, denial.to_string())
    }
}
