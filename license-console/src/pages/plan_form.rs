//! The form of a plan: a control for every field.

use askama::Template;
use license_core::catalog::{Plan, PlanPatch};
use serde_json::{Map, Value, json};

use super::plan_field::label;
use crate::form::Form;

/// Rows for new features below those that the plan has.
const FREE_ROWS: usize = 3;

/// A field of a plan, with its controls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// The name in JSON.
    pub(super) name: &'static str,
    pub(super) label: String,
    pub(super) help: &'static str,
    pub(super) controls: Vec<Control>,
    /// What is wrong with the field.
    pub(super) error: Option<String>,
}

/// A control of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Control {
    /// The name in the form.
    pub(super) name: String,
    /// What the control is for, if it is not the only one of its field.
    pub(super) label: &'static str,
    pub(super) value: String,
    pub(super) kind: Kind,
}

/// The kind of a control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    Text,
    /// Several lines.
    Lines,
    /// Value and label of each choice.
    Choice(&'static [(&'static str, &'static str)]),
}

/// The controls as a part of a page.
#[derive(Template)]
#[template(path = "plan_controls.html")]
pub(super) struct PlanControls {
    groups: Vec<Group>,
}

/// What is wrong with a form: a field in JSON, and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FieldError {
    pub(super) field: String,
    pub(super) reason: String,
}

const NO_YES: &[(&str, &str)] = &[("false", "no"), ("true", "yes")];
const UNITS: &[(&str, &str)] = &[("days", "days"), ("months", "months"), ("years", "years")];
const KINDS: &[(&str, &str)] = &[("on", "on"), ("off", "off"), ("number", "number"), ("text", "text")];

/// How a field is shown and read.
enum Shape {
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
const FIELDS: &[(&str, Shape, &str)] = &[
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
    ("features", Shape::Features, "For your software. Clear the name of a feature to remove it."),
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

impl PlanControls {
    /// Shows the texts of a form, and what is wrong with it.
    pub(super) fn new(form: &Form, error: Option<&FieldError>) -> Self {
        let group = |(name, shape, help): &(&'static str, Shape, &'static str)| Group {
            name,
            label: label(name),
            help,
            controls: controls(name, shape, form),
            error: error.filter(|error| error.field == *name).map(|error| error.reason.clone()),
        };
        Self { groups: FIELDS.iter().map(group).collect() }
    }

    /// Returns whether the error of a form is shown at one of the fields.
    pub(super) fn has_field(name: &str) -> bool {
        FIELDS.iter().any(|(field, ..)| *field == name)
    }

    /// Returns the names and values of all controls, to send them again.
    pub(super) fn sent(form: &Form) -> Vec<(String, String)> {
        let of_group = |group: Group| group.controls.into_iter().map(|control| (control.name, control.value));
        Self::new(form, None).groups.into_iter().flat_map(of_group).collect()
    }
}

fn controls(name: &str, shape: &Shape, form: &Form) -> Vec<Control> {
    let control = |name: String, label, kind| Control {
        value: form.text(&name).unwrap_or_default().to_owned(),
        name,
        label,
        kind,
    };
    match shape {
        Shape::Number => vec![control(name.to_owned(), "", Kind::Number)],
        Shape::Choice(choices) => vec![control(name.to_owned(), "", Kind::Choice(choices))],
        Shape::Period(member, label, choices) => vec![
            control(format!("{name}.count"), "Number", Kind::Number),
            control(format!("{name}.unit"), "Unit", Kind::Choice(UNITS)),
            control(format!("{name}.{member}"), label, Kind::Choice(choices)),
        ],
        Shape::Numbers(members) => {
            let of = |(member, label): &(&str, &'static str)| {
                control(format!("{name}.{member}"), label, Kind::Number)
            };
            members.iter().map(of).collect()
        }
        Shape::Names(member, names) => {
            let of = |(one, label): &(&str, &'static str)| {
                control(format!("{name}.{one}"), label, Kind::Choice(NO_YES))
            };
            let default = control(format!("{name}.default"), "Default", Kind::Choice(REQUIRED));
            member.is_none().then_some(default).into_iter().chain(names.iter().map(of)).collect()
        }
        Shape::Hosts => vec![
            control(format!("{name}.development"), "Development hosts", Kind::Choice(NO_YES)),
            control(format!("{name}.listed"), "And these, one per line", Kind::Lines),
        ],
        Shape::Features => {
            let of = |row| {
                [
                    control(format!("{name}.{row}.name"), "Name", Kind::Text),
                    control(format!("{name}.{row}.kind"), "Kind", Kind::Choice(KINDS)),
                    control(format!("{name}.{row}.value"), "Value of a number or text", Kind::Text),
                ]
            };
            (0..feature_rows(form) + FREE_ROWS).flat_map(of).collect()
        }
    }
}

const REQUIRED: &[(&str, &str)] =
    &[("true", "the product, unless it is the default one"), ("false", "what is chosen here")];

/// Returns the number of rows up to the last one with a feature.
fn feature_rows(form: &Form) -> usize {
    (0..license_core::limits::PLAN_FEATURES)
        .rfind(|row| form.text(&format!("features.{row}.name")).is_some())
        .map_or(0, |last| last + 1)
}

/// Returns the texts of a plan, as its form sends them.
pub(super) fn texts(plan: &Plan) -> Form {
    let json = plan.to_json();
    let mut pairs = Vec::new();
    for (name, shape, _) in FIELDS {
        let value = &json[*name];
        let mut add = |member: &str, text: String| pairs.push((format!("{name}{member}"), text));
        match shape {
            Shape::Number | Shape::Choice(_) => add("", text(value)),
            Shape::Period(member, ..) => {
                for (unit, _) in UNITS {
                    if let Some(count) = value.get(unit) {
                        add(".count", text(count));
                        add(".unit", (*unit).to_owned());
                        add(&format!(".{member}"), text(&value[*member]));
                    }
                }
            }
            Shape::Numbers(members) => {
                for (member, _) in *members {
                    add(&format!(".{member}"), text(&value[*member]));
                }
            }
            Shape::Names(member, names) => {
                let list = member.map_or(value, |member| &value[member]);
                add(".default", value.is_null().to_string());
                for (one, _) in *names {
                    let chosen = list.as_array().is_some_and(|list| list.iter().any(|item| item == one));
                    add(&format!(".{one}"), chosen.to_string());
                }
            }
            Shape::Hosts => {
                add(".development", (value != &json!(false)).to_string());
                let listed =
                    value.as_array().map(|hosts| hosts.iter().map(text).collect::<Vec<_>>().join("\n"));
                add(".listed", listed.unwrap_or_default());
            }
            Shape::Features => {
                for (row, (feature, value)) in value.as_object().into_iter().flatten().enumerate() {
                    let (kind, shown) = match value {
                        Value::Bool(true) => ("on", String::new()),
                        Value::Bool(false) => ("off", String::new()),
                        Value::Number(number) => ("number", number.to_string()),
                        other => ("text", text(other)),
                    };
                    add(&format!(".{row}.name"), feature.clone());
                    add(&format!(".{row}.kind"), kind.to_owned());
                    add(&format!(".{row}.value"), shown);
                }
            }
        }
    }
    Form::of_pairs(pairs)
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// Returns the fields of a form as those of a plan in JSON. A missing control is an error, so that no limit is
/// lost by an incomplete form.
pub(super) fn json(form: &Form) -> Result<Map<String, Value>, FieldError> {
    let mut fields = Map::new();
    for (name, shape, _) in FIELDS {
        let value = value(form, name, shape)
            .map_err(|reason| FieldError { field: (*name).to_owned(), reason: reason.into() })?;
        fields.insert((*name).to_owned(), value);
    }
    Ok(fields)
}

fn value(form: &Form, name: &str, shape: &Shape) -> Result<Value, String> {
    let sent = |name: &str| form.sent(name).ok_or_else(|| format!("the form has no field {name}"));
    let number = |name: &str| whole(sent(name)?, 0);
    Ok(match shape {
        Shape::Number if name == "grace_days" => json!(number(name)?.unwrap_or_default()),
        Shape::Number => json!(number(name)?),
        Shape::Choice(choices) => choice(sent(name)?, choices)?,
        Shape::Period(member, _, choices) => {
            let Some(count) = number(&format!("{name}.count"))? else { return Ok(Value::Null) };
            let unit = choice(sent(&format!("{name}.unit"))?, UNITS)?;
            let more = choice(sent(&format!("{name}.{member}"))?, choices)?;
            Value::Object(Map::from_iter([(text(&unit), json!(count)), ((*member).to_owned(), more)]))
        }
        Shape::Numbers(members) => {
            let mut object = Map::new();
            for (member, _) in *members {
                let count = number(&format!("{name}.{member}"))?.unwrap_or_default();
                object.insert((*member).to_owned(), json!(count));
            }
            Value::Object(object)
        }
        Shape::Names(member, names) => {
            let mut list = Vec::new();
            for (one, _) in *names {
                if choice(sent(&format!("{name}.{one}"))?, NO_YES)? == json!(true) {
                    list.push(json!(one));
                }
            }
            match member {
                Some(_) if list.is_empty() => Value::Null,
                Some(member) => json!({ *member: list }),
                None if choice(sent(&format!("{name}.default"))?, NO_YES)? == json!(true) => {
                    if list.is_empty() { Value::Null } else { json!(list) }
                }
                None => json!(list),
            }
        }
        Shape::Hosts => {
            let listed: Vec<_> = sent(&format!("{name}.listed"))?.split_whitespace().collect();
            match (choice(sent(&format!("{name}.development"))?, NO_YES)?, listed.is_empty()) {
                (development, true) => development,
                (Value::Bool(true), false) => json!(listed),
                _ => return Err("listed hosts need the development hosts to be exempt too".to_owned()),
            }
        }
        Shape::Features => Value::Object(features(form)?),
    })
}

fn features(form: &Form) -> Result<Map<String, Value>, String> {
    let mut features = Map::new();
    for row in 0..feature_rows(form) {
        let Some(name) = form.text(&format!("features.{row}.name")) else { continue };
        let typed = form.text(&format!("features.{row}.value")).unwrap_or_default();
        let value = match form.text(&format!("features.{row}.kind")) {
            Some("on") => json!(true),
            Some("off") => json!(false),
            Some("number") => {
                let number = typed.parse::<i64>();
                json!(number.map_err(|_| format!("{name}: {typed:?} is no whole number"))?)
            }
            Some("text") => json!(typed),
            _ => return Err(format!("{name}: choose on, off, number or text")),
        };
        if features.insert(name.to_owned(), value).is_some() {
            return Err(format!("{name} is there twice"));
        }
    }
    Ok(features)
}

/// Parses a whole number of at least `least`; `None` if the text is empty.
fn whole(text: &str, least: u32) -> Result<Option<u32>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let number = text.parse::<u32>().ok().filter(|number| *number >= least);
    number.map(Some).ok_or_else(|| format!("{text:?} is no whole number"))
}

fn choice(text: &str, choices: &[(&str, &str)]) -> Result<Value, String> {
    let names = || choices.iter().map(|(value, _)| *value).collect::<Vec<_>>().join(", ");
    match text {
        "true" | "false" if choices.iter().any(|(value, _)| *value == text) => Ok(json!(text == "true")),
        text if choices.iter().any(|(value, _)| *value == text) => Ok(json!(text)),
        text => Err(format!("{text:?} is none of {}", names())),
    }
}

/// Returns the fields that differ from those of a plan.
pub(super) fn patch(form: &Form, plan: &Plan) -> Result<PlanPatch, FieldError> {
    let before = plan.to_json();
    let mut patch = PlanPatch::default();
    for (name, value) in json(form)? {
        if before.get(&name) == Some(&value) {
            continue;
        }
        let value = match (name.as_str(), before.get(&name), value) {
            // A patch keeps the features that it does not name.
            ("features", Some(Value::Object(old)), Value::Object(new)) => {
                let gone = old.keys().filter(|feature| !new.contains_key(*feature));
                let gone: Vec<_> = gone.map(|feature| (feature.clone(), Value::Null)).collect();
                Value::Object(new.into_iter().chain(gone).collect())
            }
            (_, _, value) => value,
        };
        patch = patch.set(name, value);
    }
    Ok(patch)
}

#[cfg(test)]
mod tests {
    use license_core::catalog::{
        AfterExpiry, DevicePolicy, DomainPolicy, OverLimit, Period, RequiredClaim, Term, Trial, TrialHolder,
        Updates,
    };

    use super::*;

    fn full() -> Plan {
        let hosts = ["*.staging.example.net", "preview.example.net"];
        let hosts = hosts.map(|host| license_core::domain::DomainName::parse_registered(host).unwrap());
        Plan::new("team")
            .max_domains(2)
            .max_devices(3)
            .term(Term::days(30))
            .grace_days(4)
            .domain_policy(DomainPolicy::RegisteredOnly)
            .exempt_hosts(hosts.to_vec())
            .device_policy(DevicePolicy::EvictOldest)
            .idle_days(90)
            .customer_release(true)
            .over_limit(OverLimit { devices: 1, domains: 2 })
            .max_countries_per_day(5)
            .max_devices_per_day(6)
            .feature("tier", "gold")
            .feature("seats", 25)
            .feature("sso", true)
            .feature("beta", false)
            .updates(Updates { period: Period::Years(1), after_expiry: AfterExpiry::OldVersions })
            .require([RequiredClaim::Domain])
            .trial(Trial { once_per: [TrialHolder::Customer].into() })
            .offline_days(7)
            .offline_slots(1)
            .trust_release(true)
    }

    #[test]
    fn form_has_every_field_but_the_product() {
        let mut names: Vec<_> = FIELDS.iter().map(|(name, ..)| *name).chain(["product"]).collect();
        let mut fields = Plan::fields();
        names.sort_unstable();
        fields.sort_unstable();
        assert_eq!(names, fields);
    }

    #[test]
    fn shown_plan_is_sent_unchanged() {
        for plan in [Plan::new("team"), full(), full().exempt_hosts(false), full().require([])] {
            let shown = Form::of_pairs(PlanControls::sent(&texts(&plan)));
            let mut sent = json(&shown).unwrap();
            sent.insert("product".to_owned(), json!("default"));
            assert_eq!(Plan::from_json("team", sent), Ok(plan.clone()));
            assert_eq!(patch(&shown, &plan), Ok(PlanPatch::default()));
        }
        let empty = Form::of_pairs(PlanControls::sent(&texts(&Plan::new("team"))));
        let patched = full().patched(&patch(&empty, &full()).unwrap()).unwrap();
        assert_eq!(patched, Plan::new("team"), "also without features");
    }

    #[test]
    fn incomplete_or_wrong_form_names_the_field() {
        let with = |name: &str, value: Option<&str>| {
            let pairs = PlanControls::sent(&texts(&full())).into_iter();
            let pairs = pairs.filter_map(|(other, text)| match value {
                Some(value) if other == name => Some((other, value.to_owned())),
                None if other == name => None,
                _ => Some((other, text)),
            });
            json(&Form::of_pairs(pairs)).map_err(|error| (error.field, error.reason))
        };
        for (name, value, field, reason) in [
            ("max_devices", None, "max_devices", "the form has no field max_devices"),
            ("max_devices", Some("many"), "max_devices", "\"many\" is no whole number"),
            ("grace_days", Some("-1"), "grace_days", "\"-1\" is no whole number"),
            ("term.unit", Some("weeks"), "term", "\"weeks\" is none of days, months, years"),
            ("domain_policy", Some("any"), "domain_policy", "\"any\" is none of free_claim, registered_only"),
            ("exempt_hosts.development", Some("false"), "exempt_hosts", "listed hosts need"),
            ("features.0.name", Some("sso"), "features", "sso is there twice"),
            ("features.1.value", Some("x"), "features", "seats: \"x\" is no whole number"),
        ] {
            let (found, why) = with(name, value).unwrap_err();
            assert_eq!(found, field);
            assert!(why.contains(reason), "{name}: {why}");
        }
    }
}
