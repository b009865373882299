//! The route of a request: the prefix of its path, and the endpoint's own path behind it.
//!
//! One API has several base URLs: the gateway's own domain, on which a named stage is the first segment of every path, and
//! custom domains, on which an API mapping may have a path of its own. `Location` and `Link` begin with the path of the base
//! URL that the client uses, so that it can follow them. No event has that path in every case:
//!
//! | base URL | path of the client's URL | `rawPath` |
//! | --- | --- | --- |
//! | the gateway's own, stage `$default` | `/contacts` | `/contacts` |
//! | the gateway's own, stage `v1` | `/v1/contacts` | `/v1/contacts` |
//! | custom domain, mapped to `$default` | `/contacts` | `/contacts` |
//! | custom domain, its path `crm/v2` mapped to `$default` | `/crm/v2/contacts` | `/contacts` |
//! | custom domain, mapped to `v1` | `/contacts` | `/v1/contacts` |
//! | custom domain, its path `crm/v2` mapped to `v1` | `/crm/v2/contacts` | `/v1/contacts` |
//!
//! Format 2.0 leaves out the path of an API mapping (AWS, "Create AWS Lambda proxy integrations for HTTP APIs"). So the path of
//! a custom domain is configured (`BASE_PATH`), and the domain's name in the event tells which row applies.
//!
//! The prefix of `rawPath` is removed to find the endpoint. It is the stage of the event, or `BASE_PATH`, which other gateways
//! leave in, or blank; any other prefix is a 404. Since an endpoint's path has a fixed number of segments, at most one of these
//! prefixes fits, even if a stage has the name of a resource (`/contacts/contacts`).

use crate::config::BasePath;
use crate::endpoint::PathValues;

use super::error::ApiError;
use super::event::Event;

/// The parts of the path of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// The path of the client's base URL: blank, or like `/v1`.
    pub(super) base_path: String,
    /// The values of the parameters in the endpoint's path.
    pub(super) path_values: PathValues,
}

impl Route {
    /// The route of a request to the endpoint or page with this path; `None` for another path.
    pub(super) fn find(own_path: &'static str, event: &Event, domain_path: &BasePath) -> Option<Self> {
        let gateway = &event.request_context;
        let stage = gateway.stage_path();
        let (prefix, path_values) = ["", &stage, domain_path.as_str()].into_iter().find_map(|prefix| {
            let path = event.raw_path.strip_prefix(prefix)?;
            Some((prefix, PathValues::parse(own_path, path)?))
        })?;
        let base_path = if gateway.has_custom_domain() { domain_path.as_str() } else { prefix };
        Some(Self { base_path: base_path.to_owned(), path_values })
    }
}

/// Refuses every method but the one of the route.
pub(super) fn check_method(event: &Event, allowed: &'static str) -> Result<(), ApiError> {
    if event.request_context.http.method == allowed { Ok(()) } else { Err(ApiError::MethodNotAllowed { allowed }) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const GATEWAY: &str = "abc123.execute-api.eu-west-1.amazonaws.com";
    const CUSTOM: &str = "api.example.com";

    fn event(domain: &str, stage: &str, raw_path: &str) -> Event {
        let context = json!({"apiId": "abc123", "domainName": domain, "stage": stage});
        serde_json::from_value(json!({"rawPath": raw_path, "requestContext": context})).unwrap()
    }

    /// The base path of a request to the list of contacts; `None` for the path of another endpoint.
    fn base_path(event: &Event, custom_domain: &str) -> Option<String> {
        let custom_domain = custom_domain.parse().unwrap();
        Route::find("/contacts", event, &custom_domain).map(|route| route.base_path)
    }

    #[test]
    fn the_base_path_is_that_of_the_clients_url() {
        for (domain, stage, raw_path, custom_domain, expected) in [
            (GATEWAY, "$default", "/contacts", "", ""),
            (GATEWAY, "v1", "/v1/contacts", "", "/v1"),
            (CUSTOM, "$default", "/contacts", "", ""),
            (CUSTOM, "$default", "/contacts", "crm/v2", "/crm/v2"),
            (CUSTOM, "v1", "/v1/contacts", "", ""),
            (CUSTOM, "v1", "/v1/contacts", "crm/v2", "/crm/v2"),
            // The gateway's own domain has no path of an API mapping.
            (GATEWAY, "$default", "/contacts", "crm/v2", ""),
            (GATEWAY, "v1", "/v1/contacts", "crm/v2", "/v1"),
            // A gateway that leaves the path of an API mapping in, or the stage out.
            (CUSTOM, "$default", "/crm/v2/contacts", "crm/v2", "/crm/v2"),
            (GATEWAY, "v1", "/contacts", "", ""),
            // A prefix with the name of a resource.
            (GATEWAY, "contacts", "/contacts/contacts", "", "/contacts"),
            (CUSTOM, "$default", "/contacts", "contacts", "/contacts"),
            (CUSTOM, "$default", "/contacts/contacts", "contacts", "/contacts"),
        ] {
            for slash in ["", "/"] {
                let event = event(domain, stage, &format!("{raw_path}{slash}"));
                let found = base_path(&event, custom_domain);
                assert_eq!(found.as_deref(), Some(expected), "{event:?} {custom_domain}");
            }
        }
    }

    #[test]
    fn other_prefixes_are_not_found() {
        for raw_path in [
            "/v2/contacts",
            "/V1/contacts",
            "/%761/contacts",
            "/v1//contacts",
            "//v1/contacts",
            "/v1",
            "/v1/",
            "/v1contacts",
            "v1/contacts",
            "/v1/v1/contacts",
            "/crm/contacts",
            "/crm/v2",
            "/CRM/v2/contacts",
            "/crm%2Fv2/contacts",
            "/crm//v2/contacts",
            "/v1/crm/v2/contacts",
            "/crm/v2/v1/contacts",
            "/$default/contacts",
        ] {
            for domain in [GATEWAY, CUSTOM] {
                assert_eq!(base_path(&event(domain, "v1", raw_path), "crm/v2"), None, "{domain} {raw_path}");
            }
        }
        for raw_path in ["/$default/contacts", "/v1/contacts"] {
            assert_eq!(base_path(&event(GATEWAY, "$default", raw_path), ""), None, "{raw_path}");
        }
    }

    #[test]
    fn a_stage_with_the_name_of_a_resource_shifts_no_value() {
        let event = event(GATEWAY, "contacts", "/contacts/contacts/42");

        let route = Route::find("/contacts/{contact_id}", &event, &BasePath::default()).unwrap();

        assert_eq!((route.base_path.as_str(), route.path_values.get("contact_id")), ("/contacts", Some("42")));
    }

    #[test]
    fn a_gateway_without_a_domain_is_not_a_custom_domain() {
        let event: Event = serde_json::from_value(json!({
            "rawPath": "/contacts",
            "requestContext": {"apiId": null, "domainName": null, "stage": null},
        }))
        .unwrap();
        assert_eq!(base_path(&event, "crm/v2").as_deref(), Some(""));
    }
}
