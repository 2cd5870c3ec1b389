//! Keeps the catalog of a node current.

use async_trait::async_trait;
use license_core::job::{BackgroundJob, JobReport, Shutdown};
use license_core::service::CatalogService;
use license_core::store::{ChangeNotice, ChangeStream};

use super::reload::reload_on;
use super::rounds::until;

/// Reads the catalog again when another node has changed it.
pub struct CatalogJob {
    /// The catalog of this node.
    pub catalog: CatalogService,
    /// The changes of all nodes.
    pub changes: Box<dyn ChangeStream>,
}

impl std::fmt::Debug for CatalogJob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CatalogJob").field("catalog", &self.catalog).finish_non_exhaustive()
    }
}

#[async_trait]
impl BackgroundJob for CatalogJob {
    fn name(&self) -> &'static str {
        "catalog"
    }

    async fn run(self: Box<Self>, shutdown: Shutdown, report: JobReport) {
        let Self { catalog, mut changes } = *self;
        let reload = || async { catalog.reload().await.map(drop) };
        let kind = ChangeNotice::CatalogChanged;
        until(shutdown, reload_on(&mut *changes, kind, "the plans", &report, reload)).await;
    }
}
