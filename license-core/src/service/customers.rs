//! Lists customers, and erases them on request.

use std::sync::Arc;

use super::context::ServiceContext;
use crate::access::{Actor, AuditEntry, Erasure};
use crate::command::{Command, CommandOutcome};
use crate::error::{Resource, ServiceError};
use crate::license::{CustomerEmail, EmailPrefix};
use crate::limits;
use crate::store::{
    AuditStore, CustomerQuery, CustomerSummary, LicenseFilter, LicenseQuery, LicenseStore, Page, PageRequest,
    SearchStore,
};

/// Lists and erases customers.
#[derive(Clone, Debug)]
pub struct CustomerService {
    pub(super) licenses: Arc<dyn LicenseStore>,
    pub(super) audit: Arc<dyn AuditStore>,
    pub(super) search: Arc<dyn SearchStore>,
    pub(super) context: Arc<ServiceContext>,
}

impl CustomerService {
    /// Lists customers by address. The cursor is the last address of a page.
    pub async fn list(
        &self,
        prefix: Option<EmailPrefix>,
        page: &PageRequest<CustomerEmail>,
    ) -> Result<Page<CustomerSummary, CustomerEmail>, ServiceError> {
        let (at, page) = (self.context.now(), page.clone());
        Ok(self.search.list_customers(&CustomerQuery { email: None, prefix, at, page }).await?)
    }

    /// Returns the customer with this address.
    ///
    /// # Errors
    /// Returns [`ServiceError::NotFound`] if no license has the address.
    pub async fn get(&self, email: &CustomerEmail) -> Result<CustomerSummary, ServiceError> {
        let (email, page) = (Some(email.clone()), PageRequest { after: None, limit: 1 });
        let query = CustomerQuery { email, prefix: None, at: self.context.now(), page };
        let found = self.search.list_customers(&query).await?.items.pop();
        found.ok_or(ServiceError::NotFound(Resource::Customer))
    }

    /// Replaces a customer's address by a pseudonym in licenses, events and the audit log, and removes the name,
    /// the metadata of the licenses and the labels of their activations. Licenses keep activations, counts and
    /// external ids.
    /// Returns the pseudonym and the number of licenses; a repeated call finds none.
    ///
    /// # Errors
    /// Returns [`ServiceError::Store`] if the store fails. Licenses that were already changed stay changed;
    /// a repeated call does the rest.
    pub async fn erase(
        &self,
        email: &CustomerEmail,
        by: &Arc<Actor>,
    ) -> Result<(Erasure, u64), ServiceError> {
        if email.is_pseudonym() {
            return Ok((Erasure { email: email.clone(), pseudonym: email.clone() }, 0));
        }
        let pseudonym = CustomerEmail::pseudonym(self.context.vault.pseudonym(email.as_str()));
        let erasure = Erasure { email: email.clone(), pseudonym };
        let licenses = self.erase_from_licenses(&erasure, by).await?;
        let entry = AuditEntry::of_erasure(&erasure, licenses, by, self.context.now());
        self.audit.erase_customer(&erasure, &entry).await?;
        Ok((erasure, licenses))
    }

    async fn erase_from_licenses(&self, erasure: &Erasure, by: &Arc<Actor>) -> Result<u64, ServiceError> {
        let filter =
            LicenseFilter { customer_email: Some(erasure.email.clone()), ..LicenseFilter::default() };
        let page = PageRequest { after: None, limit: limits::PAGE_ITEMS };
        let mut query = LicenseQuery { filter, at: self.context.now(), page };
        let command = Command::EraseCustomer(erasure.clone());
        let mut count = 0;
        // Changed licenses no longer match the filter, so the first page is always the next one.
        loop {
            query.at = self.context.now();
            let found = self.licenses.list(&query).await?.items;
            if found.is_empty() {
                return Ok(count);
            }
            for detail in found {
                let context = self.context.command(query.at, None, Some(Arc::clone(by)));
                match self.licenses.execute(&detail.license.id, &command, &context).await? {
                    CommandOutcome::Done(_) | CommandOutcome::Repeated(_) => count += 1,
                    CommandOutcome::Denied(denial) => return Err(ServiceError::Denied(denial)),
                    CommandOutcome::NotActivated(denied) => {
                        return Err(ServiceError::Denied(denied.reason().clone()));
                    }
                }
            }
        }
    }
}
