//! The environment variables that functions read.

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::config::Config;

/// The variables that pass a secret on a developer's machine. A deployed function reads it from Secrets Manager.
const LOCAL: [&str; 2] = ["JWT_SECRET", "JWT_SECRET_PREVIOUS"];

/// The names of the variables that [`Config::read`] asks for in a deployed function, over all algorithms of tokens. Those that
/// Lambda sets are left out.
pub fn variables_of_config() -> BTreeSet<String> {
    let read = RefCell::new(BTreeSet::new());
    for algorithm in ["HS256", "RS256", "ES256", "EdDSA"] {
        let config = Config::read(|name| {
            read.borrow_mut().insert(name.to_owned());
            let value = match name {
                "JWT_ALGORITHM" => algorithm,
                "JWT_SECRET_ARN" => "arn:aws:secretsmanager:eu-west-1:123456789012:secret:contacts/jwt-a1B2c3",
                "JWT_SECRET_CACHE_SECONDS" => "300",
                "RATE_LIMIT_PER_SECOND" | "RATE_LIMIT_BURST" | "AUDIT_RETENTION_DAYS" | "API_KEY_LIFETIME_DAYS" => "1",
                name if LOCAL.contains(&name) => "",
                _ => "set",
            };
            Some(value.to_owned())
        });
        assert!(config.is_ok(), "shared/src/config.rs: {config:?}");
    }
    let is_set = |name: &String| !name.starts_with("AWS_") && !LOCAL.contains(&name.as_str());
    read.into_inner().into_iter().filter(is_set).collect()
}
