//! How each field of a plan is shown and read.

pub(super) const NO_YES: &[(&str, &str)] = &[("false", "no"), ("true", "yes")];
pub(super) const UNITS: &[(&str, &str)] = &[("days", "days"), ("months", "months"), ("years", "years")];
pub(super) const KINDS: &[(&str, &str)] =
    &[("on", "on"), ("off", "off"), ("number", "number"), ("text", "text")];

/// Rows for new features below those that the plan has.
pub(super) const FREE_ROWS: usize = 3;

/// The most rows of features that a form has.
pub(super) const FEATURE_ROWS: usize = license_core::limits::PLAN_FEATURES + FREE_ROWS;

/// How a field is shown and read.
pub(super) enum Shape {
    Number,
    Choice(&'static [(&'static str, &'static str)]),
    /// A number with a unit, and one more choice in the member with this name.
    Period(&'static str, &'static str, &'static [(&'static str, &'static str)]),
    /// Numbers in members.
    Numbers(&'static [(&'static str, &'static str)]),
    /// Names that are chosen one by one; in the member with this name, or the field itself.
    Names(Option<&'static str>, &'static [(&'static str, &'static str)]),
    Hosts,
    Features,
}

/// All fields but the product, in the order of the form.
pub(super) const FIELDS: &[(&str, Shape, &str)] = &[
    ("max_domains", Shape::Number, "Empty is no limit."),
    ("max_devices", Shape::Number, "Empty is no limit."),
    (
        "term",
        Shape::Period(
            "starts",
            "Begins",
            &[("issue", "when it is issued"), ("first_use", "at the first use")],
        ),
        "How long a license runs, and what a renewal adds. Empty never ends.",
    ),
    ("grace_days", Shape::Number, "Days after the end during which licenses stay valid."),
    (
        "domain_policy",
        Shape::Choice(&[
            ("free_claim", "a new domain takes a free slot"),
            ("registered_only", "only domains that you registered"),
        ]),
        "",
    ),
    ("exempt_hosts", Shape::Hosts, "Hosts that take no slot."),
    (
        "device_policy",
        Shape::Choice(&[
            ("deny", "deny the new device"),
            ("evict_oldest", "the least recently seen device loses its slot"),
        ]),
        "What happens if a new device finds no free slot.",
    ),
    ("idle_days", Shape::Number, "Days after which an unused device loses its slot. Empty is never."),
    ("customer_release", Shape::Choice(NO_YES), "Whether customers can free slots with the key."),
    (
        "over_limit",
        Shape::Numbers(&[("domains", "Domains"), ("devices", "Devices")]),
        "Slots beyond the limits that validations can take.",
    ),
    (
        "max_countries_per_day",
        Shape::Number,
        "More is told as unusual usage, and is not denied. Empty is never.",
    ),
    (
        "max_devices_per_day",
        Shape::Number,
        "More is told as unusual usage, and is not denied. Empty is never.",
    ),
    (
        "features",
        Shape::Features,
        "For your software. Clear the name and the value of a feature to remove it.",
    ),
    (
        "updates",
        Shape::Period(
            "after_expiry",
            "After the end of the license",
            &[("deny", "no version is allowed"), ("old_versions", "covered versions stay allowed")],
        ),
        "Versions that were released within this time are covered. Empty covers all versions.",
    ),
    (
        "require",
        Shape::Names(None, &[("product", "Product"), ("domain", "Domain"), ("device", "Device")]),
        "What each validation must name.",
    ),
    (
        "trial",
        Shape::Names(Some("once_per"), &[("device", "Once per device"), ("customer", "Once per customer")]),
        "Without any, the plan is no trial.",
    ),
    ("offline_days", Shape::Number, "The longest lease for a machine without a network. Empty allows none."),
    ("offline_slots", Shape::Number, "Devices that can hold leases. Empty is all but one."),
    ("trust_release", Shape::Choice(NO_YES), "Whether a lease that is handed back frees its slot at once."),
];

/// Whether the claims that a validation needs are the usual ones.
pub(super) const REQUIRED: &[(&str, &str)] =
    &[("true", "the product, unless it is the default one"), ("false", "what is chosen here")];
