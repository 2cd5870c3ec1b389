//! Hosts that a plan allows without a slot.

use std::fmt;
use std::sync::Arc;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::DomainName;

/// Hosts that are always allowed and never counted. In JSON and TOML `true` for development hosts, `false` for
/// none, or a list of hosts and wildcards that are exempt beside the development hosts.
///
/// ```
/// use license_core::catalog::Plan;
/// use license_core::domain::DomainName;
/// let staging = DomainName::parse_registered("*.staging.example.net")?;
/// let plan = Plan::new("pro").exempt_hosts(vec![staging]);
/// assert!(plan.exempt_hosts.contains(&DomainName::parse("shop.staging.example.net")?));
/// assert!(plan.exempt_hosts.contains(&DomainName::parse("localhost")?));
/// # Ok::<(), license_core::domain::DomainError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ExemptHosts {
    /// None: development hosts need slots too.
    None,
    /// [Development hosts](DomainName::is_exempt) such as `localhost` and `*.test`.
    #[default]
    Development,
    /// Development hosts, and these hosts and wildcards.
    DevelopmentAnd(Arc<[DomainName]>),
}

impl ExemptHosts {
    /// Returns whether a host is exempt. A wildcard is exempt only if it is listed itself.
    #[must_use]
    pub fn contains(&self, host: &DomainName) -> bool {
        *self != Self::None && host.is_exempt() || self.listed().iter().any(|listed| listed.covers(host))
    }

    /// Returns the hosts beside the development hosts.
    #[must_use]
    pub fn listed(&self) -> &[DomainName] {
        if let Self::DevelopmentAnd(listed) = self { listed } else { &[] }
    }
}

impl From<bool> for ExemptHosts {
    fn from(development: bool) -> Self {
        if development { Self::Development } else { Self::None }
    }
}

impl From<Vec<DomainName>> for ExemptHosts {
    fn from(listed: Vec<DomainName>) -> Self {
        if listed.is_empty() { Self::Development } else { Self::DevelopmentAnd(listed.into()) }
    }
}

impl Serialize for ExemptHosts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_bool(false),
            Self::Development => serializer.serialize_bool(true),
            Self::DevelopmentAnd(listed) => serializer.collect_seq(listed.iter().map(DomainName::as_str)),
        }
    }
}

impl<'de> Deserialize<'de> for ExemptHosts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ExemptHostsVisitor)
    }
}

struct ExemptHostsVisitor;

impl<'de> Visitor<'de> for ExemptHostsVisitor {
    type Value = ExemptHosts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false, or a list of hosts and wildcards")
    }

    fn visit_bool<E: Error>(self, development: bool) -> Result<ExemptHosts, E> {
        Ok(development.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<ExemptHosts, A::Error> {
        let mut listed = Vec::new();
        while let Some(text) = seq.next_element::<String>()? {
            let host = DomainName::parse_registered(&text);
            listed.push(host.map_err(|error| A::Error::custom(format_args!("{text:?}: {error}")))?);
        }
        Ok(listed.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_read_as_they_are_written() {
        for text in ["true", "false", r#"["*.staging.example.net","preview.example.net"]"#] {
            let hosts: ExemptHosts = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&hosts).unwrap(), text);
        }
        assert_eq!(serde_json::from_str::<ExemptHosts>("[]").unwrap(), ExemptHosts::Development);
        for (refused, part) in [
            ("null", "true, false, or a list"),
            ("\"example.net\"", "true, false, or a list"),
            (r#"["*.github.io"]"#, "public suffix"),
            (r#"["8.8.8.8"]"#, "an IP address is not a domain"),
            ("[1]", "expected a string"),
        ] {
            let error = serde_json::from_str::<ExemptHosts>(refused).expect_err(refused).to_string();
            assert!(error.contains(part), "{refused}: {error}");
        }
    }

    #[test]
    fn listed_hosts_are_exempt_beside_development_hosts() {
        let hosts: ExemptHosts =
            serde_json::from_str(r#"["*.staging.example.net","www.preview.example.net"]"#).unwrap();
        for (host, all, development, none) in [
            ("a.staging.example.net", true, false, false),
            ("www.staging.example.net", true, false, false),
            ("preview.example.net", true, false, false),
            ("staging.example.net", false, false, false),
            ("a.preview.example.net", false, false, false),
            ("xstaging.example.net", false, false, false),
            ("localhost", true, true, false),
            ("shop.test", true, true, false),
            ("10.0.0.1", true, true, false),
        ] {
            let host = DomainName::parse(host).unwrap();
            let found = [&hosts, &true.into(), &false.into()].map(|hosts| hosts.contains(&host));
            assert_eq!(found, [all, development, none], "{host}");
        }
    }
}
