//! Credentials: JSON Web Tokens, API keys and cursors.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fastrand::Rng;
use serde_json::{Value, json};
use shared::auth::{AuthError, Credentials};
use shared::domain::{ApiKeySecret, CompanyKey, InvalidValue, LeadKey};
use shared::dynamodb::Cursor;
use shared::testing::JWT_SECRET;
use shared::testing::tenant::{forge_jwt, jwt_signature};
use tokio::time::Instant;
use uuid::Uuid;

use super::generate::{VALUES, change, json, mutate, once_in, pick};
use super::pipeline::{ORG, Pipeline, now};
use super::runner::{Target, Verdict};

/// How far the clock of a token's issuer may differ, in seconds.
const LEEWAY: f64 = 60.0;
/// The length of the API keys that this API makes.
const KEY_LENGTH: usize = 64;

/// The targets of this module.
pub(super) fn targets(pipeline: &Arc<Pipeline>) -> Vec<Target> {
    vec![
        jwt_target(pipeline),
        Target::new("api-key", api_key, |input| check_api_key(&String::from_utf8_lossy(input))),
        Target::new("cursor", |rng| cursor(rng).into_bytes(), |input| check_cursor(&String::from_utf8_lossy(input))),
    ]
}

/// A token. One that is accepted has a valid signature and valid claims.
fn jwt_target(pipeline: &Arc<Pipeline>) -> Target {
    let pipeline = Arc::clone(pipeline);
    Target::new("jwt", jwt, move |input| {
        let token = String::from_utf8_lossy(input);
        let header = format!("Bearer {token}");
        let credentials = Credentials { api_key: None, authorization: Some(&header) };
        let ctx = pipeline.app.request_context(Instant::now(), "test");
        match pipeline.wait(ctx.authenticate(credentials)) {
            Err(AuthError::Unauthenticated) => return Ok(Verdict::Refused),
            // The organization of a valid token is looked up next. There is no table, and one organization is cached.
            Ok(_) | Err(AuthError::Table(_)) => {}
            other => bail!("{token} is neither refused nor accepted: {other:?}"),
        }
        check_jwt(token.trim()).with_context(|| format!("{token} is accepted"))?;
        Ok(Verdict::Accepted)
    })
}

/// Verifies a token by other means than the API: its signature is computed again, and its claims are read as JSON.
fn check_jwt(token: &str) -> Result<()> {
    let (message, signature) = token.rsplit_once('.').context("it has no signature")?;
    ensure!(signature == jwt_signature(JWT_SECRET, message), "its signature is wrong");
    let (header, claims) = message.split_once('.').context("it has no claims")?;
    let decode = |part: &str| anyhow::Ok(serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part)?)?);
    let (header, claims) = (decode(header)?, decode(claims)?);
    ensure!(header["alg"] == "HS256" && header.get("crit").is_none_or(Value::is_null), "its header is {header}");
    let is_access_token =
        |typ: &str| ["jwt", "at+jwt"].contains(&typ.to_lowercase().trim_start_matches("application/"));
    ensure!(header["typ"].is_null() || header["typ"].as_str().is_some_and(is_access_token), "its header is {header}");
    let now = f64::from(i32::try_from(now().timestamp())?);
    ensure!(claims["exp"].as_f64().is_some_and(|end| now < end + LEEWAY), "it has expired: {claims}");
    ensure!(claims["nbf"].as_f64().is_none_or(|start| now >= start - LEEWAY), "it is not yet valid: {claims}");
    ensure!(claims["sub"].is_string() && claims["aud"].is_null(), "it is not for this API: {claims}");
    ensure!(
        claims["org_id"].as_str().is_some_and(|id| Uuid::try_parse(id).is_ok()),
        "it names no organization: {claims}"
    );
    Ok(())
}

fn jwt(rng: &mut Rng) -> Vec<u8> {
    let (mut header, mut claims) = (json!({"alg": "HS256", "typ": "JWT"}), json!({"sub": "user", "org_id": ORG}));
    claims["exp"] = json!(now().timestamp() + rng.i64(-90..90));
    let members = [
        ("exp", json!(1e300)),
        ("exp", json!(-1)),
        ("exp", json!("9999999999")),
        ("nbf", json!(now().timestamp() + 59)),
        ("nbf", json!(1e19)),
        ("scope", json!("read admin openid")),
        ("org_id", json!("x")),
        ("sub", json!(null)),
        ("aud", json!(["other"])),
        ("iss", json!("issuer")),
        ("iat", json!(0)),
    ];
    let members = members.map(|(name, value)| (name.to_owned(), vec![value]));
    for _ in 0..rng.u32(..3) {
        change(rng, &mut claims, &members);
    }
    let members = [
        ("alg", json!("none")),
        ("alg", json!("RS256")),
        ("crit", json!(["b64"])),
        ("typ", json!("at+jwt")),
        ("typ", json!("logout+jwt")),
    ];
    let members = members.map(|(name, value)| (name.to_owned(), vec![value]));
    if once_in(rng, 4) {
        change(rng, &mut header, &members);
    }
    let secret = if once_in(rng, 8) { "another secret, also long enough for HS256" } else { JWT_SECRET };
    mutate(rng, forge_jwt(secret, &header, &claims).into_bytes())
}

fn api_key(rng: &mut Rng) -> Vec<u8> {
    let key = if once_in(rng, 3) {
        format!("{}{}", pick(rng, &["sk_live_", "sk_test_", "sk_"]), json(rng, 0))
    } else {
        let mut random = [0; 24];
        rng.fill(&mut random);
        ApiKeySecret::new(rng.bool(), random).in_clear().to_owned()
    };
    mutate(rng, key.into_bytes())
}

/// A key that is accepted is what was sent; one of this API's length is one that this API can have made.
fn check_api_key(text: &str) -> Result<Verdict> {
    let Some(key) = ApiKeySecret::parse(text) else { return Ok(Verdict::Refused) };
    ensure!(key.in_clear() == text, "another key than was sent");
    ensure!(text.len() <= 256 && text.bytes().all(|byte| byte.is_ascii_graphic()), "not a key");
    ensure!(text.starts_with("sk_live_") || text.starts_with("sk_test_"), "a key without its prefix");
    if text.len() == KEY_LENGTH {
        let mut random = [0; 24];
        for (index, byte) in random.iter_mut().enumerate() {
            let digits = text.get(8 + 2 * index..10 + 2 * index).unwrap_or_default();
            *byte = u8::from_str_radix(digits, 16).with_context(|| format!("{digits} is no byte"))?;
        }
        let made = ApiKeySecret::new(text.starts_with("sk_live_"), random);
        ensure!(made.in_clear() == text, "a key with a wrong checksum");
    }
    Ok(Verdict::Accepted)
}

/// A cursor of a list, or something like one.
pub(super) fn cursor(rng: &mut Rng) -> String {
    let mut position = vec![0; pick(rng, &[&16_usize, &32, &15, &33]).to_owned()];
    rng.fill(&mut position);
    if once_in(rng, 3) {
        position = pick(rng, &["ACME", "SOCIÉTÉGÉNÉRALE", "acme", "A B", ""]).into();
    }
    let cursor = URL_SAFE_NO_PAD.encode(position);
    let mutated = mutate(rng, cursor.into_bytes());
    if once_in(rng, 20) { pick(rng, &VALUES).to_owned() } else { String::from_utf8_lossy(&mutated).into_owned() }
}

/// A cursor has one spelling: the one in the link.
fn check_cursor(text: &str) -> Result<Verdict> {
    let accepted = [read_back::<Uuid>(text)?, read_back::<CompanyKey>(text)?, read_back::<LeadKey>(text)?];
    Ok(if accepted.contains(&true) { Verdict::Accepted } else { Verdict::Refused })
}

/// Whether a list of this kind accepts a cursor.
fn read_back<P>(text: &str) -> Result<bool>
where
    Cursor<P>: FromStr<Err = InvalidValue> + Display,
{
    let Ok(cursor) = text.parse::<Cursor<P>>() else { return Ok(false) };
    ensure!(cursor.to_string() == text, "{text} is another spelling of {cursor}");
    Ok(true)
}
