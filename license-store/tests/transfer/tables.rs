//! Tables of other systems.

use chrono::SecondsFormat;
use license_core::catalog::Limit;
use license_core::key::ImportedKeyFormat;
use license_core::license::{CustomerEmail, Fingerprint};
use license_core::limits;
use license_core::service::{ImportOptions, ImportReport};
use license_core::store::{LicenseFilter, PageRequest};
use license_core::transfer::Columns;

use super::server::{HEX, server};

#[tokio::test]
async fn table_rows_are_imported_as_licenses() {
    let server = server(HEX, 1).await;
    let header =
        ["License Key", "Mail", "Sites", "Machines", "Ends", "Status", "Note", "max_domains", "Other"];
    let map = [
        "License Key=key",
        "Mail=customer_email",
        "Sites=domains",
        "Machines=devices",
        "Ends=expires_at",
        "Status=state",
        "Note=metadata.note",
    ];
    let strings = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let columns = Columns::new(&header, &strings(&map), &strings(&["plan=small"])).expect("columns");
    assert_eq!(columns.left_out(), ["Other"]);
    let format = ImportedKeyFormat::new("old", "K-.").expect("a form");
    let options = ImportOptions { key_formats: vec![format], ..ImportOptions::default() };
    let mut importer = server.services.transfer.import(options).await.expect("an import");
    let rows: [&[&str]; 6] = [
        &["K-1", " Dev@Example.com ", "a.com, b.com", "m 1", "2030-05-06", "ACTIVE", "hi", "", "x"],
        &["K-2", "dev@example.com", "a.com;b.com c.com", "", "never", "", "", "unlimited", "", " ", ""],
        &["K-3", "dev@example.com", "", "a;b", "", "", "", "", ""],
        &["K-4", "nobody", "", "", "", "", "", "", ""],
        &["K-5", "dev@example.com", "", "", "", "", "", "many", ""],
        &["K-6"],
    ];
    for (number, row) in (2..).zip(rows) {
        importer.row(number, columns.license(row)).await.expect("the import goes on");
    }
    assert_eq!(importer.finish().await.expect("it ends").imported, 2);
    let mut faults: Vec<_> =
        importer.take_faults().into_iter().map(|(line, fault)| format!("{line}: {fault}")).collect();
    faults.sort();
    assert_eq!(
        faults,
        [
            "4: the license has 2 devices, but max_devices is 1: raise max_devices, or accept licenses over their limit (--over-limit)",
            "5: customer_email \"nobody\": this is not an e-mail address",
            "6: max_domains \"many\": write a whole number from 0 to 10000000 in digits only, or unlimited",
            "7: the row has 1 cells, but the header has 9: check its separators and quotes",
        ]
    );
    let page = PageRequest { after: None, limit: limits::PAGE_ITEMS };
    let found = server.services.licenses.list(&LicenseFilter::default(), &page).await.expect("a list");
    let one = found.items.iter().find(|one| one.key.reveal() == "K-1").expect("the first row");
    assert_eq!(one.detail.license.customer_email, CustomerEmail::parse("dev@example.com").ok());
    assert_eq!(one.detail.license.metadata.as_map()["note"], "hi");
    assert_eq!(
        one.detail.license.expires_at.expect("a term").to_rfc3339(),
        "2030-05-06T23:59:59.999999+00:00"
    );
    assert_eq!(one.detail.license.max_domains, Limit::AtMost(2), "of its plan");
    assert_eq!(one.detail.domains.len(), 2);
    let device = license_core::license::Binding::Device(Fingerprint::parse("m 1").expect("a fingerprint"));
    assert_eq!(one.detail.devices[0].binding, device);
    let two = found.items.iter().find(|one| one.key.reveal() == "K-2").expect("the second row");
    assert_eq!((two.detail.license.expires_at, two.detail.license.max_domains), (None, Limit::Unlimited));
}

#[test]
fn invalid_columns_are_rejected() {
    let strings = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let both = ["plan=open", "customer_email=a@example.com"];
    for (map, set, expected) in [
        (&["a"][..], &both[..], "\"a\" has no ="),
        (&["b=key"], &both, "the table has no column \"b\"; its columns are a, id"),
        (&["a=keys"], &both, "\"keys\" is not a field; fields are id, key,"),
        (&["a=metadata."], &both, "\"metadata.\" is not a field"),
        (
            &["a=plan"],
            &both,
            "plan is given twice: map one of its columns to metadata.NAME, or leave out --set",
        ),
        (&["a=key", "id=key"], &both, "key is given twice: map"),
        (
            &["a=key"],
            &both[..1],
            "no column is customer_email: map one with COLUMN=customer_email, or set customer_email for all rows",
        ),
        (&[], &["plan"], "\"plan\" has no ="),
    ] {
        let error = Columns::new(&["a", "id"], &strings(map), &strings(set)).expect_err(expected).to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

/// A table with columns `key`, `state`, `expires_at`, `domains` and `devices`.
fn columns() -> Columns {
    let set = ["plan=small".to_owned(), "customer_email=dev@example.com".to_owned()];
    Columns::new(&["Key", " STATE ", "Expires At", "domains", "Devices"], &[], &set).expect("columns")
}

/// The result of an import: faults and notes as `line: text`, and each key with its expiry and number of
/// slots.
struct Table {
    faults: Vec<String>,
    notes: Vec<String>,
    licenses: Vec<(String, Option<String>, u64)>,
    pattern: Option<String>,
    report: ImportReport,
}

/// Imports rows, and asserts that a dry run says the same.
async fn import(columns: &Columns, rows: &[Vec<&str>]) -> Table {
    let server = server(HEX, 1).await;
    let import = async |dry_run| {
        let key_formats = vec![ImportedKeyFormat::new("old", "K-[0-9]").expect("a format")];
        let options = ImportOptions { dry_run, key_formats, ..ImportOptions::default() };
        let mut importer = server.services.transfer.import(options).await.expect("an import");
        for (number, row) in (2..).zip(rows) {
            importer.row(number, columns.license(row)).await.expect("the import goes on");
        }
        let report = importer.finish().await.expect("it ends");
        let faults = importer.take_faults().into_iter().map(|(line, fault)| format!("{line}: {fault}"));
        let notes = importer.take_notes().into_iter().map(|(line, note)| format!("{line}: {note}"));
        (faults.collect::<Vec<_>>(), notes.collect::<Vec<_>>(), importer.proposed_pattern(), report)
    };
    let foreseen = import(true).await;
    let (faults, notes, pattern, report) = import(false).await;
    assert_eq!(
        foreseen,
        (faults.clone(), notes.clone(), pattern.clone(), report),
        "the dry run says the same"
    );
    let page = PageRequest { after: None, limit: limits::PAGE_ITEMS };
    let found = server.services.licenses.list(&LicenseFilter::default(), &page).await.expect("a list").items;
    let mut licenses: Vec<_> = found
        .iter()
        .map(|one| {
            let license = &one.detail.license;
            let expires_at = license.expires_at.map(|at| at.to_rfc3339_opts(SecondsFormat::AutoSi, true));
            (one.key.reveal().to_owned(), expires_at, license.domains_used + license.devices_used)
        })
        .collect();
    licenses.sort();
    Table { faults, notes, licenses, pattern, report }
}

/// The clock of the server stands at 2026-06-01T12:00:00.123456Z.
#[tokio::test]
async fn expired_row_is_expired_at_its_date_or_at_the_import() {
    const NOW: &str = "2026-06-01T12:00:00.123456Z";
    let rows = [
        vec!["K-1", "expired", "", "", ""],
        vec!["K-2", "Expired", "2030-01-01T00:00:00Z", "", ""],
        vec!["K-3", "EXPIRED", "2026-05-31", "", ""],
        vec!["K-4", "expired", "never", "", ""],
        vec!["K-5", "expired", "2026-06-01", "", ""],
        vec!["K-6", "suspended", "", "", ""],
        vec!["K-7", "cancelled", "", "", ""],
    ];
    let Table { faults, notes, licenses, .. } = import(&columns(), &rows).await;
    assert_eq!(faults, ["8: state \"cancelled\": it must be active, expired, suspended or revoked"]);
    let expires: Vec<_> =
        licenses.iter().map(|(key, at, _)| (key.as_str(), at.as_deref().unwrap_or(""))).collect();
    assert_eq!(
        expires,
        [
            ("K-1", NOW),
            ("K-2", NOW),
            ("K-3", "2026-05-31T23:59:59.999999Z"),
            ("K-4", NOW),
            ("K-5", NOW),
            ("K-6", "2026-07-01T12:00:00.123456Z"),
        ]
    );
    let becomes = format!("the state is expired, so expires_at becomes {NOW}, the time of the import");
    assert_eq!(
        notes,
        [
            format!("2: {becomes}"),
            format!("3: {becomes}"),
            "4: expires_at \"2026-05-31\" is read as 2026-05-31T23:59:59.999999Z".to_owned(),
            format!("5: {becomes}"),
            "6: expires_at \"2026-06-01\" is read as 2026-06-01T23:59:59.999999Z".to_owned(),
            format!("6: {becomes}"),
        ]
    );
}

#[tokio::test]
async fn exempt_and_repeated_names_of_a_row_are_left_out() {
    let rows = [
        vec!["K-1", "", "never", "localhost, a.com, shop.test, b.com, 127.0.0.1:8080", ""],
        vec!["K-2", "", "never", "a.com https://www.A.com/shop www.www.a.com b.com", "m1;m1"],
        vec!["K-3", "", "never", "a.com b.com c.com", ""],
    ];
    let Table { faults, notes, licenses, .. } = import(&columns(), &rows).await;
    let slots: Vec<_> = licenses.iter().map(|(key, _, slots)| (key.as_str(), *slots)).collect();
    assert_eq!(slots, [("K-1", 2), ("K-2", 3)]);
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].starts_with("4: the license has 3 domains, but max_domains is 2: raise"), "{faults:?}");
    let exempt = |domain| {
        format!("2: the domain {domain} is left out: the plan always allows it, and it takes no slot")
    };
    assert_eq!(
        notes,
        [
            exempt("localhost"),
            exempt("shop.test"),
            exempt("127.0.0.1"),
            "3: the domain \"a.com\" is listed twice and takes one slot".to_owned(),
            "3: the domain \"a.com\" is listed twice and takes one slot".to_owned(),
            "3: the device \"m1\" is listed twice and takes one slot".to_owned(),
        ]
    );
}

#[tokio::test]
async fn unreadable_keys_are_counted_and_a_format_is_proposed() {
    let keys: Vec<_> = (0..25).map(|n| format!("AB{n:02}-XY")).collect();
    let mut rows: Vec<_> = keys.iter().map(|key| vec![key.as_str(), "", "", "", ""]).collect();
    rows.push(vec![" K-1 ", "", "never", "", ""]);
    rows.push(vec!["K-1", "", "", "", ""]);
    let Table { faults, pattern, report, licenses, .. } = import(&columns(), &rows).await;
    assert_eq!((report.imported, report.refused, report.unreadable_keys), (1, 26, 25));
    assert_eq!(licenses[0].0, "K-1", "white space is not part of a key");
    assert_eq!(faults.len(), 11, "{faults:?}");
    assert!(faults[9].starts_with("11: key: it is not a key of this server"), "{faults:?}");
    assert_eq!(faults[10], "28: same key as line 27: remove one of the two lines");
    assert_eq!(pattern.as_deref(), Some("[A-Z0-9]{4}-[A-Z]{2}"));
    assert!(keys.iter().all(|key| !faults.concat().contains(key)), "keys are not repeated");
}

#[test]
fn header_is_read_in_any_case() {
    let strings = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let header = [" PLAN", "Customer Email ", "Max-Domains", "Metadata.Order", "note", "id", "NOTE"];
    let columns = Columns::new(&header, &strings(&["ID = metadata.old_id"]), &[]).expect("columns");
    assert_eq!(columns.left_out(), ["note", "NOTE"]);
    let columns =
        Columns::new(&header, &strings(&["NOTE=metadata.note", "id=metadata.x"]), &[]).expect("columns");
    assert_eq!(columns.left_out(), ["note"], "the exact name comes first");
    for (header, map, expected) in [
        (&["plan", "Plan", "customer_email"][..], &[][..], "plan is given twice"),
        (&["plan", "customer_email", "x", "X "], &["x =key", "X=id"], ""),
        (&["plan", "customer_email", "x", "x"], &["x=key"], "the table has two columns \"x\""),
        (&["plan", "customer_email", "X", "x "], &["ｘ=key"], "the table has no column \"ｘ\""),
        (
            &["Tier", "customer_email", "Serial"],
            &["Serial=key"],
            "no column is plan: map one (Tier) with COLUMN=plan, or set plan for all rows",
        ),
    ] {
        let error = Columns::new(header, &strings(map), &[]).err().map(|error| error.to_string());
        assert!(error.as_deref().unwrap_or("").starts_with(expected), "{header:?}: {error:?}");
        assert_eq!(error.is_none(), expected.is_empty(), "{header:?}: {error:?}");
    }
}
