//! Cases for `list_customers`.

use crate::conformance::prelude::*;

fn query(prefix: Option<&str>) -> CustomerQuery {
    let prefix = prefix.map(|text| EmailPrefix::parse(text).expect("a prefix"));
    CustomerQuery { email: None, prefix, at: at(1_000), page: PageRequest::default() }
}

/// A customer has the sums of its licenses, the newest name and the last valid answer.
pub async fn customers_are_summed(Handles { store, other, .. }: &Handles) {
    let named = |plan: &str, customer: &str, name: Option<&str>| LicenseSpec {
        customer_name: name.map(|name| CustomerName::parse(name).expect("a name")),
        ..LicenseSpec::new(plan, email(customer))
    };
    let ended = LicenseSpec { expires_at: Some(Expiry::At(at(500))), ..named("open", "a@x.com", None) };
    let mut ids = Vec::new();
    for spec in [
        named("open", "a@x.com", Some("Old")),
        named("small", "a@x.com", Some("New")),
        named("open", "a@x.com", None),
        ended,
        named("open", "b@x.com", None),
        LicenseSpec::without_customer("open"),
    ] {
        ids.push(issue(store, &spec).await.id);
    }
    ask(store, &ids[0], &Command::Suspend).await.expect("active");
    ask(store, &ids[1], &Command::Revoke).await.expect("active");
    record_and_count(store, &[validation(&ids[0], 70, VALID), validation(&ids[2], 60, VALID)]).await;
    let a = CustomerSummary {
        email: email("a@x.com"),
        name: CustomerName::parse("New").ok(),
        licenses: Status::ALL.into_iter().map(|status| (status, 1)).collect(),
        last_validated_at: Some(at(70)),
        as_of: None,
    };
    let b = CustomerSummary {
        email: email("b@x.com"),
        name: None,
        licenses: [(Status::Active, 1)].into(),
        last_validated_at: None,
        as_of: None,
    };
    let one = CustomerQuery { email: Some(email("A@x.com")), ..query(None) };
    let none = CustomerQuery { email: Some(email("c@x.com")), ..query(None) };
    for (query, expected) in [
        (query(None), vec![a.clone(), b.clone()]),
        (query(Some("B")), vec![b]),
        (query(Some("c")), vec![]),
        (one, vec![a]),
        (none, vec![]),
    ] {
        let as_of = |page: &Page<CustomerSummary, CustomerEmail>| page.items.iter().find_map(|one| one.as_of);
        let found = caught_up!(other.search().list_customers(&query), |found| as_of(&found));
        assert_eq!(found.items, expected, "{query:?}");
    }
}

/// Pages list each customer once, by address.
pub async fn customer_pages_are_complete(Handles { store, other, .. }: &Handles) {
    let mut expected = Vec::new();
    for n in 0..11 {
        let customer = email(&format!("c{n:02}@x.com"));
        for _ in 0..=n % 3 {
            issue(store, &LicenseSpec::new("open", customer.clone())).await;
        }
        expected.push(customer);
    }
    for limit in [1, 4, 11, 50] {
        let found = all_pages!(limit, |page| async {
            other.search().list_customers(&CustomerQuery { page, ..query(Some("c")) }).await
        });
        let found: Vec<_> = found.into_iter().map(|customer| customer.email).collect();
        assert_eq!(found, expected, "pages of {limit}");
    }
}
