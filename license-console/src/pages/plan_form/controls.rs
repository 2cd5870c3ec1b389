//! The controls of the form.

use askama::Template;

use super::read::FieldError;
use super::shape::{FEATURE_ROWS, FIELDS, FREE_ROWS, KINDS, NO_YES, REQUIRED, Shape, UNITS};
use super::texts::feature_rows;
use crate::form::Form;
use crate::pages::plan_field::label;

/// A field of a plan, with its controls.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    /// The name in JSON.
    name: &'static str,
    label: String,
    help: &'static str,
    controls: Vec<Control>,
    /// What is wrong with the field.
    error: Option<String>,
}

/// A control of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Control {
    /// The name in the form.
    name: String,
    /// What the control is for, if it is not the only one of its field.
    label: &'static str,
    value: String,
    kind: Kind,
}

/// The kind of a control.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
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
pub(in crate::pages) struct PlanControls {
    groups: Vec<Group>,
}

impl PlanControls {
    /// Shows the texts of a form, and what is wrong with it.
    pub(in crate::pages) fn new(form: &Form, error: Option<&FieldError>) -> Self {
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
    pub(in crate::pages) fn has_field(name: &str) -> bool {
        FIELDS.iter().any(|(field, ..)| *field == name)
    }

    /// Returns the names and values of all controls, to send them again.
    pub(in crate::pages) fn sent(form: &Form) -> Vec<(String, String)> {
        let of_group = |group: Group| group.controls.into_iter().map(|control| (control.name, control.value));
        Self::new(form, None).groups.into_iter().flat_map(of_group).collect()
    }
}

fn controls(name: &str, shape: &Shape, form: &Form) -> Vec<Control> {
    let control = |name: String, label, kind| Control { value: form.untrimmed(&name), name, label, kind };
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
                let value = control(format!("{name}.{row}.value"), "Value of a number or text", Kind::Text);
                // A text field would lose the newlines.
                let kind = if value.value.contains('\n') { Kind::Lines } else { Kind::Text };
                [
                    control(format!("{name}.{row}.name"), "Name", Kind::Text),
                    control(format!("{name}.{row}.kind"), "Kind", Kind::Choice(KINDS)),
                    Control { kind, ..value },
                ]
            };
            (0..(feature_rows(form) + FREE_ROWS).min(FEATURE_ROWS)).flat_map(of).collect()
        }
    }
}
