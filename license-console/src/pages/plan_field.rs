//! The fields of a plan as people read them.

use std::fmt;

use license_core::catalog::Plan;
use serde_json::Value;

/// A field of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PlanField {
    /// The name for people.
    pub(super) label: String,
    /// Empty is nothing, such as no limit.
    pub(super) text: String,
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
    fields.map(|(name, value)| PlanField { label: label(&name), text: text(&value) }).collect()
}

/// Returns the fields that differ.
pub(super) fn differences(before: &Plan, after: &Plan) -> Vec<Difference> {
    let pairs = of(before).into_iter().zip(of(after)).filter(|(before, after)| before.text != after.text);
    pairs
        .map(|(before, after)| Difference { label: before.label, before: before.text, after: after.text })
        .collect()
}

/// Returns the name of a field for people.
pub(super) fn label(name: &str) -> String {
    let words = name.replace('_', " ");
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(on) => if *on { "yes" } else { "no" }.to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| format!("{name}: {}", text(value));
            members.iter().map(member).collect::<Vec<_>>().join(", ")
        }
        Value::Number(number) => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use license_core::catalog::{Term, Updates};

    use super::*;

    #[test]
    fn fields_are_words() {
        let plan = Plan::new("team").max_devices(3).term(Term::days(30)).feature("tier", "gold");
        let shown: Vec<_> = of(&plan).into_iter().map(|field| (field.label, field.text)).collect();
        for (label, text) in [
            ("Max devices", "3"),
            ("Features", "tier: gold"),
            ("Customer release", "no"),
            ("Max domains", ""),
        ] {
            assert!(shown.contains(&(label.to_owned(), text.to_owned())), "{label}: {shown:?}");
        }
    }

    #[test]
    fn differing_fields_are_told() {
        let before = Plan::new("team").max_devices(3);
        let after = Plan::new("team").max_devices(None).grace_days(5).updates(None::<Updates>);
        let told: Vec<_> = differences(&before, &after).iter().map(ToString::to_string).collect();
        assert_eq!(told, ["Grace days: 0 → 5", "Max devices: 3 → none"]);
    }
}
