//! Products and plan versions of an import.

use std::sync::Arc;

use super::Importer;
use crate::catalog_command::{CatalogCommand, CatalogContext, CatalogDenial, CatalogOutcome, decide_catalog};
use crate::error::ServiceError;
use crate::transfer::ImportLineError;

impl Importer<'_> {
    /// Stores the product or plan version of a line.
    pub(super) async fn catalog_line(
        &mut self,
        number: u64,
        command: CatalogCommand,
    ) -> Result<(), ServiceError> {
        self.close().await?;
        if let Err(denial) = self.execute(&command).await? {
            if let CatalogCommand::ImportPlan(plan) = command {
                self.rejected_plans.insert((plan.plan.name, plan.version));
            }
            self.reject(number, ImportLineError::new(explained(&denial)));
        }
        Ok(())
    }

    /// Writes the plans of a new database, if the import needs plans and has none.
    pub(super) async fn provide_plans(&mut self) -> Result<(), ServiceError> {
        if self.plans.entries().next().is_none() {
            let command = self.service.context.first_plans();
            if let Err(denial) = self.execute(&command).await? {
                return Err(ServiceError::Catalog(denial));
            }
        }
        Ok(())
    }

    /// Executes a command, or decides it alone in a dry run.
    async fn execute(&mut self, command: &CatalogCommand) -> Result<Result<(), CatalogDenial>, ServiceError> {
        let (now, by) = (self.service.context.now(), self.options.by.clone());
        let context = CatalogContext { now, expected_revision: None, by, repeatable: false };
        let outcome = if self.options.dry_run {
            decide_catalog(Arc::clone(&self.plans), command, &context).outcome
        } else {
            self.service.catalog.execute_catalog(command, &context).await?
        };
        match outcome {
            CatalogOutcome::Done { after, .. } | CatalogOutcome::Repeated(after) => {
                if !self.options.dry_run {
                    self.service.context.catalog.replace(Arc::clone(&after));
                }
                self.plans = after;
                Ok(Ok(()))
            }
            CatalogOutcome::Denied(denial) => Ok(Err(denial)),
        }
    }
}

/// Explains a denial of an import.
fn explained(denial: &CatalogDenial) -> String {
    let advice = match denial {
        CatalogDenial::VersionDiffers { .. } | CatalogDenial::VersionGap { .. } => {
            " Import into a new database, before plans are changed there."
        }
        _ => "",
    };
    format!("{denial}{advice}")
}
