//! The console as a browser uses it: pages, forms, cookies and headers.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod console {
    mod actions;
    mod app;
    mod browser;
    mod bulk;
    mod customers;
    mod days;
    mod edit;
    mod every_route;
    mod grants;
    mod headers;
    mod issue;
    mod job_page;
    mod leases;
    mod license_list;
    mod license_page;
    mod links;
    mod lists;
    mod mount;
    mod move_older_licenses;
    mod own_auth;
    mod page_limit;
    mod plans;
    mod scopes;
    mod sessions;
    mod shortcuts;
    mod sign_in;
    mod signing_keys;
    mod system;
    mod time_zone;
    mod tokens;
    mod untrusted_text;
    mod unusual;
    mod usage;
    mod webhooks;
}
