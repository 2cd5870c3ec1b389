//! Cases for commands on the catalog.

use license_core::catalog::{Plan, PlanCatalog, PlanPatch, Product};
use license_core::catalog_command::{
    CatalogCommand, CatalogContext, CatalogDenial, CatalogOutcome, ImportedPlan,
};

use crate::conformance::audit::entries::{actor, all_entries};
use crate::conformance::prelude::*;

pub(in crate::conformance) fn catalog_context() -> CatalogContext {
    CatalogContext { now: at(60), expected_revision: None, by: None, repeatable: false }
}

pub(super) fn catalog(plans: impl IntoIterator<Item = Plan>) -> Arc<PlanCatalog> {
    Arc::new(PlanCatalog::new(plans).expect("plans in bounds"))
}

pub(super) fn change(name: &str, field: &str, value: u32) -> CatalogCommand {
    CatalogCommand::ChangePlan { name: name.to_owned(), patch: PlanPatch::default().set(field, value) }
}

/// Executes a command that is allowed, and returns the catalog after it.
pub(in crate::conformance) async fn changed(store: &Handle, command: &CatalogCommand) -> Arc<PlanCatalog> {
    match ok!(store.catalog().execute_catalog(command, &catalog_context())) {
        CatalogOutcome::Done { after, .. } => after,
        other => panic!("{command:?} is done, not {other:?}"),
    }
}

/// Loads the catalog.
pub(in crate::conformance) async fn loaded(store: &Handle) -> PlanCatalog {
    ok!(store.catalog().load_catalog(u64::MAX)).expect("a catalog of another revision")
}

/// Every handle reads each field, after each command.
pub async fn every_catalog_field_is_stored(Handles { store, other, .. }: &Handles) {
    assert_eq!(loaded(store).await, PlanCatalog::default(), "a new database has the default catalog");
    let name = || "pro".to_owned();
    let product = |name: &str, shown: &str| (name.to_owned(), shown.to_owned());
    let (editor, shown) = product("editor", "Ein 'Editor' ü");
    let full = Plan::new("pro")
        .product("editor")
        .max_domains(2)
        .term_days(365)
        .grace_days(3)
        .exempt_hosts(false)
        .customer_release(true)
        .feature("text", "ü 'quoted' \"twice\"")
        .feature("seats", -7);
    let imported = ImportedPlan {
        plan: Plan::new("old").product("viewer"),
        version: 1,
        created_at: at(-500),
        archived_at: Some(at(-400)),
    };
    for command in [
        CatalogCommand::CreateProduct { name: editor.clone(), display_name: shown },
        CatalogCommand::CreatePlan(full.clone()),
        change("pro", "max_devices", 5),
        CatalogCommand::ArchivePlan(name()),
        CatalogCommand::UnarchivePlan(name()),
        CatalogCommand::ChangeProduct { name: editor, display_name: "Other".to_owned() },
        CatalogCommand::ImportProduct(Product::new("viewer", "Viewer", at(-600))),
        CatalogCommand::ImportPlan(imported),
        CatalogCommand::CreateProduct { name: "empty".to_owned(), display_name: "E".to_owned() },
        CatalogCommand::DeleteProduct("empty".to_owned()),
        CatalogCommand::Apply {
            plans: catalog([full.clone().max_domains(9), Plan::new("new")]),
            managed_by: Some("plans.toml".to_owned()),
        },
        CatalogCommand::Apply { plans: catalog([full]), managed_by: Some("code".to_owned()) },
        CatalogCommand::Seed { plans: catalog([Plan::new("unused")]), release: true },
    ] {
        let after = changed(store, &command).await;
        assert_eq!(loaded(other).await, *after, "after {command:?}");
    }
    let revision = loaded(store).await.revision();
    assert_eq!(revision, 13, "each command is one change");
}

/// A command writes its audit entries in its commit, and a denied one writes none.
pub async fn catalog_changes_are_audited(Handles { store, .. }: &Handles) {
    let context = CatalogContext { by: Some(Arc::new(actor())), ..catalog_context() };
    for command in [
        CatalogCommand::CreatePlan(Plan::new("pro")),
        CatalogCommand::CreatePlan(Plan::new("pro")),
        change("pro", "max_devices", 5),
        change("pro", "max_devices", 5),
        CatalogCommand::ArchivePlan("pro".to_owned()),
    ] {
        ok!(store.catalog().execute_catalog(&command, &context));
    }
    let actions: Vec<_> = all_entries(store.audit()).await.into_iter().map(|entry| entry.action).collect();
    assert_eq!(actions, ["plan.archive", "plan.change", "plan.create"], "newest first");
}

/// A denied command leaves the catalog as it is.
pub async fn denied_catalog_command_changes_nothing(Handles { store, .. }: &Handles) {
    changed(store, &CatalogCommand::CreatePlan(Plan::new("pro"))).await;
    let before = loaded(store).await;
    for command in [
        CatalogCommand::CreatePlan(Plan::new("pro")),
        change("none", "max_devices", 5),
        CatalogCommand::DeleteProduct("default".to_owned()),
        // The second plan is denied, so the first one is not stored.
        CatalogCommand::Apply {
            plans: catalog([Plan::new("a"), Plan::new("pro").product("editor")]),
            managed_by: None,
        },
    ] {
        let outcome = ok!(store.catalog().execute_catalog(&command, &catalog_context()));
        assert!(matches!(outcome, CatalogOutcome::Denied(_)), "{command:?}: {outcome:?}");
        assert_eq!(loaded(store).await, before, "{command:?}");
    }
    let context = CatalogContext { expected_revision: Some(9), ..catalog_context() };
    let outcome = ok!(store.catalog().execute_catalog(&change("pro", "max_devices", 5), &context));
    assert_eq!(outcome, CatalogOutcome::Denied(CatalogDenial::Stale { revision: 1 }));
}

/// A caller that knows the revision loads nothing.
pub async fn catalog_is_loaded_only_if_it_changed(Handles { store, other, .. }: &Handles) {
    assert_eq!(ok!(store.catalog().load_catalog(0)), None, "a new database has revision 0");
    let after = changed(store, &CatalogCommand::CreatePlan(Plan::new("pro"))).await;
    assert_eq!(after.revision(), 1);
    assert_eq!(ok!(other.catalog().load_catalog(0)).as_ref(), Some(&*after));
    assert_eq!(ok!(other.catalog().load_catalog(1)), None);
    changed(store, &CatalogCommand::UnarchivePlan("pro".to_owned())).await;
    assert_eq!(ok!(other.catalog().load_catalog(1)), None, "nothing changed");
}

/// A change is announced to every listener that the store reaches.
pub async fn catalog_changes_are_announced(Handles { store, other, scope, .. }: &Handles) {
    if !scope.has_stream() {
        return;
    }
    let listener = if *scope == StreamScope::AllHandles { other } else { store };
    let mut stream = listener.changes();
    changed(store, &CatalogCommand::CreatePlan(Plan::new("pro"))).await;
    let select = |notice| (notice == ChangeNotice::CatalogChanged).then_some(());
    next_notice(&mut *stream, select).await;
}
