//! Query parameters.

use license_core::limits;

use super::Table;
use crate::api::app::{Issued, TestApp};

impl Table {
    pub(super) fn queries(&mut self, app: &TestApp, license: &Issued) {
        let plan = format!("plan={}", "x".repeat(limits::PLAN_NAME_BYTES + 1));
        let past = format!("limit={}", limits::PAGE_ITEMS + 1);
        for (query, field) in [
            ("status=nothing", "status"),
            ("status=", "status"),
            ("status", "status"),
            ("status=Active", "status"),
            ("status=active&status=active", "status"),
            ("status=active&%73tatus=active", "status"),
            ("nothing=1", "nothing"),
            ("Limit=1", "Limit"),
            ("=1", ""),
            ("limit=0", "limit"),
            (&past, "limit"),
            ("limit=-1", "limit"),
            ("limit=%2B5", "limit"),
            ("limit=1.0", "limit"),
            ("limit=1e1", "limit"),
            ("limit=ten", "limit"),
            ("limit=", "limit"),
            ("limit=99999999999999999999", "limit"),
            ("limit=%D9%A1", "limit"),
            ("cursor=", "cursor"),
            ("cursor=nothing", "cursor"),
            ("cursor=lic_%00", "cursor"),
            ("plan=", "plan"),
            ("plan=%00", "plan"),
            (&plan, "plan"),
            ("customer_email=nobody", "customer_email"),
            ("customer_email=a+b%40example.com", "customer_email"),
            ("plan=%zz", "plan"),
            ("plan=%ff", "plan"),
            ("plan=%", "plan"),
            ("%ff=1", "query"),
            ("kind=domain", "kind"),
        ] {
            let call = app.admin("GET", &format!("/api/v1/licenses?{query}"));
            let name: String = query.chars().take(40).collect();
            self.row(format!("licenses?{name}"), call, 400, "BAD_REQUEST", Some(field));
        }
        for (query, field) in [
            ("activations?kind=both", "kind"),
            ("activations?cursor=lic_a", "cursor"),
            ("activations?status=active", "status"),
            ("usage?from=yesterday", "from"),
            ("usage?from=2026-01-01", "from"),
            ("usage?to=2026-01-01T00:00:00+00:00", "to"),
            ("usage?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "from"),
            ("usage?limit=0", "limit"),
            ("usage?cursor=1", "cursor"),
            ("usage?cursor=1_", "cursor"),
            ("usage?cursor=1_-1", "cursor"),
            ("usage?cursor=1_9223372036854775808", "cursor"),
            ("usage?cursor=9223372036854775807_1", "cursor"),
            ("usage?kind=domain", "kind"),
            ("usage?interval=", "interval"),
            ("usage?interval=week", "interval"),
            ("usage?interval=Day", "interval"),
            ("usage?interval=day&interval=day", "interval"),
            ("usage?interval=hour&from=2020-01-01T00:00:00Z", "interval"),
            ("usage?interval=day&from=2020-01-01T00:00:00Z&to=9999-01-01T00:00:00Z", "interval"),
            ("usage?group_by=client", "group_by"),
            ("usage?group_by=", "group_by"),
        ] {
            let call = app.admin("GET", &format!("{}/{query}", license.path));
            self.row(query, call, 400, "BAD_REQUEST", Some(field));
            if query.starts_with("usage") {
                let call = app.admin("GET", &format!("/api/v1/{query}"));
                self.row(format!("all {query}"), call, 400, "BAD_REQUEST", Some(field));
            }
        }
        for (method, rest) in [("GET", ""), ("DELETE", ""), ("POST", "/suspend")] {
            let call = app.admin(method, &format!("{}{rest}?force=true", license.path));
            self.row(format!("{method} {rest}?force"), call, 400, "BAD_REQUEST", Some("force"));
        }
        let create = app.admin("POST", "/api/v1/licenses?dry_run=1").json_text("{}");
        self.row("create?dry_run", create, 400, "BAD_REQUEST", Some("dry_run"));
    }
}
