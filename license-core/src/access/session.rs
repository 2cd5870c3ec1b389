//! Sessions of people, and the one-time links that open them. Both belong to an API token.

use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::audit::{Actor, AuditEntry, Principal};
use super::secret::TokenDigest;
use super::token::{ApiToken, NewToken, TokenKind, TokenState};
use crate::id::TokenId;

/// A session ends after this time.
pub const SESSION_MAX: TimeDelta = TimeDelta::hours(12);
/// A link can be used for this time.
pub const LINK_LIFETIME: TimeDelta = TimeDelta::minutes(10);

/// A one-time link to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLink {
    /// The id of the link.
    pub id: TokenId,
    /// The digest that finds the link.
    pub digest: TokenDigest,
    /// The token whose session the link opens.
    pub parent: TokenId,
    /// The creator.
    pub by: Actor,
    /// The time.
    pub at: DateTime<Utc>,
}

impl NewLink {
    /// Decides the creation. Pure. Returns `None` unless `parent` is an active API token.
    #[must_use]
    pub fn decide(&self, parent: &ApiToken) -> Option<NewToken> {
        let Self { id, digest, parent: _, by, at } = self;
        let link = child(parent, TokenKind::Link(parent.id.clone()), (id, *digest), LINK_LIFETIME, *at)?;
        let changes = json!({
            "parent": { "before": null, "after": parent.id.as_str() },
            "expires_at": { "before": null, "after": link.expires_at },
        });
        let audit = AuditEntry::of_token("link.create", id, changes, by, *at);
        Some(NewToken { token: link, audit })
    }
}

/// What opens a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionOpener {
    /// The API token with this id, whose secret was checked.
    Token(TokenId),
    /// The link with this digest, which is used up.
    Link(TokenDigest),
}

/// A session to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSession {
    /// The id of the session.
    pub id: TokenId,
    /// The digest that finds the session.
    pub digest: TokenDigest,
    /// What opens it.
    pub opener: SessionOpener,
    /// The id of the request, for the audit.
    pub request_id: Option<String>,
    /// The address of the caller, for the audit.
    pub address: Option<IpAddr>,
    /// The time.
    pub at: DateTime<Utc>,
}

/// The changes of an opened session.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenedSession {
    /// The session.
    pub session: NewToken,
    /// The link that was used up, if one opened the session.
    pub used_link: Option<ApiToken>,
}

impl NewSession {
    /// Decides the opening. Pure. `link` is the link of the opener, if it has one. Returns `None` unless
    /// `parent` is an active API token and the link is unused, not expired and of this token.
    #[must_use]
    pub fn decide(&self, link: Option<&ApiToken>, parent: &ApiToken) -> Option<OpenedSession> {
        let Self { id, digest, opener, request_id, address, at } = self;
        let used_link = match (opener, link) {
            (SessionOpener::Token(token), None) if *token == parent.id => None,
            (SessionOpener::Link(_), Some(link)) => {
                let usable =
                    link.kind == TokenKind::Link(parent.id.clone()) && link.state(*at) == TokenState::Active;
                if !usable {
                    return None;
                }
                Some(ApiToken { revoked_at: Some(*at), ..link.clone() })
            }
            _ => return None,
        };
        let session = child(parent, TokenKind::Session(parent.id.clone()), (id, *digest), SESSION_MAX, *at)?;
        let principal = Principal::Token { id: parent.id.clone(), name: parent.name.as_str().to_owned() };
        let by = Actor { principal, request_id: request_id.clone(), address: *address };
        let changes = json!({
            "parent": { "before": null, "after": parent.id.as_str() },
            "link": { "before": null, "after": used_link.as_ref().map(|link| link.id.as_str()) },
            "expires_at": { "before": null, "after": session.expires_at },
        });
        let audit = AuditEntry::of_token("session.open", id, changes, &by, *at);
        Some(OpenedSession { session: NewToken { token: session, audit }, used_link })
    }
}

/// Returns a child of an active API token. It ends with its parent at the latest.
fn child(
    parent: &ApiToken,
    kind: TokenKind,
    (id, digest): (&TokenId, TokenDigest),
    lifetime: TimeDelta,
    now: DateTime<Utc>,
) -> Option<ApiToken> {
    if parent.kind != TokenKind::Api || parent.state(now) != TokenState::Active {
        return None;
    }
    let own_end = now + lifetime;
    let expires_at = parent.expires_at.map_or(own_end, |end| end.min(own_end));
    let token = ApiToken::new(id.clone(), digest, parent.name.clone(), parent.scopes, now);
    Some(ApiToken { expires_at: Some(expires_at), kind, ..token })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Scope, TokenName};

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_780_000_000, 0).unwrap() + TimeDelta::minutes(minutes)
    }

    fn id(text: &str) -> TokenId {
        TokenId::parse(text).unwrap()
    }

    fn parent() -> ApiToken {
        let name = TokenName::parse("Ada").unwrap();
        ApiToken::new(id("tok_1"), TokenDigest::from_bytes([1; 32]), name, Scope::LicensesRead.into(), at(0))
    }

    fn new_session(opener: SessionOpener, minute: i64) -> NewSession {
        let digest = TokenDigest::from_bytes([3; 32]);
        let (request_id, address) = (Some("r-1".to_owned()), None);
        NewSession { id: id("tok_3"), digest, opener, request_id, address, at: at(minute) }
    }

    fn new_link(minute: i64) -> NewLink {
        let (digest, by) = (TokenDigest::from_bytes([2; 32]), Actor::new(Principal::CommandLine));
        NewLink { id: id("tok_2"), digest, parent: id("tok_1"), by, at: at(minute) }
    }

    #[test]
    fn session_has_the_scopes_and_the_name_of_its_token() {
        let new = new_session(SessionOpener::Token(id("tok_1")), 5);
        let OpenedSession { session, used_link } = new.decide(None, &parent()).unwrap();
        let expected = ApiToken {
            id: id("tok_3"),
            digest: TokenDigest::from_bytes([3; 32]),
            created_at: at(5),
            expires_at: Some(at(5) + SESSION_MAX),
            kind: TokenKind::Session(id("tok_1")),
            ..parent()
        };
        assert_eq!((session.token, used_link), (expected, None));
        let actor = session.audit.actor;
        assert_eq!(actor.principal, Principal::Token { id: id("tok_1"), name: "Ada".to_owned() });
        assert_eq!(
            (session.audit.action.as_str(), actor.request_id.as_deref()),
            ("session.open", Some("r-1"))
        );
        assert_eq!(session.audit.changes["parent"]["after"], "tok_1");
    }

    #[test]
    fn child_ends_with_its_token() {
        let short = ApiToken { expires_at: Some(at(7)), ..parent() };
        let session = new_session(SessionOpener::Token(id("tok_1")), 5).decide(None, &short).unwrap();
        assert_eq!(session.session.token.expires_at, Some(at(7)));
        assert_eq!(new_link(5).decide(&short).unwrap().token.expires_at, Some(at(7)));
        assert_eq!(new_link(5).decide(&parent()).unwrap().token.expires_at, Some(at(15)));
    }

    #[test]
    fn session_ends_when_it_is_idle() {
        let open = new_session(SessionOpener::Token(id("tok_1")), 0).decide(None, &parent()).unwrap();
        let session = open.session.token;
        let used = ApiToken { last_used_at: Some(at(30)), ..session.clone() };
        for (session, minute, state) in [
            (&session, 59, TokenState::Active),
            (&session, 60, TokenState::Expired),
            (&used, 89, TokenState::Active),
            (&used, 90, TokenState::Expired),
        ] {
            assert_eq!(session.state(at(minute)), state, "minute {minute}");
        }
        let busy = ApiToken { last_used_at: Some(at(719)), ..session };
        assert_eq!(busy.state(at(719)), TokenState::Active);
        assert_eq!(busy.state(at(720)), TokenState::Expired);
    }

    #[test]
    fn only_an_active_api_token_has_children() {
        let revoked = ApiToken { revoked_at: Some(at(1)), ..parent() };
        let expired = ApiToken { expires_at: Some(at(5)), ..parent() };
        let session = ApiToken { kind: TokenKind::Session(id("tok_9")), ..parent() };
        let link = ApiToken { kind: TokenKind::Link(id("tok_9")), ..parent() };
        for bad in [revoked, expired, session, link] {
            assert_eq!(new_link(5).decide(&bad), None, "{bad:?}");
            assert_eq!(new_session(SessionOpener::Token(id("tok_1")), 5).decide(None, &bad), None, "{bad:?}");
        }
    }

    #[test]
    fn link_opens_one_session_of_its_token_in_time() {
        let link = new_link(0).decide(&parent()).unwrap().token;
        let by_link = || SessionOpener::Link(link.digest);
        let opened = new_session(by_link(), 9).decide(Some(&link), &parent()).unwrap();
        assert_eq!(opened.used_link, Some(ApiToken { revoked_at: Some(at(9)), ..link.clone() }));
        assert_eq!(opened.session.audit.changes["link"]["after"], "tok_2");
        let other = ApiToken { kind: TokenKind::Link(id("tok_9")), ..link.clone() };
        let api = ApiToken { kind: TokenKind::Api, ..link.clone() };
        for (link, minute) in
            [(Some(&link), 10), (opened.used_link.as_ref(), 9), (Some(&other), 9), (Some(&api), 9), (None, 9)]
        {
            assert_eq!(new_session(by_link(), minute).decide(link, &parent()), None, "{link:?} {minute}");
        }
    }
}
