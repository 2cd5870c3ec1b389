//! The test vectors of clients, signed once more.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    KeyTokenClaims, RevocationClaims, SigningKeyPair, TokenAlgorithm, TokenType, VerdictClaims, sign_token,
};

fn decoded(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// Reads claims and writes them again: a claim that is missing, or has another name or form, changes them.
fn rewritten<C: Serialize + DeserializeOwned>(claims: &Value) -> Value {
    serde_json::to_value(serde_json::from_value::<C>(claims.clone()).unwrap()).unwrap()
}

/// Collects the tokens of good cases and steps.
fn good_tokens(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| good_tokens(item, found)),
        Value::Object(members) => {
            if let (Some(Value::String(token)), Some(Value::Null)) =
                (members.get("token"), members.get("error"))
            {
                found.push(token.clone());
            }
            members.values().for_each(|member| good_tokens(member, found));
        }
        _ => {}
    }
}

#[tokio::test]
async fn good_tokens_of_the_vectors_are_signed_byte_for_byte() {
    let keys: Value = serde_json::from_str(include_str!("../../../clients/vectors/keys.json")).unwrap();
    let pairs = keys["keys"].as_array().unwrap().iter().map(|key| {
        let seed = URL_SAFE_NO_PAD.decode(key["private"].as_str().unwrap()).unwrap();
        (key["jwk"]["kid"].clone(), SigningKeyPair::from_seed(&seed.try_into().unwrap()))
    });
    let pairs: Vec<_> = pairs.collect();
    let mut tokens = Vec::new();
    for text in [
        include_str!("../../../clients/vectors/tokens.json"),
        include_str!("../../../clients/vectors/key_tokens.json"),
    ] {
        good_tokens(&serde_json::from_str(text).unwrap(), &mut tokens);
    }
    let mut counts = BTreeMap::new();
    for token in tokens {
        let parts: Vec<_> = token.split('.').collect();
        let (header, claims) = (decoded(parts[0]), decoded(parts[1]));
        let token_type = TokenType::parse(header["typ"].as_str().unwrap()).unwrap();
        let rewritten = match token_type {
            TokenType::Lease => continue,
            TokenType::Verdict => rewritten::<VerdictClaims>(&claims),
            TokenType::Revocations => rewritten::<RevocationClaims>(&claims),
            TokenType::Keys => rewritten::<KeyTokenClaims>(&claims),
        };
        let algorithm = TokenAlgorithm::parse(header["alg"].as_str().unwrap()).unwrap();
        let (_, pair) = pairs.iter().find(|(id, _)| *id == header["kid"]).unwrap();
        assert_eq!(sign_token(pair, algorithm, token_type, &rewritten).await.unwrap(), token);
        *counts.entry(token_type).or_insert(0) += 1;
    }
    assert!(counts.len() == 3 && counts.values().all(|count| *count >= 2), "{counts:?}");
}
