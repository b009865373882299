use super::*;

const BASE: [(&str, &str); 4] = [
    ("TABLE_NAME", "contacts"),
    ("AWS_REGION", "eu-west-1"),
    ("AWS_ACCESS_KEY_ID", "id"),
    ("AWS_SECRET_ACCESS_KEY", "canary"),
];

const ISSUER: (&str, &str) = ("JWT_ISSUER", "https://id.example.com");
const AUDIENCE: (&str, &str) = ("JWT_AUDIENCE", "contacts");
const HS256: (&str, &str) = ("JWT_ALGORITHM", "HS256");
const SECRET: &str = "canary canary canary canary 32 by";

fn read(more: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let variable =
        |name: &str| more.iter().chain(&BASE).find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    Config::read(variable)
}

fn jwks_source(text: &str) -> Result<JwksSource, ConfigError> {
    let config = read(&[("JWT_ALGORITHM", "ES256"), ("JWT_JWKS", text), ISSUER, AUDIENCE])?;
    match config.jwt.keys {
        Some(JwtKeys::Jwks { source, .. }) => Ok(source),
        keys => panic!("{text}: {keys:?}"),
    }
}

#[test]
fn the_error_says_what_to_set() {
    for (variables, message) in [
        (vec![("TABLE_NAME", " ")], "set the environment variable TABLE_NAME"),
        (vec![("JWT_ALGORITHM", "RS256")], "set the environment variable JWT_JWKS"),
        (vec![("JWT_ALGORITHM", "none")], "set JWT_ALGORITHM to HS256, RS256, ES256 or EdDSA"),
        (vec![("BASE_PATH", "/v1")], "set BASE_PATH to the key of the custom domain's API mapping, such as crm/v2"),
    ] {
        assert_eq!(read(&variables).unwrap_err().to_string(), message);
    }
}

#[test]
fn the_rate_limit_is_off_unless_a_rate_is_set() {
    let message = |name: &str, max: u32| Err(format!("set {name} to 0 or an integer from 1 to {max}"));
    let limit = |rate, burst| Ok(Some(RateLimit::new(rate, burst).unwrap()));
    for (rate, burst, expected) in [
        ("", "", Ok(None)),
        ("0", "5", Ok(None)),
        ("200", "", limit(200, None)),
        (" 200 ", "0", limit(200, None)),
        ("200", "5", limit(200, Some(5))),
        ("-1", "", message("RATE_LIMIT_PER_SECOND", 10_000)),
        ("10001", "", message("RATE_LIMIT_PER_SECOND", 10_000)),
        ("1", "many", message("RATE_LIMIT_BURST", 100_000)),
    ] {
        let config = read(&[("RATE_LIMIT_PER_SECOND", rate), ("RATE_LIMIT_BURST", burst)]);
        let found = config.map(|config| config.rate_limit).map_err(|error| error.to_string());
        assert_eq!(found, expected, "{rate:?} {burst:?}");
    }
}

#[test]
fn retention_and_lifetime_are_whole_numbers_of_days() {
    const RETENTION: &str = "AUDIT_RETENTION_DAYS";
    const LIFETIME: &str = "API_KEY_LIFETIME_DAYS";
    for (name, days, retention, lifetime) in [
        (RETENTION, "", 400, None),
        (RETENTION, " 30 ", 30, None),
        (RETENTION, "0", 0, None),
        (RETENTION, "36500", 36_500, None),
        (LIFETIME, "", 400, None),
        (LIFETIME, "0", 400, None),
        (LIFETIME, "90", 400, Some(TimeDelta::days(90))),
    ] {
        let config = read(&[(name, days)]).unwrap();
        let expected = (TimeDelta::days(retention), lifetime);
        assert_eq!((config.audit_retention, config.api_key_lifetime), expected, "{name} {days:?}");
    }
    for name in [RETENTION, LIFETIME] {
        for days in ["36501", "-1", "1.5", "1d", "4294967296"] {
            let error = read(&[(name, days)]).unwrap_err().to_string();
            assert_eq!(error, format!("set {name} to a whole number of days from 0 to 36500"), "{days}");
        }
    }
}

#[test]
fn a_jwks_needs_an_issuer_and_an_audience() {
    let message = "tokens of a JWKS are accepted from one issuer and for one audience";
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let jwks = [("JWT_ALGORITHM", algorithm), ("JWT_JWKS", "jwks.json")];
        for (given, missing) in [(AUDIENCE, "JWT_ISSUER"), (ISSUER, "JWT_AUDIENCE")] {
            let error = read(&[&jwks[..], &[given]].concat()).unwrap_err();
            assert_eq!(error.to_string(), format!("set the environment variable {missing}: {message}"));
        }
        assert!(read(&[&jwks[..], &[ISSUER, AUDIENCE]].concat()).is_ok());
    }
    assert!(read(&[HS256, ("JWT_SECRET", SECRET)]).is_ok(), "a shared secret has one issuer anyway");
}

#[test]
fn a_shared_secret_has_at_least_32_bytes() {
    let (short, long) = ("s".repeat(31), "s".repeat(32));
    for (variables, expected) in [
        (vec![], None),
        (vec![("JWT_SECRET", &*short)], Some("set JWT_SECRET to at least 32 bytes")),
        (vec![("JWT_SECRET", &*long)], None),
        (
            vec![("JWT_SECRET", &*long), ("JWT_SECRET_PREVIOUS", &*short)],
            Some("set JWT_SECRET_PREVIOUS to at least 32 bytes"),
        ),
        (vec![("JWT_SECRET", &*long), ("JWT_SECRET_PREVIOUS", &*long)], None),
        (vec![("JWT_SECRET_PREVIOUS", &*long)], Some("set the environment variable JWT_SECRET")),
    ] {
        let error = read(&[&[HS256], &variables[..]].concat()).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), expected, "{variables:?}");
    }
}

const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:contacts/jwt-a1B2c3";

fn stored_secret(more: &[(&str, &str)]) -> Result<StoredSecret, ConfigError> {
    match read(&[&[HS256], more].concat())?.jwt.keys {
        Some(JwtKeys::Stored(secret)) => Ok(secret),
        keys => panic!("{more:?}: {keys:?}"),
    }
}

#[test]
fn a_stored_secret_is_named_by_its_arn() {
    let endpoint = ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://127.0.0.1:4566");
    let by_default = StoredSecret { arn: SecretArn(ARN.to_owned()), cache_time: TimeDelta::minutes(5), endpoint: None };
    assert_eq!(stored_secret(&[("JWT_SECRET_ARN", ARN)]), Ok(by_default.clone()));

    let set = stored_secret(&[("JWT_SECRET_ARN", ARN), ("JWT_SECRET_CACHE_SECONDS", "5"), endpoint]);
    let expected =
        StoredSecret { cache_time: TimeDelta::seconds(5), endpoint: Some(endpoint.1.to_owned()), ..by_default };
    assert_eq!(set, Ok(expected));
}

#[test]
fn a_shared_secret_has_one_source() {
    for inline in ["JWT_SECRET", "JWT_SECRET_PREVIOUS"] {
        let error = read(&[HS256, ("JWT_SECRET_ARN", ARN), (inline, SECRET)]).unwrap_err();
        let message = "set either JWT_SECRET_ARN or JWT_SECRET and JWT_SECRET_PREVIOUS, and not both";
        assert_eq!(error.to_string(), message, "{inline}");
    }
}

#[test]
fn the_cache_time_of_a_secret_is_a_number_of_seconds_up_to_an_hour() {
    let message = "set JWT_SECRET_CACHE_SECONDS to a whole number from 1 to 3600";
    for (seconds, is_valid) in
        [("1", true), ("3600", true), ("0", false), ("3601", false), ("-1", false), ("1.5", false), ("5m", false)]
    {
        let secret = stored_secret(&[("JWT_SECRET_ARN", ARN), ("JWT_SECRET_CACHE_SECONDS", seconds)]);
        let error = secret.err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), if is_valid { None } else { Some(message) }, "{seconds}");
    }
}

#[test]
fn the_arn_of_a_secret_is_complete() {
    for (arn, is_valid) in [
        (ARN, true),
        ("arn:aws-us-gov:secretsmanager:us-gov-west-1:123456789012:secret:a-b-a1B2c3", true),
        ("arn:aws:secretsmanager:eu-west-1:123456789012:secret:contacts/jwt", false),
        ("arn:aws:secretsmanager:eu-west-1:123456789012:secret:contacts/jwt-a1B2c", false),
        ("arn:aws:secretsmanager:eu-west-1:123456789012:secret:-a1B2c3", false),
        ("arn:aws:secretsmanager:eu-west-1:123456789012:secret:contacts jwt-a1B2c3", false),
        ("arn:aws:secretsmanager:eu-west-1:123456789012:secret:contacts-*", false),
        ("arn:aws:secretsmanager:eu-west-1:12345678901:secret:contacts-a1B2c3", false),
        ("arn:aws:secretsmanager::123456789012:secret:contacts-a1B2c3", false),
        ("arn:aws:secretsmanager:evil.example:123456789012:secret:contacts-a1B2c3", false),
        ("arn:aws:ssm:eu-west-1:123456789012:parameter:contacts-a1B2c3", false),
        ("contacts/jwt", false),
    ] {
        assert_eq!(SecretArn::parse(arn.to_owned()).is_some(), is_valid, "{arn}");
    }
    let error = stored_secret(&[("JWT_SECRET_ARN", "contacts/jwt")]).unwrap_err().to_string();
    assert!(error.starts_with("set JWT_SECRET_ARN to the complete ARN"), "{error}");
}

#[test]
fn a_jwks_is_a_file_or_a_url_that_no_intermediary_can_change() {
    let file = |path: &str| Ok(JwksSource::File(path.to_owned()));
    let url = |url: &str| Ok(JwksSource::Url(url.to_owned()));
    for (text, source) in [
        ("/opt/jwks.json", file("/opt/jwks.json")),
        ("jwks.json", file("jwks.json")),
        ("https://id.example.com/keys", url("https://id.example.com/keys")),
        ("http://127.0.0.1:8080/keys", url("http://127.0.0.1:8080/keys")),
        ("http://localhost:8080/", url("http://localhost:8080/")),
        ("http://id.example.com/keys", Err(ConfigError::InsecureJwksUrl)),
        ("http://localhost.example.com/keys", Err(ConfigError::InsecureJwksUrl)),
        ("http://127.0.0.1.example.com/keys", Err(ConfigError::InsecureJwksUrl)),
        ("http://localhost:80@id.example.com/keys", Err(ConfigError::InsecureJwksUrl)),
        ("http://127.0.0.1:x@id.example.com/", Err(ConfigError::InsecureJwksUrl)),
        ("file:///opt/jwks.json", Err(ConfigError::InsecureJwksUrl)),
    ] {
        assert_eq!(jwks_source(text), source, "{text}");
    }
}

#[test]
fn a_base_path_is_the_key_of_an_api_mapping() {
    for (key, path) in [("", ""), (" ", ""), ("v1", "/v1"), ("crm/v2", "/crm/v2"), ("a-_.$+!*'()Z", "/a-_.$+!*'()Z")] {
        assert_eq!(read(&[("BASE_PATH", key)]).unwrap().base_path.as_str(), path, "{key:?}");
    }
    for key in ["/", "/v1", "v1/", "crm//v2", "a b", "a%20b", "a?b", "a#b", "a>b", "é", "v1\n"] {
        assert_eq!(read(&[("BASE_PATH", key)]).unwrap_err(), ConfigError::InvalidBasePath, "{key:?}");
    }
}

#[test]
fn secrets_are_not_printed() {
    let secrets = [("JWT_SECRET", SECRET), ("JWT_SECRET_PREVIOUS", SECRET), ("AWS_SESSION_TOKEN", "canary")];
    let config = read(&[&[HS256], &secrets[..]].concat()).unwrap();
    assert!(matches!(&config.jwt.keys, Some(JwtKeys::Shared { current, .. }) if current.reveal() == SECRET));
    assert!(!format!("{config:?}").contains("canary"), "{config:?}");
}
