//! SQL on products and plans.

statements! {
    CatalogStatements {
        revision: "SELECT revision FROM catalog",
        /// Locks the catalog: its holder changes products and plans.
        lock: format!("SELECT revision FROM catalog{}", D::FOR_UPDATE),
        set_revision: "UPDATE catalog SET revision = $1",
        products: "SELECT name, display_name, created_at, updated_at FROM products",
        put_product:
            "INSERT INTO products (name, display_name, created_at, updated_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (name) DO UPDATE SET display_name = excluded.display_name, updated_at = excluded.updated_at",
        delete_product: "DELETE FROM products WHERE name = $1",
        plans: "SELECT name, product, archived_at, managed_by, revision, created_at, updated_at FROM plans",
        put_plan:
            "INSERT INTO plans (name, product, archived_at, managed_by, revision, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (name) DO UPDATE SET \
             archived_at = excluded.archived_at, managed_by = excluded.managed_by, revision = excluded.revision, \
             updated_at = excluded.updated_at",
        versions: "SELECT plan, version, created_at, terms FROM plan_versions ORDER BY plan, version",
        insert_version:
            "INSERT INTO plan_versions (plan, version, created_at, terms) VALUES ($1, $2, $3, $4)",
    }
}
