//! Tests of decisions on the catalog.

use serde_json::{Value, json};

use super::*;
use crate::access::Principal;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_780_000_000 + seconds, 0).unwrap()
}

fn context(seconds: i64) -> CatalogContext {
    let by = Some(Arc::new(Actor::new(Principal::CommandLine)));
    CatalogContext { now: at(seconds), expected_revision: None, by, repeatable: false }
}

fn pro() -> Plan {
    Plan::new("pro").max_devices(3).feature("export", true)
}

fn patch(field: &str, value: impl Into<Value>) -> CatalogCommand {
    CatalogCommand::ChangePlan { name: "pro".to_owned(), patch: PlanPatch::default().set(field, value) }
}

fn set(plans: impl IntoIterator<Item = Plan>) -> Arc<PlanCatalog> {
    Arc::new(PlanCatalog::new(plans).unwrap())
}

fn apply(plans: impl IntoIterator<Item = Plan>, source: Option<&str>) -> CatalogCommand {
    CatalogCommand::Apply { plans: set(plans), managed_by: source.map(str::to_owned) }
}

/// A catalog that commands change one after another.
struct Fixture {
    catalog: Arc<PlanCatalog>,
    actions: Vec<String>,
}

impl Fixture {
    fn new(plans: impl IntoIterator<Item = Plan>) -> Self {
        let mut fixture = Self { catalog: Arc::default(), actions: Vec::new() };
        fixture.run(&CatalogCommand::Seed { plans: set(plans), release: false }, 0);
        fixture
    }

    fn decide(&self, command: &CatalogCommand, context: &CatalogContext) -> CatalogDecision {
        decide_catalog(Arc::clone(&self.catalog), command, context)
    }

    #[track_caller]
    fn run(&mut self, command: &CatalogCommand, seconds: i64) -> Option<CatalogChanges> {
        let CatalogDecision { outcome, changes } = self.decide(command, &context(seconds));
        let CatalogOutcome::Done { after, .. } = outcome else { panic!("{command:?}: {outcome:?}") };
        self.actions =
            changes.iter().flat_map(|changes| &changes.audit).map(|one| one.action.clone()).collect();
        self.catalog = after;
        changes
    }

    #[track_caller]
    fn denied(&self, command: &CatalogCommand) -> CatalogDenial {
        let CatalogDecision { outcome, changes } = self.decide(command, &context(9));
        assert_eq!(changes, None);
        let CatalogOutcome::Denied(denial) = outcome else { panic!("{command:?}: {outcome:?}") };
        denial
    }

    fn entry(&self, name: &str) -> &PlanEntry {
        self.catalog.entry(name).unwrap()
    }
}

#[test]
fn first_command_writes_the_default_product() {
    let mut fixture = Fixture { catalog: Arc::default(), actions: Vec::new() };
    let changes = fixture.run(&CatalogCommand::CreatePlan(pro()), 5).unwrap();
    let products: Vec<_> = changes.products.iter().map(|one| (one.name.as_str(), one.created_at)).collect();
    assert_eq!(products, [("default", at(5))]);
    assert_eq!(changes.catalog.revision(), 1);
    assert_eq!(changes.catalog.product("default").unwrap().created_at, at(5));
}

#[test]
fn changed_terms_make_a_version() {
    let mut fixture = Fixture::new([pro()]);
    let changes = fixture.run(&patch("max_devices", 5), 10).unwrap();
    let entry = fixture.entry("pro");
    assert_eq!((entry.versions.len(), entry.current().version, entry.revision), (2, 2, 2));
    assert_eq!(*entry.current().plan, pro().max_devices(5));
    assert_eq!(*entry.version(1).unwrap().plan, pro(), "the old version stays");
    assert_eq!((entry.created_at, entry.updated_at), (at(0), at(10)));
    assert_eq!(changes.versions, [entry.current().clone()]);
    let audit = &changes.audit[0];
    assert_eq!(audit.action, "plan.change");
    let expected = json!({
        "name": {"before": "pro", "after": "pro"},
        "version": {"before": 1, "after": 2},
        "max_devices": {"before": 3, "after": 5},
    });
    assert_eq!(Value::Object(audit.changes.clone()), expected);
}

#[test]
fn equal_terms_change_nothing() {
    let mut fixture = Fixture::new([pro()]);
    for command in [
        patch("max_devices", 3),
        CatalogCommand::ChangePlan { name: "pro".to_owned(), patch: PlanPatch::default() },
        patch("features", json!({"export": true, "gone": null})),
        CatalogCommand::UnarchivePlan("pro".to_owned()),
        apply([pro()], None),
        CatalogCommand::ChangeProduct { name: "default".to_owned(), display_name: "Default".to_owned() },
    ] {
        assert_eq!(fixture.run(&command, 10), None, "{command:?}");
    }
}

#[test]
fn invalid_commands_are_denied() {
    let mut fixture = Fixture::new([pro()]);
    let product = |name: &str, shown: &str| CatalogCommand::CreateProduct {
        name: name.to_owned(),
        display_name: shown.to_owned(),
    };
    fixture.run(&product("editor", "Editor"), 1);
    let name = "pro".to_owned();
    let text = |command: &CatalogCommand| fixture.denied(command).to_string();
    for (command, expected) in [
        (product("editor", "E"), "There is a product \"editor\" already."),
        (product("An Editor", "E"), "the name of a product must be 1 to 64 of a–z, 0–9, _ and -"),
        (product("e", ""), "display_name must have 1 to 100 bytes and no control characters"),
        (CatalogCommand::CreatePlan(pro()), "There is a plan \"pro\" already."),
        (
            CatalogCommand::CreatePlan(Plan::new("x").product("game")),
            "There is no product \"game\". The products are: default, editor.",
        ),
        (
            CatalogCommand::CreatePlan(Plan::new("X")),
            "the name of a plan must be 1 to 64 of a–z, 0–9, _ and -",
        ),
        (
            patch("product", "editor"),
            "The plan \"pro\" belongs to the product \"default\" and cannot move to another one.",
        ),
        (patch("grace", 3), "A plan has no field \"grace\"."),
        (patch("grace_days", 40_000), "grace_days must be at most 36525"),
        (
            CatalogCommand::DeleteProduct("default".to_owned()),
            "The product \"default\" cannot be deleted, because it has the plans pro.",
        ),
        (CatalogCommand::DeleteProduct("game".to_owned()), "There is no product \"game\"."),
        (CatalogCommand::ArchivePlan("solo".to_owned()), "There is no plan \"solo\"."),
    ] {
        assert_eq!(text(&command), expected);
    }
    let stale = CatalogContext { expected_revision: Some(2), ..context(9) };
    for command in [
        patch("max_devices", 9),
        CatalogCommand::ArchivePlan(name.clone()),
        CatalogCommand::UnarchivePlan(name.clone()),
    ] {
        let denied = CatalogOutcome::Denied(CatalogDenial::Stale { revision: 1 });
        assert_eq!(fixture.decide(&command, &stale).outcome, denied, "{command:?}");
    }
    fixture.run(&CatalogCommand::ArchivePlan(name.clone()), 2);
    let exists = fixture.denied(&CatalogCommand::CreatePlan(pro())).to_string();
    assert_eq!(exists, "There is a plan \"pro\" already, which is archived; unarchive it.");
    fixture.run(&CatalogCommand::DeleteProduct("editor".to_owned()), 3);
    assert!(fixture.catalog.product("editor").is_none());
}

#[test]
fn default_product_is_never_deleted() {
    let fixture = Fixture::new([Plan::new("pro").product("editor")]);
    let denied = fixture.denied(&CatalogCommand::DeleteProduct("default".to_owned()));
    assert_eq!(denied, CatalogDenial::ProductInUse { product: "default".to_owned(), plans: Vec::new() });
}

#[test]
fn repeated_create_is_recognized() {
    let mut fixture = Fixture::new([pro()]);
    fixture.run(&patch("max_devices", 5), 1);
    let repeatable = CatalogContext { repeatable: true, ..context(9) };
    let outcome = |command: CatalogCommand| fixture.decide(&command, &repeatable).outcome;
    let repeated = CatalogOutcome::Repeated(Arc::clone(&fixture.catalog));
    assert_eq!(outcome(CatalogCommand::CreatePlan(pro())), repeated);
    let product = |shown: &str| CatalogCommand::CreateProduct {
        name: "default".to_owned(),
        display_name: shown.to_owned(),
    };
    assert_eq!(outcome(product("Default")), repeated);
    for other in [CatalogCommand::CreatePlan(pro().max_devices(5)), product("Other")] {
        assert!(matches!(outcome(other), CatalogOutcome::Denied(_)));
    }
}

#[test]
fn managed_set_decides_alone() {
    let mut fixture = Fixture::new([Plan::new("built-in")]);
    fixture.run(&apply([pro(), Plan::new("old")], Some("plans.toml")), 10);
    assert_eq!(fixture.actions, ["plan.create", "plan.create"]);
    assert_eq!(fixture.entry("pro").managed_by.as_deref(), Some("plans.toml"));
    assert!(fixture.entry("built-in").is_available(), "plans of the API are left alone");
    for command in [patch("max_devices", 9), CatalogCommand::ArchivePlan("pro".to_owned())] {
        let denied = fixture.denied(&command).to_string();
        assert_eq!(denied, "The plan \"pro\" is managed by plans.toml; change it there.");
    }
    assert_eq!(fixture.run(&apply([pro(), Plan::new("old")], Some("plans.toml")), 20), None, "at each start");

    fixture.run(&apply([pro().max_devices(7)], Some("plans.toml")), 30);
    assert_eq!(fixture.entry("pro").current().version, 2);
    assert_eq!(fixture.entry("old").archived_at, Some(at(30)));
    assert_eq!(fixture.actions, ["plan.change", "plan.archive"]);
    assert_eq!(fixture.run(&apply([pro().max_devices(7)], Some("plans.toml")), 35), None, "archived once");
    fixture.run(&apply([pro().max_devices(7), Plan::new("old")], Some("code")), 40);
    let old = fixture.entry("old");
    assert_eq!((old.archived_at, old.versions.len()), (None, 1), "a plan that comes back has no new version");
    assert_eq!(old.managed_by.as_deref(), Some("code"));

    fixture.run(&CatalogCommand::Seed { plans: set([pro()]), release: false }, 50);
    assert!(fixture.entry("pro").managed_by.is_some());
    fixture.run(&CatalogCommand::Seed { plans: set([pro()]), release: true }, 60);
    assert_eq!(fixture.entry("pro").managed_by, None);
    fixture.run(&patch("max_devices", 9), 70);
}

#[test]
fn unmanaged_set_leaves_managed_plans_alone() {
    let mut fixture = Fixture::new([Plan::new("own")]);
    fixture.run(&apply([pro()], Some("code")), 10);
    let denied = fixture.denied(&apply([pro().max_devices(9)], None));
    assert_eq!(denied, CatalogDenial::PlanManaged { plan: "pro".to_owned(), managed_by: "code".to_owned() });
    let before = Arc::clone(&fixture.catalog);
    fixture.run(&apply([pro(), Plan::new("new")], None), 20);
    assert!(fixture.entry("pro").is_available());
    assert_eq!(fixture.entry("own").archived_at, Some(at(20)));
    let changes: Vec<_> =
        plan_differences(&before, &fixture.catalog).into_iter().map(|one| (one.plan, one.change)).collect();
    let expected =
        [("new", PlanChange::Created), ("own", PlanChange::Archived), ("pro", PlanChange::Unchanged)];
    assert_eq!(changes, expected.map(|(plan, change)| (plan.to_owned(), change)));
}

#[test]
fn applied_set_cannot_move_a_plan_to_another_product() {
    let fixture = Fixture::new([pro()]);
    for source in [None, Some("code")] {
        let denied = fixture.denied(&apply([pro().product("editor")], source));
        let (plan, product) = ("pro".to_owned(), "default".to_owned());
        assert_eq!(denied, CatalogDenial::ProductDiffers { plan, product });
    }
}

#[test]
fn names_of_products_survive_a_set_without_them() {
    let mut fixture = Fixture::new([Plan::new("pro").product("editor")]);
    let shown = |fixture: &Fixture| fixture.catalog.product("editor").unwrap().display_name.clone();
    assert_eq!(shown(&fixture), "editor");
    let named = set([Plan::new("pro").product("editor")]);
    let named = Arc::new((*named).clone().with_product("editor", "Editor").unwrap());
    fixture.run(&CatalogCommand::Apply { plans: named, managed_by: None }, 1);
    assert_eq!(shown(&fixture), "Editor");
    fixture.run(&apply([Plan::new("pro").product("editor")], None), 2);
    assert_eq!(shown(&fixture), "Editor");
}

#[test]
fn imported_versions_follow_each_other() {
    let mut fixture = Fixture { catalog: Arc::default(), actions: Vec::new() };
    let default = Product::new("default", "All", at(-900));
    fixture.run(&CatalogCommand::ImportProduct(default.clone()), 1);
    assert_eq!(**fixture.catalog.product("default").unwrap(), default);
    let line = |devices: u32, version: u32| {
        let (created_at, archived_at) = (at(-i64::from(devices)), Some(at(-1)));
        CatalogCommand::ImportPlan(ImportedPlan {
            plan: pro().max_devices(devices),
            version,
            created_at,
            archived_at,
        })
    };
    let gap = |version, last| CatalogDenial::VersionGap { plan: "pro".to_owned(), version, last };
    assert_eq!(fixture.denied(&line(3, 2)), gap(2, 0));
    fixture.run(&line(3, 1), 1);
    fixture.run(&line(4, 2), 1);
    let entry = fixture.entry("pro");
    assert_eq!((entry.created_at, entry.archived_at), (at(-3), Some(at(-1))));
    assert_eq!(entry.current().created_at, at(-4));
    assert_eq!(fixture.run(&line(3, 1), 2), None, "an import can be repeated");
    assert_eq!(
        fixture.denied(&line(9, 2)),
        CatalogDenial::VersionDiffers { plan: "pro".to_owned(), version: 2 }
    );
    assert_eq!(fixture.denied(&line(9, 4)), gap(4, 2));
    assert_eq!(fixture.denied(&line(9, 0)), gap(0, 2));
}

#[test]
fn numbers_of_products_plans_and_versions_are_limited() {
    let mut fixture = Fixture::new((0..limits::PLANS - 1).map(|n| Plan::new(format!("plan-{n}"))));
    fixture.run(&CatalogCommand::CreatePlan(pro()), 1);
    let limit = |what, limit| CatalogDenial::LimitReached { what, limit };
    assert_eq!(fixture.denied(&CatalogCommand::CreatePlan(Plan::new("more"))), limit("plans", limits::PLANS));
    for n in 1..limits::PLAN_VERSIONS {
        fixture.run(&patch("max_domains", n), 1);
    }
    let more = fixture.denied(&patch("max_domains", 10_000));
    assert_eq!(more, limit("versions of this plan", limits::PLAN_VERSIONS));
    let product =
        |n: usize| CatalogCommand::CreateProduct { name: format!("p{n}"), display_name: "P".to_owned() };
    for n in 1..limits::PRODUCTS {
        fixture.run(&product(n), 1);
    }
    assert_eq!(fixture.denied(&product(0)), limit("products", limits::PRODUCTS));
}

#[test]
fn change_for_all_creates_a_job_with_the_new_version() {
    let mut fixture = Fixture::new([pro(), Plan::new("solo")]);
    let id = |text: &str| BulkJobId::parse(text).unwrap();
    let for_all = |name: &str, devices: u32, job: &str| CatalogCommand::ChangePlanForAll {
        name: name.to_owned(),
        patch: PlanPatch::default().set("max_devices", devices),
        job: id(job),
    };
    // The second change differs in nothing, and moves the licenses that are still of older versions.
    for (job, actions) in [("job_1", ["plan.change"].as_slice()), ("job_2", &[])] {
        let changes = fixture.run(&for_all("pro", 9, job), 5).unwrap();
        let job = NewBulkJob {
            id: id(job),
            action: BulkAction::ApplyPlan { plan: "pro".to_owned(), version: 2 },
            created_at: at(5),
            by: Some(Actor::new(Principal::CommandLine)),
            idempotency: None,
            reason: None,
        };
        assert_eq!(changes.job, Some(job));
        assert_eq!(fixture.actions, actions);
        assert_eq!(fixture.entry("pro").versions.len(), 2);
    }
    assert_eq!(fixture.entry("pro").revision, 2);
    let missing = fixture.denied(&for_all("gone", 9, "job_3"));
    assert!(matches!(missing, CatalogDenial::NotFound { .. }), "{missing:?}");
    fixture.run(&apply([pro()], Some("plans.toml")), 6);
    let managed = fixture.denied(&for_all("pro", 7, "job_3"));
    assert!(matches!(managed, CatalogDenial::PlanManaged { .. }), "{managed:?}");
}
