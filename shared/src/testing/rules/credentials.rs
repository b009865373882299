//! Credentials: which are valid, and what each may do.

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

use super::{FORBIDDEN, UNAUTHENTICATED, success, valid_request};
use crate::domain::Scope;
use crate::endpoint::Endpoint;
use crate::http::Handler;
use crate::testing::tenant::{forge_jwt, sign_jwt};
use crate::testing::{JWT_SECRET, Tenant, TestApp, TestResponse};

/// Invalid credentials get 401, whatever is wrong with them, and valid ones without the endpoint's scope get 403.
pub async fn credentials(endpoint: Endpoint, handle: impl Handler) {
    let app = TestApp::new().await;
    invalid_credentials_are_refused_alike(&app, endpoint, handle).await;
    valid_credentials_need_the_scope(&app, endpoint, handle).await;
}

async fn invalid_credentials_are_refused_alike(app: &TestApp, endpoint: Endpoint, handle: impl Handler) {
    let mut invalid = invalid_keys(&app.org);
    invalid.extend(invalid_tokens(&app.org));
    invalid.extend(invalid_headers(&app.org));
    invalid.push(("no credentials", Credentials::default()));
    let valid_token = bearer(&app.org, &json!({}));
    let both = Credentials { key: Some(clear(&Tenant::new())), authorization: Some(valid_token) };
    invalid.push(("an unknown key beside a valid token: the key decides", both));
    for (name, credentials) in invalid {
        let response = send_with(app, endpoint, handle, &credentials).await;

        let challenge = r#"Bearer realm="contacts", ApiKey realm="contacts""#;
        assert_eq!((response.status, response.detail()), (401, UNAUTHENTICATED.to_owned()), "{name}");
        assert_eq!(response.header("www-authenticate"), challenge, "{name}");
    }
}

async fn valid_credentials_need_the_scope(app: &TestApp, endpoint: Endpoint, handle: impl Handler) {
    let org = &app.org;
    let scoped = |scopes: &str| Credentials::bearer(org, &json!({"scope": scopes}));
    let admin_but = |claim: &str, value: Value| Credentials::bearer(org, &json!({"scope": "admin", claim: value}));
    let key_and_bad_token =
        Credentials { authorization: Some("Bearer x.y.z".to_owned()), ..Credentials::key(clear(org)) };
    let lower_case = Credentials::authorization(bearer(org, &json!({"scope": "admin"})).replace("Bearer ", "bearer  "));
    let all = [Scope::Read, Scope::Write, Scope::Admin].as_slice();
    let read_write = [Scope::Read, Scope::Write].as_slice();
    for (name, credentials, scopes) in [
        ("an admin key", Credentials::key(clear(org)), all),
        ("an admin key beside an invalid token", key_and_bad_token, all),
        ("an empty key beside a token", Credentials { key: Some(String::new()), ..scoped("admin") }, all),
        ("a blank key beside a token", Credentials { key: Some(" \t".to_owned()), ..scoped("admin") }, all),
        ("a read-only key", Credentials::key(org.read_key.in_clear()), &[Scope::Read]),
        ("a token without a scope claim", Credentials::bearer(org, &json!({})), read_write),
        ("another spelling of the scheme", lower_case, all),
        ("a token that expired 30 s ago", admin_but("exp", json!(at(-30))), all),
        ("a token that becomes valid in 30 s", admin_but("nbf", json!(at(30))), all),
        ("a token with fractional times", admin_but("exp", json!(4_102_444_800.5)), all),
        ("a token with the scope read", scoped("openid read"), &[Scope::Read]),
        ("a token with the scope write", scoped("write"), &[Scope::Write]),
        ("a token with the scopes read and write", scoped("read write"), read_write),
        ("a token with the scope admin", scoped("admin"), all),
        ("a token with an empty scope", scoped(""), &[]),
        ("a token with unknown scopes", scoped("profile reads READ"), &[]),
    ] {
        let response = send_with(app, endpoint, handle, &credentials).await;

        if scopes.contains(&endpoint.spec().scope) {
            assert_eq!(response.status, success(endpoint), "{name}: {}", response.text);
        } else {
            assert_eq!((response.status, response.detail()), (403, FORBIDDEN.to_owned()), "{name}");
        }
    }
}

/// The credentials of a request.
#[derive(Default)]
struct Credentials {
    key: Option<String>,
    authorization: Option<String>,
}

impl Credentials {
    fn key(key: impl Into<String>) -> Self {
        Self { key: Some(key.into()), authorization: None }
    }

    fn authorization(header: impl Into<String>) -> Self {
        Self { key: None, authorization: Some(header.into()) }
    }

    fn bearer(org: &Tenant, claims: &Value) -> Self {
        Self::authorization(bearer(org, claims))
    }
}

async fn send_with(app: &TestApp, endpoint: Endpoint, handle: impl Handler, credentials: &Credentials) -> TestResponse {
    let mut request = Box::pin(valid_request(app, endpoint)).await.without_header("x-api-key");
    if let Some(key) = &credentials.key {
        request = request.header("x-api-key", key);
    }
    if let Some(authorization) = &credentials.authorization {
        request = request.header("authorization", authorization);
    }
    app.send(endpoint, handle, &request).await
}

/// Credentials with the reason why they are invalid.
type Invalid = Vec<(&'static str, Credentials)>;

fn invalid_keys(org: &Tenant) -> Invalid {
    let admin = clear(org);
    vec![
        ("an unknown key", Credentials::key(clear(&Tenant::new()))),
        ("an unknown key of another length", Credentials::key("sk_live_1234567890abcdef")),
        ("a revoked key", Credentials::key(org.revoked_key.in_clear())),
        ("an expired key", Credentials::key(org.expired_key.in_clear())),
        ("an empty key", Credentials::key("")),
        ("a prefix", Credentials::key("sk_test_")),
        ("another prefix", Credentials::key(admin.replace("sk_test_", "pk_test_"))),
        ("a live key's prefix before a test key", Credentials::key(admin.replace("sk_test_", "sk_live_"))),
        ("a key with an additional character", Credentials::key(format!("{admin}0"))),
        ("a key without its last character", Credentials::key(&admin[..admin.len() - 1])),
        ("a key twice", Credentials::key(format!("{admin},{admin}"))),
        ("a key that is not ASCII", Credentials::key("sk_test_\u{e9}")),
        ("a long key", Credentials::key(format!("sk_test_{}", "0".repeat(10_000)))),
    ]
}

fn invalid_tokens(org: &Tenant) -> Invalid {
    vec![
        ("a token that expired 90 s ago", Credentials::bearer(org, &json!({"exp": at(-90)}))),
        ("a token without exp", Credentials::bearer(org, &json!({"exp": null}))),
        ("a token whose exp is not a time", Credentials::bearer(org, &json!({"exp": "tomorrow"}))),
        ("a token without a subject", Credentials::bearer(org, &json!({"sub": null}))),
        ("a token without an organization", Credentials::bearer(org, &json!({"org_id": null}))),
        ("a token whose organization is not a UUID", Credentials::bearer(org, &json!({"org_id": "acme"}))),
        ("a token that becomes valid in 90 s", Credentials::bearer(org, &json!({"nbf": at(90)}))),
        ("a token whose scope is not a text", Credentials::bearer(org, &json!({"scope": ["read"]}))),
    ]
}

fn invalid_headers(org: &Tenant) -> Invalid {
    let valid = bearer(org, &json!({}));
    let with_header =
        |header: Value| format!("Bearer {}", forge_jwt(JWT_SECRET, &header, &claims(org, &json!({"exp": at(600)}))));
    let no_algorithm = with_header(json!({"alg": "none"}));
    let (unsigned, _) = no_algorithm.rsplit_once('.').expect("a token has a signature");
    let other_secret = format!("Bearer {}", sign_jwt("another secret", &claims(org, &json!({}))));
    vec![
        ("another secret", Credentials::authorization(other_secret)),
        ("no signature, the algorithm none", Credentials::authorization(format!("{unsigned}."))),
        ("a signature, the algorithm none", Credentials::authorization(&*no_algorithm)),
        ("another algorithm", Credentials::authorization(with_header(json!({"alg": "HS512"})))),
        ("an asymmetric algorithm", Credentials::authorization(with_header(json!({"alg": "RS256"})))),
        ("no algorithm", Credentials::authorization(with_header(json!({"typ": "JWT"})))),
        ("another scheme", Credentials::authorization(valid.replace("Bearer", "Basic"))),
        ("no scheme", Credentials::authorization(valid.replace("Bearer ", ""))),
        ("no token", Credentials::authorization("Bearer")),
        ("an empty token", Credentials::authorization("Bearer ")),
        ("a malformed token", Credentials::authorization("Bearer x.y.z")),
        ("a key instead of a token", Credentials::authorization(format!("Bearer {}", clear(org)))),
        ("an empty header", Credentials::authorization("")),
    ]
}

/// The admin key of an organization.
fn clear(org: &Tenant) -> String {
    org.admin_key.in_clear().to_owned()
}

/// The time in so many seconds, as tokens write it.
fn at(seconds: i64) -> i64 {
    (Utc::now() + TimeDelta::seconds(seconds)).timestamp()
}

/// The claims of a valid token with these changes; `null` removes a claim.
fn claims(org: &Tenant, changes: &Value) -> Value {
    let mut claims = json!({"sub": "user", "org_id": org.org_id, "exp": at(600)});
    for (name, value) in changes.as_object().into_iter().flatten() {
        claims[name] = value.clone();
    }
    if let Some(claims) = claims.as_object_mut() {
        claims.retain(|_, value| !value.is_null());
    }
    claims
}

/// The `Authorization` header of a valid token with these changes of its claims.
pub(super) fn bearer(org: &Tenant, changes: &Value) -> String {
    format!("Bearer {}", sign_jwt(JWT_SECRET, &claims(org, changes)))
}
