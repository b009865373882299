use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::sign;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use uuid::Uuid;

use super::*;
use crate::config::{JwksSource, Secret};
use crate::trace::{self, Trace};

const ORG: &str = "123e4567-e89b-12d3-a456-426614174000";
const SECRET: &str = "a shared secret for tests, long enough for HS256";
const OTHER_ORG: &str = "00000000-0000-4000-8000-000000000000";
/// The time at which each test begins, in epoch seconds.
const START: i64 = 1_728_216_000;

const ASYMMETRIC: [(Asymmetric, Algorithm); 3] = [
    (Asymmetric::Rs256, Algorithm::RS256),
    (Asymmetric::Es256, Algorithm::ES256),
    (Asymmetric::EdDsa, Algorithm::EdDSA),
];

/// The first or the second key of an algorithm.
fn key(algorithm: Algorithm, number: u8) -> EncodingKey {
    crypto::install();
    // PKCS #8 up to the private key itself, for which any number will do.
    let pkcs8 = |prefix: &str| [hex::decode(prefix).unwrap(), vec![number; 32]].concat();
    match algorithm {
        Algorithm::RS256 if number == 1 => EncodingKey::from_rsa_der(include_bytes!("test-rsa-1.der")),
        Algorithm::RS256 => EncodingKey::from_rsa_der(include_bytes!("test-rsa-2.der")),
        Algorithm::ES256 => {
            EncodingKey::from_ec_der(&pkcs8("3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420"))
        }
        Algorithm::EdDSA => EncodingKey::from_ed_der(&pkcs8("302e020100300506032b657004220420")),
        _ => EncodingKey::from_secret(SECRET.as_bytes()),
    }
}

fn jwk(algorithm: Algorithm, number: u8, kid: &str) -> Value {
    let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&key(algorithm, number), algorithm).unwrap()).unwrap();
    jwk["kid"] = json!(kid);
    jwk
}

fn claims() -> Value {
    json!({"sub": "user", "org_id": ORG, "exp": START + 100_000})
}

fn signed(algorithm: Algorithm, number: u8, kid: Option<&str>) -> String {
    let header = Header { kid: kid.map(ToOwned::to_owned), ..Header::new(algorithm) };
    encode(&header, &claims(), &key(algorithm, number)).unwrap()
}

fn shared(claims: &Value) -> String {
    encode(&Header::new(Algorithm::HS256), claims, &key(Algorithm::HS256, 1)).unwrap()
}

fn shared_keys(current: &str, previous: Option<&str>) -> JwtKeys {
    JwtKeys::Shared { current: Secret::new(current), previous: previous.map(Secret::new) }
}

/// A token with this text as its header and this text as its claims, signed with the shared secret.
fn forged(header: &str, claims: &str) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = sign(message.as_bytes(), &key(Algorithm::HS256, 1), Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

/// A verifier with a clock and a JWKS that a test controls.
struct Bench {
    verifier: Verifier,
    seconds: Arc<AtomicI64>,
    file: PathBuf,
}

impl Bench {
    fn new(keys: impl FnOnce(String) -> Option<JwtKeys>, issuer: Option<&str>, audience: Option<&str>) -> Self {
        let file = std::env::temp_dir().join(format!("{}.jwks.json", Uuid::new_v4()));
        let seconds = Arc::new(AtomicI64::new(START));
        let clock = Clock::new({
            let seconds = seconds.clone();
            move || DateTime::from_timestamp(seconds.load(Ordering::Relaxed), 0).unwrap()
        });
        let keys = keys(file.to_str().unwrap().to_owned());
        let config = Jwt { keys, issuer: issuer.map(ToOwned::to_owned), audience: audience.map(ToOwned::to_owned) };
        Self { verifier: Verifier::new(&config, SdkConfig::builder().build(), clock), seconds, file }
    }

    fn shared() -> Self {
        Self::new(|_| Some(shared_keys(SECRET, None)), None, None)
    }

    fn jwks(algorithm: Asymmetric) -> Self {
        Self::new(|path| Some(JwtKeys::Jwks { algorithm, source: JwksSource::File(path) }), None, None)
    }

    fn publish(&self, keys: &[Value]) {
        std::fs::write(&self.file, json!({"keys": keys}).to_string()).unwrap();
    }

    fn advance(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Ordering::Relaxed);
    }

    async fn accepts(&self, token: &str) -> bool {
        match self.verifier.verify(token).await {
            Ok(_) => true,
            Err(AuthError::Unauthenticated) => false,
            Err(error) => panic!("{error:?}"),
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // A test that published no JWKS has no file.
        let _ = std::fs::remove_file(&self.file);
    }
}

#[tokio::test]
async fn a_token_authenticates_its_organization_with_its_scopes() {
    let bench = Bench::shared();
    for (scope, read, write, admin) in [
        (json!(null), true, true, false),
        (json!("read"), true, false, false),
        (json!("write openid"), false, true, false),
        (json!("admin"), true, true, true),
        (json!(""), false, false, false),
    ] {
        let mut claims = claims();
        if !scope.is_null() {
            claims["scope"] = scope.clone();
        }
        let identity = bench.verifier.verify(&shared(&claims)).await.unwrap();
        assert_eq!(identity.org_id.to_string(), ORG);
        let allowed = [Scope::Read, Scope::Write, Scope::Admin].map(|scope| identity.scopes.allow(scope));
        assert_eq!(allowed, [read, write, admin], "{scope}");
    }
}

#[tokio::test]
async fn the_issuers_clock_may_differ_by_a_minute() {
    let bench = Bench::shared();
    for (claim, value, accepted) in [
        ("exp", json!(START - 59), true),
        ("exp", json!(START - 60), false),
        ("exp", json!(i64::MAX), true),
        ("exp", json!(-1), false),
        ("exp", json!(0), false),
        ("exp", json!(-1e300), false),
        ("exp", json!(format!("{}", START + 60)), false),
        ("exp", json!(null), false),
        ("nbf", json!(START + 60), true),
        ("nbf", json!(START + 61), false),
        ("nbf", json!(0), true),
        ("nbf", json!("now"), false),
    ] {
        let mut claims = claims();
        claims[claim] = value.clone();
        assert_eq!(bench.accepts(&shared(&claims)).await, accepted, "{claim} {value}");
    }
}

#[tokio::test]
async fn a_token_with_a_critical_extension_is_refused() {
    let bench = Bench::shared();
    for (crit, accepted) in [(None, true), (Some(vec!["b64".to_owned()]), false), (Some(Vec::new()), false)] {
        let header = Header { crit: crit.clone(), ..Header::new(Algorithm::HS256) };
        let token = encode(&header, &claims(), &key(Algorithm::HS256, 1)).unwrap();
        assert_eq!(bench.accepts(&token).await, accepted, "{crit:?}");
    }
}

#[tokio::test]
async fn issuer_and_audience_are_required_if_they_are_configured() {
    let of = |name: &str, value: Value| {
        let mut claims = claims();
        claims["iss"] = json!("https://id.example.com");
        claims["aud"] = json!("contacts");
        claims[name] = value;
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        shared(&claims)
    };
    let keys = |_| Some(shared_keys(SECRET, None));
    let strict = Bench::new(keys, Some("https://id.example.com"), Some("contacts"));
    for (name, value, accepted) in [
        ("sub", json!("user"), true),
        ("aud", json!(["other", "contacts"]), true),
        ("aud", json!("other"), false),
        ("aud", json!([]), false),
        ("aud", json!(null), false),
        ("iss", json!("https://id.example.com/"), false),
        ("iss", json!(null), false),
        ("sub", json!(null), false),
        ("sub", json!(" "), false),
        ("org_id", json!(null), false),
        ("org_id", json!("acme"), false),
        ("org_id", json!(ORG.replace('-', "")), false),
    ] {
        assert_eq!(strict.accepts(&of(name, value.clone())).await, accepted, "{name} {value}");
    }
    assert!(
        !Bench::new(|_| None, None, None).accepts(&of("sub", json!("user"))).await,
        "no token is accepted without a configured key"
    );
}

#[tokio::test]
async fn without_a_configured_audience_a_token_for_any_audience_is_refused() {
    let bench = Bench::shared();
    for (name, value, accepted) in [
        ("aud", json!("contacts"), false),
        ("aud", json!(["contacts"]), false),
        ("aud", json!([]), false),
        ("aud", json!(7), false),
        ("iss", json!("https://id.example.com"), true),
    ] {
        let mut claims = claims();
        claims[name] = value.clone();
        assert_eq!(bench.accepts(&shared(&claims)).await, accepted, "{name} {value}");
    }
}

#[tokio::test]
async fn a_token_of_another_type_is_refused() {
    let bench = Bench::shared();
    for (typ, accepted) in [
        (None, true),
        (Some("JWT"), true),
        (Some("jwt"), true),
        (Some("at+jwt"), true),
        (Some("application/at+JWT"), true),
        (Some("application/jwt"), true),
        (Some("Application/JWT"), true),
        (Some("logout+jwt"), false),
        (Some("secevent+jwt"), false),
        (Some("dpop+jwt"), false),
        (Some("JOSE"), false),
        (Some("text/jwt"), false),
        (Some(""), false),
    ] {
        let header = Header { typ: typ.map(ToOwned::to_owned), ..Header::new(Algorithm::HS256) };
        let token = encode(&header, &claims(), &key(Algorithm::HS256, 1)).unwrap();
        assert_eq!(bench.accepts(&token).await, accepted, "{typ:?}");
    }
}

#[tokio::test]
async fn a_repeated_name_is_refused() {
    let bench = Bench::shared();
    let header = r#""alg":"HS256","typ":"JWT""#;
    let claims = format!(r#""sub":"user","org_id":"{ORG}","exp":{}"#, START + 100_000);
    for (more_header, more_claims, accepted) in [
        ("", String::new(), true),
        (r#","alg":"HS256""#, String::new(), false),
        (r#","typ":"JWT""#, String::new(), false),
        ("", r#","sub":"admin""#.to_owned(), false),
        ("", format!(r#","org_id":"{}""#, Uuid::max()), false),
        ("", format!(r#","exp":{}"#, START + 200_000), false),
        ("", r#","nbf":0,"nbf":0"#.to_owned(), false),
        ("", r#","scope":"read","scope":"admin""#.to_owned(), false),
    ] {
        let token = forged(&format!("{{{header}{more_header}}}"), &format!("{{{claims}{more_claims}}}"));
        assert_eq!(bench.accepts(&token).await, accepted, "{more_header} {more_claims}");
    }
}

#[tokio::test]
async fn the_previous_secret_is_accepted_during_a_rotation() {
    const PREVIOUS: &str = "the secret before, also long enough for HS256";
    let sign = |secret: &str| {
        encode(&Header::new(Algorithm::HS256), &claims(), &EncodingKey::from_secret(secret.as_bytes())).unwrap()
    };
    let (before, after) = (Bench::shared(), Bench::new(|_| Some(shared_keys(SECRET, Some(PREVIOUS))), None, None));
    for (secret, before_rotation, during_rotation) in
        [(SECRET, true, true), (PREVIOUS, false, true), ("another secret, also long enough for HS256", false, false)]
    {
        let token = sign(secret);
        assert_eq!(before.accepts(&token).await, before_rotation, "{secret}");
        assert_eq!(after.accepts(&token).await, during_rotation, "{secret}");
    }
}

#[tokio::test]
async fn a_subject_is_known_by_a_hash_that_differs_between_organizations() {
    let bench = Bench::shared();
    let mut hashes = Vec::new();
    for (org, subject) in [(ORG, "jane@example.com"), (ORG, "john@example.com"), (OTHER_ORG, "jane@example.com")] {
        let claims = json!({"sub": subject, "org_id": org, "exp": START + 100_000});
        let identity = bench.verifier.verify(&shared(&claims)).await.unwrap();
        let Actor::Token { subject_hash } = &identity.actor else { panic!("{identity:?}") };
        hashes.push(subject_hash.clone());
    }
    // As `printf 'ORG#SUBJECT' | sha256sum` begins.
    assert_eq!(hashes, ["7fba32b4447009e7", "75e274b55e389247", "b0ece924773b9076"]);
}

#[tokio::test]
async fn only_the_configured_algorithm_is_accepted() {
    let algorithms = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];
    let mut published: Vec<_> = algorithms.map(|algorithm| jwk(algorithm, 1, "a")).into();
    // A JWKS should not hold the shared secret; if it does, the secret is not accepted as a key.
    published.push(json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode(SECRET), "kid": "a"}));
    for (configured, algorithm) in ASYMMETRIC {
        let bench = Bench::jwks(configured);
        bench.publish(&published);
        for signed_with in algorithms.into_iter().chain([Algorithm::HS256]) {
            let token = signed(signed_with, 1, Some("a"));
            assert_eq!(bench.accepts(&token).await, signed_with == algorithm, "{configured:?} {signed_with:?}");
        }
        // The public parts of a key, used as the secret of an HMAC.
        let public = jwk(algorithm, 1, "a");
        let texts = ["n", "x", "y"].iter().filter_map(|part| public[*part].as_str());
        let secrets = texts.flat_map(|text| [text.as_bytes().to_vec(), URL_SAFE_NO_PAD.decode(text).unwrap()]);
        for secret in secrets.chain([public.to_string().into_bytes(), Vec::new()]) {
            for header in ["HS256", "none", "RS256", "ES256", "EdDSA"] {
                let header = URL_SAFE_NO_PAD.encode(json!({"alg": header, "kid": "a"}).to_string());
                let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims().to_string()));
                let key = EncodingKey::from_secret(&secret);
                let signature = sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
                assert!(!bench.accepts(&format!("{message}.{signature}")).await, "{configured:?} {header}");
                assert!(!bench.accepts(&format!("{message}.")).await, "{configured:?} {header}");
            }
        }
    }
    let bench = Bench::shared();
    for algorithm in algorithms {
        assert!(!bench.accepts(&signed(algorithm, 1, None)).await, "{algorithm:?}");
    }
}

#[tokio::test]
async fn a_changed_token_is_refused() {
    for (configured, algorithm) in ASYMMETRIC {
        let bench = Bench::jwks(configured);
        bench.publish(&[jwk(algorithm, 1, "a")]);
        let token = signed(algorithm, 1, Some("a"));
        assert!(bench.accepts(&token).await, "{algorithm:?}");
        let [header, _, signature] = token.split('.').collect::<Vec<_>>()[..] else {
            panic!("a token has three parts")
        };
        let mut other = claims();
        other["org_id"] = json!(Uuid::max());
        let other = URL_SAFE_NO_PAD.encode(other.to_string());
        assert!(!bench.accepts(&format!("{header}.{other}.{signature}")).await, "{algorithm:?}");
        for broken in ["", ".", "..", "x.y.z", &token[..token.len() - 4], &format!("{token}.x")] {
            assert!(!bench.accepts(broken).await, "{algorithm:?} {broken}");
        }
    }
}

#[tokio::test]
async fn a_token_is_verified_with_the_key_that_it_names() {
    for (configured, algorithm) in ASYMMETRIC {
        let bench = Bench::jwks(configured);
        bench.publish(&[jwk(algorithm, 1, "a"), jwk(algorithm, 2, "b")]);
        for (number, kid, accepted) in [
            (1, Some("a"), true),
            (2, Some("b"), true),
            (1, None, true),
            (2, None, true),
            (1, Some("b"), false),
            (1, Some("c"), false),
            (1, Some(""), false),
        ] {
            assert_eq!(
                bench.accepts(&signed(algorithm, number, kid)).await,
                accepted,
                "{algorithm:?} {number} {kid:?}"
            );
        }
    }
}

#[tokio::test]
async fn keys_of_other_algorithms_do_not_hide_the_one_that_has_signed() {
    for (configured, algorithm) in ASYMMETRIC {
        let bench = Bench::jwks(configured);
        let mut keys: Vec<_> = ASYMMETRIC.iter().map(|(_, algorithm)| jwk(*algorithm, 1, "a")).collect();
        for key in &mut keys {
            key.as_object_mut().unwrap().remove("alg");
        }
        for _ in &ASYMMETRIC {
            keys.rotate_left(1);
            bench.publish(&keys);
            bench.advance(300);
            assert!(bench.accepts(&signed(algorithm, 1, Some("a"))).await, "{algorithm:?}");
            assert!(bench.accepts(&signed(algorithm, 1, None)).await, "{algorithm:?}");
        }
    }
}

#[tokio::test]
async fn a_key_for_another_purpose_is_left_out() {
    for (configured, algorithm) in ASYMMETRIC {
        let bench = Bench::jwks(configured);
        let token = signed(algorithm, 1, Some("a"));
        for (member, value, accepted) in [
            ("use", json!(null), true),
            ("use", json!("sig"), true),
            ("use", json!("enc"), false),
            ("use", json!("SIG"), false),
            ("key_ops", json!(["verify"]), true),
            ("key_ops", json!(["sign", "verify"]), true),
            ("key_ops", json!(["sign"]), false),
            ("key_ops", json!([]), false),
            ("alg", json!(null), true),
            ("alg", json!(algorithm), true),
            ("alg", json!("PS256"), false),
            ("alg", json!("RS512"), false),
            ("alg", json!("unknown"), false),
        ] {
            let mut key = jwk(algorithm, 1, "a");
            key[member] = value.clone();
            bench.publish(&[key]);
            bench.advance(300);
            assert_eq!(bench.accepts(&token).await, accepted, "{algorithm:?} {member} {value}");
        }
    }
}

#[tokio::test]
async fn rotated_keys_are_read_again() {
    for (configured, algorithm) in ASYMMETRIC {
        let bench = Bench::jwks(configured);
        let (a, b) = (signed(algorithm, 1, Some("a")), signed(algorithm, 2, Some("b")));
        bench.publish(&[jwk(algorithm, 1, "a")]);
        assert!(bench.accepts(&a).await && !bench.accepts(&b).await);
        bench.publish(&[jwk(algorithm, 1, "a"), jwk(algorithm, 2, "b")]);
        bench.advance(9);
        assert!(!bench.accepts(&b).await, "an unknown key id does not cause a read within ten seconds");
        bench.advance(1);
        assert!(bench.accepts(&a).await && bench.accepts(&b).await, "a new key is accepted after ten seconds");
        bench.publish(&[jwk(algorithm, 2, "b")]);
        bench.advance(299);
        assert!(bench.accepts(&a).await && bench.accepts(&b).await);
        bench.advance(1);
        assert!(!bench.accepts(&a).await && bench.accepts(&b).await, "a withdrawn key is refused after five minutes");
    }
}

#[tokio::test]
async fn an_unreadable_jwks_is_no_fault_of_the_token_and_keys_that_were_read_stay_valid() {
    let bench = Bench::jwks(Asymmetric::EdDsa);
    let token = signed(Algorithm::EdDSA, 1, Some("a"));
    assert_eq!(bench.verifier.verify(&token).await.unwrap_err(), AuthError::KeysUnavailable, "there is no file");
    for garbage in ["", "{", "[]", r#"{"keys": 1}"#] {
        std::fs::write(&bench.file, garbage).unwrap();
        bench.advance(1);
        assert_eq!(bench.verifier.verify(&token).await.unwrap_err(), AuthError::KeysUnavailable, "{garbage}");
    }
    bench.publish(&[jwk(Algorithm::EdDSA, 1, "a")]);
    assert_eq!(
        bench.verifier.verify(&token).await.unwrap_err(),
        AuthError::KeysUnavailable,
        "no second read within a second"
    );
    bench.advance(1);
    assert!(bench.accepts(&token).await, "the next read succeeds");
    std::fs::write(&bench.file, "{").unwrap();
    bench.advance(3600);
    assert!(bench.accepts(&token).await);
    std::fs::remove_file(&bench.file).unwrap();
    bench.advance(3600);
    assert!(bench.accepts(&token).await);
}

/// A server that sends one of the given responses per connection, and then none.
struct Issuer {
    url: String,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Issuer {
    /// The number of connections so far.
    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// The requests that were responded to.
    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn issuer(responses: Vec<String>) -> Issuer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    let requests = Arc::<Mutex<Vec<String>>>::default();
    let received = requests.clone();
    tokio::spawn(async move {
        let mut responses = responses.into_iter();
        let mut silent = Vec::new();
        while let Ok((mut connection, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            let Some(response) = responses.next() else {
                silent.push(connection);
                continue;
            };
            let mut request = vec![0; 1024];
            let length = connection.read(&mut request).await.unwrap();
            assert!(request[..length].starts_with(b"GET /keys HTTP/1.1\r\n"));
            received.lock().unwrap().push(String::from_utf8_lossy(&request[..length]).into_owned());
            // The client closes the connection when the response is too large.
            let _ = connection.write_all(response.as_bytes()).await;
        }
    });
    Issuer { url, connections, requests }
}

fn response(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn a_token_with_a_refused_header_causes_no_read_of_the_jwks() {
    let bench = Bench::jwks(Asymmetric::EdDsa);
    let other_algorithm = signed(Algorithm::ES256, 1, Some("a"));
    assert!(!bench.accepts(&other_algorithm).await, "a read would fail, because there is no file");
}

#[tokio::test]
async fn a_read_of_a_url_carries_the_id_of_the_trace_and_no_more_of_it() {
    let token = signed(Algorithm::ES256, 1, Some("a"));
    let keys = response("200 OK", &json!({"keys": [jwk(Algorithm::ES256, 1, "a")]}).to_string());
    let issuer = issuer(vec![keys.clone(), keys]).await;
    let url = issuer.url.clone();
    let source = |_| Some(JwtKeys::Jwks { algorithm: Asymmetric::Es256, source: JwksSource::Url(url) });
    let bench = Bench::new(source, None, None);
    let id = |number: u8| format!("Root=1-5759e988-bd862e3fe1be46a9942727{number:02x}");
    let in_trace = |number| Trace::parse(&format!("{};Name=canary", id(number)));

    assert!(trace::in_scope(in_trace(1), bench.accepts(&token)).await);
    bench.advance(200);
    assert!(trace::in_scope(in_trace(2), bench.accepts(&token)).await, "the second read runs behind the request");
    while issuer.requests().len() < 2 {
        tokio::task::yield_now().await;
    }

    for (request, number) in issuer.requests().iter().zip([1, 2]) {
        assert!(request.contains(&format!("\r\nx-amzn-trace-id: {}\r\n", id(number))), "{request}");
    }
}

#[tokio::test]
async fn a_url_is_read_like_a_file() {
    let (a, b) = (signed(Algorithm::ES256, 1, Some("a")), signed(Algorithm::ES256, 2, Some("b")));
    let keys = |keys: &[Value]| json!({"keys": keys}).to_string();
    let before = keys(&[jwk(Algorithm::ES256, 1, "a")]);
    let after = keys(&[jwk(Algorithm::ES256, 2, "b")]);
    let too_large = format!("{before}{}", " ".repeat(1 << 20));
    let refused = [
        response("500 Internal Server Error", &before),
        response("302 Found\r\nlocation: /keys", &before),
        response("200 OK", "<html>"),
        response("200 OK", &too_large),
        "no HTTP".to_owned(),
    ];
    let count = refused.len();
    let responses = refused.into_iter().chain([response("200 OK", &before), response("200 OK", &after)]);
    let issuer = issuer(responses.collect()).await;
    let url = issuer.url.clone();
    let source = |_| Some(JwtKeys::Jwks { algorithm: Asymmetric::Es256, source: JwksSource::Url(url) });
    let bench = Bench::new(source, None, None);
    for number in 0..count {
        assert_eq!(bench.verifier.verify(&a).await.unwrap_err(), AuthError::KeysUnavailable, "{number}");
        bench.advance(1);
    }
    bench.verifier.warm_up().await;
    assert!(bench.accepts(&a).await && !bench.accepts(&b).await, "one read, and none for an unknown key id");
    bench.advance(10);
    assert!(bench.accepts(&b).await && !bench.accepts(&a).await, "rotated");
    bench.advance(3600);
    assert!(bench.accepts(&b).await, "the issuer does not respond, and the keys stay valid");
    let connections = issuer.connections();
    bench.advance(9);
    assert!(bench.accepts(&b).await);
    assert_eq!(issuer.connections(), connections, "no second request within ten seconds");
    bench.advance(1);
    assert!(bench.accepts(&b).await);
    // The next read runs behind the request.
    while issuer.connections() == connections {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_https_url_is_read_over_tls() {
    let url = issuer(vec![response("200 OK", r#"{"keys": []}"#)]).await.url.replace("http://", "https://");
    let source = |_| Some(JwtKeys::Jwks { algorithm: Asymmetric::Es256, source: JwksSource::Url(url) });
    let bench = Bench::new(source, None, None);
    let token = signed(Algorithm::ES256, 1, Some("a"));
    assert_eq!(bench.verifier.verify(&token).await.unwrap_err(), AuthError::KeysUnavailable);
}

#[tokio::test]
async fn a_key_that_cannot_be_parsed_is_left_out() {
    let token = signed(Algorithm::ES256, 1, Some("a"));
    for unknown in [
        json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA", "kid": "b"}),
        json!({"kty": "OKP", "crv": "X25519", "x": "AA", "use": "enc", "kid": "b"}),
        json!({"kty": "OKP", "crv": "Ed448", "x": "AA", "kid": "b"}),
        json!({"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA", "kid": "b"}),
        json!({"kty": "EC", "crv": "P-256", "x": "!", "y": "AA", "kid": "a"}),
        json!({"kty": "RSA", "kid": "b"}),
        json!({"kty": "RSA", "n": "AA", "e": "AQAB", "alg": "RSA-OAEP-256", "key_ops": ["wrapKey", "x"], "kid": "a"}),
        json!({"kid": 1}),
        json!({}),
        json!(null),
    ] {
        let bench = Bench::jwks(Asymmetric::Es256);
        bench.publish(&[unknown.clone(), jwk(Algorithm::ES256, 1, "a")]);
        assert!(bench.accepts(&token).await, "{unknown}");
    }
}

#[tokio::test]
async fn a_modulus_may_begin_with_a_zero_byte() {
    let bench = Bench::jwks(Asymmetric::Rs256);
    let mut key = jwk(Algorithm::RS256, 1, "a");
    let modulus = URL_SAFE_NO_PAD.decode(key["n"].as_str().unwrap()).unwrap();
    key["n"] = json!(URL_SAFE_NO_PAD.encode([&[0], modulus.as_slice()].concat()));
    bench.publish(&[key]);
    assert!(bench.accepts(&signed(Algorithm::RS256, 1, Some("a"))).await);
}

#[tokio::test]
async fn a_key_of_the_wrong_length_verifies_nothing() {
    for (configured, algorithm, part) in [
        (Asymmetric::Rs256, Algorithm::RS256, "n"),
        (Asymmetric::Es256, Algorithm::ES256, "x"),
        (Asymmetric::EdDsa, Algorithm::EdDSA, "x"),
    ] {
        let key = jwk(algorithm, 1, "a");
        let bytes = URL_SAFE_NO_PAD.decode(key[part].as_str().unwrap()).unwrap();
        for wrong in [&[], &bytes[1..], &[bytes.as_slice(), &[0]].concat()] {
            let mut key = key.clone();
            key[part] = json!(URL_SAFE_NO_PAD.encode(wrong));
            let bench = Bench::jwks(configured);
            bench.publish(&[key]);
            assert!(!bench.accepts(&signed(algorithm, 1, Some("a"))).await, "{algorithm:?} {}", wrong.len());
        }
    }
}
