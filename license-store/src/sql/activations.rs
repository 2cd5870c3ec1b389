//! Implements `ActivationStore`.

use async_trait::async_trait;
use license_core::license::{ActivationId, ActivationKind, LicenseId};
use license_core::store::{ActivationStore, Page, PageRequest};
use license_core::usage::{ActivationDetail, Day, IdleQuery};

use super::prelude::*;
use super::rows::plan_version;
use super::store::SqlStore;

#[async_trait]
impl<D: Dialect> ActivationStore for SqlStore<D> {
    async fn list_activations(
        &self,
        id: &LicenseId,
        kind: Option<ActivationKind>,
        page: &PageRequest<ActivationId>,
    ) -> Result<Page<ActivationDetail, ActivationId>> {
        self.catch_up().await;
        let (database, sql) = (&*self.database, &self.database.sql.activations);
        let after = page.after.as_ref().map_or("", ActivationId::as_str);
        let limit = i64::from(page.limit) + 1;
        let read = async {
            let mut tx = database.begin_list().await?;
            database.check_exists(&mut tx, id).await?;
            match kind {
                None => database.fetch(&mut tx, &sql.list, values![id.as_str(), after, limit]).await,
                Some(kind) => {
                    let values = values![id.as_str(), after, limit, kind.as_str()];
                    database.fetch(&mut tx, &sql.list_of_kind, values).await
                }
            }
        };
        let rows = database.limited(read).await?;
        let items = rows.all("activations", id.as_str(), Reader::activation_detail)?;
        Ok(Page::from_one_more(items, page.limit, |detail: &ActivationDetail| detail.activation.id.clone()))
    }

    async fn find_idle<'a>(&self, query: &IdleQuery<'a>) -> Result<Vec<LicenseId>> {
        let IdleQuery { plan, version, before, now, limit } = *query;
        let plan = plan_version(plan, version);
        let (limit, now) = (i64::from(limit), now.timestamp_micros());
        let values = values![plan, Day::of(before).number(), before.timestamp_micros(), limit, now];
        let rows = self.database.read(&self.database.sql.activations.idle, values).await?;
        let mut idle: Vec<LicenseId> = Vec::new();
        for row in rows.iter("activations", "") {
            let id = row.license_id("license_id")?;
            if !idle.contains(&id) {
                idle.push(id);
            }
        }
        Ok(idle)
    }
}
