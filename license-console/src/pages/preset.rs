//! Filters of licenses that vendors need often.

use crate::filters::Filters;
use crate::visit::Visit;

/// A link to a list.
#[derive(Clone, Debug)]
pub(super) struct Preset {
    pub(super) label: &'static str,
    pub(super) url: String,
    pub(super) is_on: bool,
}

/// Returns the presets. Without filters, the list of unusual usage is open.
pub(super) fn presets(chosen: Option<&Filters>, visit: &Visit) -> Vec<Preset> {
    let now = visit.now;
    let presets = [
        ("All", Filters::default()),
        ("End this week", Filters::expiring(7, now)),
        ("End this month", Filters::expiring(30, now)),
        ("Expired lately", Filters::expired(30, now)),
        ("Never activated", Filters::unused()),
        ("Dormant for 30 days", Filters::dormant(30, now)),
        ("At the limit", Filters::full()),
    ];
    let preset = |(label, filters): (_, Filters)| Preset {
        label,
        url: visit.url(&format!("/licenses?{}", filters.query())),
        is_on: chosen == Some(&filters),
    };
    let unusual =
        Preset { label: "Unusual usage", url: visit.url("/licenses/unusual"), is_on: chosen.is_none() };
    presets.into_iter().map(preset).chain([unusual]).collect()
}
