//! The fields of a plan as texts, so that each field of a plan is in the form.

use std::fmt;

use license_core::catalog::{Plan, PlanPatch};
use serde_json::Value;

use crate::form::Form;

/// A field of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PlanField {
    /// The name in JSON.
    pub(super) name: String,
    /// The name for people.
    pub(super) label: String,
    /// Empty is nothing, such as no limit.
    pub(super) text: String,
    /// Whether it is true or false.
    pub(super) is_switch: bool,
}

/// A field that differs between two plans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) label: String,
    pub(super) before: String,
    pub(super) after: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |text: &str| if text.is_empty() { "none".to_owned() } else { text.to_owned() };
        write!(f, "{}: {} → {}", self.label, shown(&self.before), shown(&self.after))
    }
}

/// Returns the fields that a change can set. The product of a plan never changes.
pub(super) fn of(plan: &Plan) -> Vec<PlanField> {
    let fields = plan.to_json().into_iter().filter(|(name, _)| name != "product");
    let field = |(name, value): (String, Value)| PlanField {
        label: label(&name),
        text: text(&value),
        // Exempt hosts can be a list too.
        is_switch: value.is_boolean() && name != "exempt_hosts",
        name,
    };
    fields.map(field).collect()
}

/// Returns the fields that differ.
pub(super) fn differences(before: &Plan, after: &Plan) -> Vec<Difference> {
    let pairs = of(before).into_iter().zip(of(after)).filter(|(before, after)| before.text != after.text);
    pairs
        .map(|(before, after)| Difference { label: before.label, before: before.text, after: after.text })
        .collect()
}

/// Returns the fields of a form that differ from those of the plan.
pub(super) fn patch(form: &Form, plan: &Plan) -> PlanPatch {
    of(plan).into_iter().fold(PlanPatch::default(), |patch, field| {
        let typed = form.text(&field.name).unwrap_or_default();
        if typed == field.text { patch } else { patch.set(field.name, value(typed)) }
    })
}

fn label(name: &str) -> String {
    let words = name.replace('_', " ");
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

fn value(text: &str) -> Value {
    if text.is_empty() {
        return Value::Null;
    }
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

#[cfg(test)]
mod tests {
    use license_core::catalog::{Term, Updates};

    use super::*;

    /// What the form shows is what it sends.
    #[test]
    fn shown_field_is_sent_unchanged() {
        let plan = Plan::new("team")
            .max_devices(3)
            .term(Term::days(30))
            .feature("tier", "gold")
            .feature("seats", 25)
            .offline_days(7)
            .customer_release(true);
        for field in of(&plan) {
            let other = Plan::new("other").max_devices(9).idle_days(1).grace_days(5);
            let sent = PlanPatch::default().set(field.name.clone(), value(&field.text));
            let changed = other.patched(&sent).unwrap();
            assert_eq!(changed.to_json()[&field.name], plan.to_json()[&field.name], "{}", field.name);
        }
        let shown: Vec<_> = of(&plan).iter().map(|field| (field.label.clone(), field.text.clone())).collect();
        assert!(shown.contains(&("Max devices".to_owned(), "3".to_owned())), "{shown:?}");
        assert!(shown.contains(&("Max domains".to_owned(), String::new())), "{shown:?}");
        let updates: Option<Updates> = None;
        assert!(differences(&plan, &plan.clone().updates(updates)).is_empty());
        let more = differences(&plan, &plan.clone().max_devices(5));
        assert_eq!(more.iter().map(ToString::to_string).collect::<Vec<_>>(), ["Max devices: 3 → 5"]);
    }
}
