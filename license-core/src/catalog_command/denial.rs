//! Reasons why a command on the catalog is denied.

use std::fmt;

use crate::catalog::PlanFieldError;

/// A product or a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatalogResource {
    /// A product.
    Product,
    /// A plan.
    Plan,
}

impl fmt::Display for CatalogResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Product => "product",
            Self::Plan => "plan",
        })
    }
}

/// The reason why a command on the catalog is denied. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogDenial {
    /// There is no product or plan with this name.
    #[error("There is no {what} {name:?}.")]
    NotFound {
        /// What is missing.
        what: CatalogResource,
        /// The name.
        name: String,
    },
    /// A product has the name already.
    #[error("There is a product {product:?} already.")]
    ProductExists {
        /// The name.
        product: String,
    },
    /// The product of a new plan does not exist.
    #[error("There is no product {product:?}. The products are: {}.", .products.join(", "))]
    ProductUnknown {
        /// The name.
        product: String,
        /// The names of all products.
        products: Vec<String>,
    },
    /// Only a product without plans can be deleted, and never the default product.
    #[error("{}", in_use(product, plans))]
    ProductInUse {
        /// The name.
        product: String,
        /// The names of its plans.
        plans: Vec<String>,
    },
    /// A plan has the name already.
    #[error("There is a plan {plan:?} already{}.", if *archived { ", which is archived; unarchive it" } else { "" })]
    PlanExists {
        /// The name.
        plan: String,
        /// Whether it is archived.
        archived: bool,
    },
    /// A source manages the plan.
    #[error("The plan {plan:?} is managed by {managed_by}; change it there.")]
    PlanManaged {
        /// The name.
        plan: String,
        /// The source.
        managed_by: String,
    },
    /// The command expected another revision of the plan.
    #[error("The plan has changed: its entity tag is now \"{revision}\".")]
    Stale {
        /// The current revision.
        revision: u64,
    },
    /// A plan cannot move to another product.
    #[error("The plan {plan:?} belongs to the product {product:?} and cannot move to another one.")]
    ProductDiffers {
        /// The name of the plan.
        plan: String,
        /// The name of its product.
        product: String,
    },
    /// There are too many.
    #[error("There are {limit} {what} already, which is the maximum.")]
    LimitReached {
        /// What there are too many of.
        what: &'static str,
        /// The maximum.
        limit: usize,
    },
    /// A field is invalid.
    #[error("{reason}")]
    Invalid {
        /// The field.
        field: String,
        /// The reason.
        reason: String,
    },
    /// A plan has no such field.
    #[error("A plan has no field {field:?}.")]
    UnknownField {
        /// The name.
        field: String,
    },
    /// An import has another version with this number.
    #[error("The plan {plan:?} has another version {version} here.")]
    VersionDiffers {
        /// The name of the plan.
        plan: String,
        /// The number.
        version: u32,
    },
    /// An import lacks the versions before this one.
    #[error("Version {version} of the plan {plan:?} does not follow version {last}, the last one here.")]
    VersionGap {
        /// The name of the plan.
        plan: String,
        /// The number.
        version: u32,
        /// The last version that exists; 0 if there is none.
        last: u32,
    },
}

fn in_use(product: &str, plans: &[String]) -> String {
    if plans.is_empty() {
        format!("The product {product:?} cannot be deleted, because plans that name no product belong to it.")
    } else {
        format!("The product {product:?} cannot be deleted, because it has the plans {}.", plans.join(", "))
    }
}

impl From<PlanFieldError> for CatalogDenial {
    fn from(error: PlanFieldError) -> Self {
        match error {
            PlanFieldError::Unknown { field } => Self::UnknownField { field },
            error => Self::Invalid { field: error.field().to_owned(), reason: error.to_string() },
        }
    }
}
