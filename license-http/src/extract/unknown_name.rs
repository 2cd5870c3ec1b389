//! Explains an unknown field or parameter: the known names, and the one that was probably meant.

use std::fmt;

/// Names longer than this are no typos.
const MAX_COMPARED_BYTES: usize = 64;

/// Names that other products use, and ours.
const SYNONYMS: [(&str, &str); 11] = [
    ("device", "fingerprint"),
    ("device_id", "fingerprint"),
    ("machine", "fingerprint"),
    ("machine_id", "fingerprint"),
    ("hwid", "fingerprint"),
    ("license", "key"),
    ("license_key", "key"),
    ("host", "domain"),
    ("hostname", "domain"),
    ("site", "domain"),
    ("url", "domain"),
];

/// An unknown name among known ones.
pub(crate) struct UnknownName<'a> {
    /// What has the name: `field` or `parameter`.
    pub(crate) kind: &'static str,
    pub(crate) name: &'a str,
    pub(crate) known: &'a [&'static str],
}

impl UnknownName<'_> {
    /// Returns the known name that was probably meant.
    fn nearest(&self) -> Option<&'static str> {
        if self.name.len() > MAX_COMPARED_BYTES {
            return None;
        }
        let name = self.name.to_lowercase();
        let is_synonym =
            |(synonym, _): &&(&str, &str)| without_separators(synonym) == without_separators(&name);
        if let Some((_, meant)) = SYNONYMS.iter().find(is_synonym)
            && let Some(known) = self.known.iter().find(|known| *known == meant)
        {
            return Some(known);
        }
        let near = self.known.iter().filter_map(|known| {
            let wrong = strsim::osa_distance(&name, known);
            let longest = name.chars().count().max(known.len());
            let is_part = known.split('_').any(|part| part == name);
            (wrong <= longest.div_ceil(3) || is_part).then_some((wrong, *known))
        });
        near.min_by_key(|(wrong, _)| *wrong).map(|(_, known)| known)
    }
}

/// Removes `_` and `-`, so that `deviceId`, `device-id` and `device_id` are the same name.
fn without_separators(name: &str) -> String {
    name.chars().filter(|character| !"_-".contains(*character)).collect()
}

impl fmt::Display for UnknownName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, known, .. } = self;
        if known.is_empty() {
            return write!(f, "This {kind} is unknown. The call has no {kind}s.");
        }
        match self.nearest() {
            Some(nearest) => write!(f, "This {kind} is unknown; did you mean {nearest}? ")?,
            None => write!(f, "This {kind} is unknown. ")?,
        }
        write!(f, "Known {kind}s: {}.", known.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_name_is_suggested() {
        const KNOWN: &[&str] = &[
            "plan",
            "customer_email",
            "max_domains",
            "max_devices",
            "domains",
            "expires_at",
            "key",
            "limit",
        ];
        for (name, nearest) in [
            ("plna", Some("plan")),
            ("Plan", Some("plan")),
            ("plans", Some("plan")),
            ("customerEmail", Some("customer_email")),
            ("email", Some("customer_email")),
            ("maxDomains", Some("max_domains")),
            ("max-devices", Some("max_devices")),
            ("domain", Some("domains")),
            ("expires", Some("expires_at")),
            ("expiry_at", Some("expires_at")),
            ("ke", Some("key")),
            ("Limit", Some("limit")),
            ("hostname", None),
            ("", None),
            ("x", None),
            (&"plan".repeat(100), None),
        ] {
            let unknown = UnknownName { kind: "field", name, known: KNOWN };
            assert_eq!(unknown.nearest(), nearest, "{name:?}");
        }
    }

    #[test]
    fn synonym_is_suggested_where_its_field_is_known() {
        const VALIDATE: &[&str] = &["key", "domain", "fingerprint", "client"];
        for (name, nearest) in [
            ("device", Some("fingerprint")),
            ("device_id", Some("fingerprint")),
            ("deviceId", Some("fingerprint")),
            ("machine", Some("fingerprint")),
            ("machine-id", Some("fingerprint")),
            ("HWID", Some("fingerprint")),
            ("license", Some("key")),
            ("license_key", Some("key")),
            ("licenseKey", Some("key")),
            ("host", Some("domain")),
            ("hostname", Some("domain")),
            ("site", Some("domain")),
            ("url", Some("domain")),
            ("domian", Some("domain")),
            ("urls", None),
        ] {
            let unknown = UnknownName { kind: "field", name, known: VALIDATE };
            assert_eq!(unknown.nearest(), nearest, "{name:?}");
        }
        for name in ["device", "license", "url"] {
            let unknown = UnknownName { kind: "field", name, known: &["plan", "label"] };
            assert_eq!(unknown.nearest(), None, "{name:?}: the call has no such field");
        }
    }

    #[test]
    fn message_lists_known_names() {
        let text = |name, known| UnknownName { kind: "parameter", name, known }.to_string();
        assert_eq!(
            text("form", &["from", "to"]),
            "This parameter is unknown; did you mean from? Known parameters: from, to."
        );
        assert_eq!(text("force", &[]), "This parameter is unknown. The call has no parameters.");
    }
}
